use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use subtle_application::{Ports, admin};
use subtle_domain::Timestamp;
use subtle_domain::audit::{AuditQuery, RecordedAudit};
use subtle_domain::ids::UserId;
use subtle_domain::text::Label;
use utoipa::{IntoParams, ToSchema};

use super::dto::{List, ListQuery, day, moment, time};
use crate::cursor;
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Params, Support};

/// What cursors of this list are called.
const LIST: &str = "audit";

/// A use of privilege.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub(super) struct AuditDto {
    #[schema(example = "cmb3x0f5e0010abcd1234efgh")]
    id: String,
    /// Who did it; of what a service key did, the administrator who made the key.
    #[schema(example = "cmb3x0f5e0009abcd1234efgh")]
    admin_id: String,
    /// To whose account; null where it was about none.
    #[schema(example = "cmb3x0f5e0000abcd1234efgh")]
    user_id: Option<String>,
    /// What was done.
    #[schema(example = "user.update")]
    action: String,
    /// What it changed, by which door somebody came, and what else it was about.
    #[schema(
        value_type = serde_json::Value,
        example = json!({"via": "http", "changes": {"role": {"before": "user", "after": "support"}}})
    )]
    details: Option<Box<RawValue>>,
    /// From where; null for the command line.
    #[schema(example = "203.0.113.9")]
    ip_address: Option<String>,
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    created_at: String,
}

impl From<RecordedAudit> for AuditDto {
    fn from(row: RecordedAudit) -> Self {
        Self {
            id: row.id,
            admin_id: row.actor,
            user_id: row.subject,
            action: row.action,
            // It was JSON in the database.
            details: row.details.and_then(|details| RawValue::from_string(details).ok()),
            ip_address: row.address,
            created_at: time(row.at),
        }
    }
}

/// Which part of the audit trail is wanted.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct AuditLogsQuery {
    /// Of this action only.
    #[param(example = "user.update")]
    action: Option<String>,
    /// To this account only.
    user_id: Option<String>,
    /// By this account only.
    admin_id: Option<String>,
    /// From this moment on, or from the beginning of this day, UTC.
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// Before this moment, or to the end of this day, UTC.
    #[param(example = "2026-11-30")]
    to: Option<String>,
    /// Most entries of the page: 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

impl AuditLogsQuery {
    fn into_parts(self) -> Result<(AuditQuery, ListQuery), ApiError> {
        let mut errors = FieldErrors::default();
        let action = errors.take("action", self.action.as_deref().map(Label::parse).transpose());
        let subject = errors.take("userId", self.user_id.as_deref().map(UserId::parse).transpose());
        let actor = errors.take("adminId", self.admin_id.as_deref().map(UserId::parse).transpose());
        let from = errors.take("from", self.from.as_deref().map(|text| bound(text, 0)).transpose());
        let to = errors.take("to", self.to.as_deref().map(|text| bound(text, 1)).transpose());
        match (action, subject, actor, from, to) {
            (Some(action), Some(subject), Some(actor), Some(from), Some(to)) => {
                Ok((AuditQuery { action, subject, actor, from, to }, ListQuery::new(self.limit, self.cursor)))
            }
            _ => Err(errors.into()),
        }
    }
}

/// A moment; of a day, its beginning or so many days later.
fn bound(text: &str, days: i64) -> Result<Timestamp, &'static str> {
    if let Ok(day) = day(text) {
        return Ok(day.and_time(chrono::NaiveTime::MIN).and_utc() + TimeDelta::days(days));
    }
    moment(text)
        .map_err(|_told_with_days| "must be a day such as 2026-11-25 or a time such as 2026-11-25T08:00:00Z")
}

/// See the audit trail.
///
/// For support and administrators.
#[utoipa::path(
    operation_id = "listAuditLogs",
    tag = "admin",
    params(AuditLogsQuery),
    responses((status = 200, description = "A page of the trail, newest first", body = List<AuditDto>)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/audit-logs")]
pub(super) async fn list(
    ports: Data<Ports>,
    Support { by, asked: Params(query) }: Support<Params<AuditLogsQuery>>,
) -> Result<HttpResponse, ApiError> {
    let (query, part) = query.into_parts()?;
    let (after, limit) = part.part(|text| cursor::row(LIST, text))?;
    let page = admin::list_audit(&ports, &by, &query, after, limit).await?;
    Ok(HttpResponse::Ok().json(List::of(page, AuditDto::from, |next| cursor::of_row(LIST, next))))
}
