use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::Serialize;
use serde_json::value::RawValue;
use subtle_application::activity::{self, ActivityPage};
use subtle_application::{Ports, admin};
use subtle_domain::activity::RecordedActivity;
use subtle_domain::ids::UserId;
use utoipa::ToSchema;

use super::dto::{List, ListQuery, time};
use crate::cursor;
use crate::problem::ApiError;
use crate::request::{Authenticated, Id, Params, Support};

pub(super) mod report;

/// Something that happened on an account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Activity)]
pub(super) struct ActivityDto {
    #[schema(example = "cmb3x0f5e0002abcd1234efgh")]
    id: String,
    /// What happened.
    #[schema(example = "sign_in")]
    action: String,
    /// What is worth knowing about it: any JSON, or null.
    #[schema(value_type = serde_json::Value, example = json!({"ipAddress": "203.0.113.9"}))]
    data: Option<Box<RawValue>>,
    /// When.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00.000Z")]
    created_at: String,
}

impl From<RecordedActivity> for ActivityDto {
    fn from(row: RecordedActivity) -> Self {
        // It was JSON in the database.
        let data = row.data.and_then(|data| RawValue::from_string(data).ok());
        Self { id: row.id, action: row.action, data, created_at: time(row.at) }
    }
}

fn list(page: ActivityPage) -> List<ActivityDto> {
    List::of(page, ActivityDto::from, cursor::of_activity)
}

/// A timeline in figures.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ActivitySummary)]
pub(super) struct SummaryDto {
    /// Rows in all.
    #[schema(example = 42)]
    total_actions: i64,
    /// Rows of the last seven days, counted from midnight UTC.
    #[schema(example = 7)]
    actions_this_week: i64,
    /// When the last of them happened; null if nothing has.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00.000Z")]
    last_activity: Option<String>,
    /// The action of most rows; null if there are none.
    #[schema(example = "sign_in")]
    most_common_action: Option<String>,
}

/// See what happened on your account.
#[utoipa::path(
    operation_id = "listMyActivity",
    tag = "me",
    params(ListQuery),
    responses((status = 200, description = "A page of the timeline, newest first", body = List<ActivityDto>)),
    security(("accessToken" = []))
)]
#[get("/v1/me/activity")]
pub(super) async fn list_mine(
    ports: Data<Ports>,
    caller: Authenticated,
    query: Params<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let (after, limit) = query.0.part(cursor::activity)?;
    let page = activity::list_activity(&ports, &caller.0, after, limit).await?;
    Ok(HttpResponse::Ok().json(list(page)))
}

/// See your timeline in figures.
#[utoipa::path(
    operation_id = "summarizeMyActivity",
    tag = "me",
    responses((status = 200, description = "The figures as of now", body = SummaryDto)),
    security(("accessToken" = []))
)]
#[get("/v1/me/activity/summary")]
pub(super) async fn summarize_mine(
    ports: Data<Ports>,
    caller: Authenticated,
) -> Result<HttpResponse, ApiError> {
    let summary = activity::summarize_activity(&ports, &caller.0).await?;
    Ok(HttpResponse::Ok().json(SummaryDto {
        total_actions: summary.total_actions,
        actions_this_week: summary.actions_this_week,
        last_activity: summary.last_activity.map(time),
        most_common_action: summary.most_common_action,
    }))
}

/// See what happened on somebody's account.
///
/// For support and administrators.
#[utoipa::path(
    operation_id = "listUserActivity",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account"), ListQuery),
    responses((status = 200, description = "A page of the timeline, newest first", body = List<ActivityDto>)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/users/{id}/activity")]
pub(super) async fn list_theirs(
    ports: Data<Ports>,
    Support { by, asked: (Id(id), Params(query)) }: Support<(Id<UserId>, Params<ListQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let (after, limit) = query.part(cursor::activity)?;
    let page = admin::list_user_activity(&ports, &by, &id, after, limit).await?;
    Ok(HttpResponse::Ok().json(list(page.ok_or(ApiError::NotFound)?)))
}
