use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use subtle_application::usage::{self, NewUsageEvent, UsagePage};
use subtle_application::{Ports, admin};
use subtle_domain::ids::UserId;
use subtle_domain::ports::NotRecorded;
use subtle_domain::usage::{Recorded, UsageRow};
use utoipa::ToSchema;

use super::dto::{EventResult, List, ListQuery, time};
use crate::cursor;
use crate::metrics::Metrics;
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Authenticated, Id, JsonOrLines, Params, Program, Support, UsageWrite};

mod event;
pub(super) mod summary;

use event::EventDto;
pub(super) use event::{Amounts, cost};

/// Most events of one request.
const MOST: usize = 1_000;
/// What cursors of this list are called.
const LIST: &str = "usage";

/// Usage to be recorded.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageEvents {
    /// 1 to 1,000 events, each judged on its own.
    #[schema(value_type = Vec<EventDto>, min_items = 1, max_items = 1000)]
    events: Vec<Box<RawValue>>,
}

/// What became of the events.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct RecordedUsage {
    /// Recorded now.
    #[schema(example = 2)]
    accepted: usize,
    /// Recorded before, under their keys.
    #[schema(example = 1)]
    duplicates: usize,
    /// Others than those that were recorded under their keys.
    #[schema(example = 0)]
    conflicts: usize,
    /// Not recorded: of unknown users, or with unfit values.
    #[schema(example = 0)]
    rejected: usize,
    /// Of each, in their order.
    results: Vec<EventResult>,
}

impl RecordedUsage {
    fn count(&self, metrics: &Metrics) {
        metrics.usage.add("accepted", self.accepted);
        metrics.usage.add("duplicate", self.duplicates);
        metrics.usage.add("conflict", self.conflicts);
        metrics.usage.add("rejected", self.rejected);
    }

    fn add(&mut self, outcome: Result<Recorded, String>) {
        let (status, id, error) = match outcome {
            Ok(Recorded::Accepted(id)) => {
                self.accepted += 1;
                ("accepted", Some(id), None)
            }
            Ok(Recorded::Duplicate(id)) => {
                self.duplicates += 1;
                ("duplicate", Some(id), None)
            }
            Ok(Recorded::Conflict(id)) => {
                self.conflicts += 1;
                ("conflict", Some(id), Some("the key was used for another event".to_owned()))
            }
            Ok(Recorded::UnknownUser) => {
                self.rejected += 1;
                ("rejected", None, Some("userId: there is no such account".to_owned()))
            }
            Err(why) => {
                self.rejected += 1;
                ("rejected", None, Some(why))
            }
        };
        let index = self.results.len();
        self.results.push(EventResult::new(index, status, id.map(|id| id.to_string()), error));
    }
}

/// Record usage.
///
/// For service keys of the scope `usage:write`. The answer comes after the commit. Events with a key count once, however often they
/// are sent. As `application/x-ndjson` there is an event in each line.
#[utoipa::path(
    operation_id = "recordUsage",
    tag = "usage",
    request_body(content((UsageEvents = "application/json"), (String = "application/x-ndjson"))),
    responses(
        (status = 200, description = "What became of each event", body = RecordedUsage),
        (status = 403, description = "The key lacks the scope"),
    ),
    security(("serviceKey" = []))
)]
#[post("/v1/usage/events")]
pub(super) async fn record(
    ports: Data<Ports>,
    metrics: Data<Metrics>,
    Program { by, asked, .. }: Program<UsageWrite, JsonOrLines<UsageEvents>>,
) -> Result<HttpResponse, ApiError> {
    let parsed: Vec<Result<NewUsageEvent, String>> = match &asked {
        JsonOrLines::Whole(told) => {
            told.events.iter().map(|event| EventDto::parse(event.get().as_bytes())).collect()
        }
        JsonOrLines::Lines(bytes) => {
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
            lines.take(MOST + 1).map(EventDto::parse).collect()
        }
    };
    if !(1..=MOST).contains(&parsed.len()) {
        let mut errors = FieldErrors::default();
        errors.note("events", format!("must be 1 to {MOST}"));
        return Err(errors.into());
    }
    let mut fit = Vec::with_capacity(parsed.len());
    let refusals: Vec<_> = parsed.into_iter().map(|event| event.map(|event| fit.push(event)).err()).collect();
    let mut outcomes = usage::record_usage(&ports, &by, fit).await?.into_iter();
    let mut recorded = RecordedUsage::default();
    for refusal in refusals {
        recorded.add(match refusal {
            Some(why) => Err(why),
            None => Ok(outcomes.next().ok_or(ApiError::Internal)?),
        });
    }
    recorded.count(&metrics);
    Ok(HttpResponse::Ok().json(recorded))
}

impl From<NotRecorded> for ApiError {
    fn from(error: NotRecorded) -> Self {
        match error {
            NotRecorded::Busy(after) => Self::UsageBusy(after),
            NotRecorded::Store(store) => Self::Store(store),
        }
    }
}

/// A row of usage.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Usage)]
pub(super) struct UsageDto {
    #[schema(example = "cmb3x0f5e0003abcd1234efgh")]
    id: String,
    #[schema(example = 1)]
    request_count: i32,
    #[schema(example = 200)]
    total_tokens: i32,
    /// US dollars, with ten decimals.
    #[schema(example = "0.0000300000")]
    total_cost: String,
    /// What for; null where it was not said.
    #[schema(example = "chat")]
    feature_type: Option<String>,
    /// When it happened.
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    created_at: String,
}

impl From<UsageRow> for UsageDto {
    fn from(row: UsageRow) -> Self {
        Self {
            id: row.id,
            request_count: row.requests,
            total_tokens: row.tokens,
            total_cost: cost(&row.cost),
            feature_type: row.feature,
            created_at: time(row.at),
        }
    }
}

fn list(page: UsagePage) -> List<UsageDto> {
    List::of(page, UsageDto::from, |next| cursor::of_row(LIST, next))
}

/// See your usage.
#[utoipa::path(
    operation_id = "listMyUsage",
    tag = "me",
    params(ListQuery),
    responses((status = 200, description = "A page of usage, newest first", body = List<UsageDto>)),
    security(("accessToken" = []))
)]
#[get("/v1/me/usage")]
pub(super) async fn list_mine(
    ports: Data<Ports>,
    caller: Authenticated,
    query: Params<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let (after, limit) = query.0.part(|text| cursor::row(LIST, text))?;
    let page = usage::list_usage(&ports, &caller.0, after, limit).await?;
    Ok(HttpResponse::Ok().json(list(page)))
}

/// See somebody's usage.
///
/// For support and administrators.
#[utoipa::path(
    operation_id = "listUserUsage",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account"), ListQuery),
    responses((status = 200, description = "A page of usage, newest first", body = List<UsageDto>)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/users/{id}/usage")]
pub(super) async fn list_theirs(
    ports: Data<Ports>,
    Support { by, asked: (Id(id), Params(query)) }: Support<(Id<UserId>, Params<ListQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let (after, limit) = query.part(|text| cursor::row(LIST, text))?;
    let page = admin::list_user_usage(&ports, &by, &id, after, limit).await?;
    Ok(HttpResponse::Ok().json(list(page.ok_or(ApiError::NotFound)?)))
}
