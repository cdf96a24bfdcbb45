use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use subtle_application::Ports;
use subtle_application::usage::{self, NewUsageEvent, UsageSummary};
use subtle_domain::ports::NotRecorded;
use subtle_domain::usage::{Days, Recorded, UsageGroup, UsageGrouping, UsageRow, UsageTotals};
use utoipa::{IntoParams, ToSchema};

use super::dto::{ListQuery, time};
use crate::cursor;
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Authenticated, Params, Program, Told, UsageWrite};

mod event;

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

/// What became of an event.
#[derive(Serialize, ToSchema)]
struct EventResult {
    /// Its place in the request, from 0.
    #[schema(example = 0)]
    index: usize,
    /// `accepted`, `duplicate`, `conflict` or `rejected`.
    #[schema(example = "accepted")]
    status: &'static str,
    /// The row of usage; of a duplicate or a conflict, the one that was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "cmb3x0f5e0003abcd1234efgh")]
    id: Option<String>,
    /// Why it was not recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "totalCost: must be a plain decimal such as \"12.34\"")]
    error: Option<String>,
}

impl RecordedUsage {
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
        self.results.push(EventResult { index, status, id: id.map(|id| id.to_string()), error });
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
    Program { by, asked, .. }: Program<UsageWrite, Told<UsageEvents>>,
) -> Result<HttpResponse, ApiError> {
    let parsed: Vec<Result<NewUsageEvent, String>> = match &asked {
        Told::Whole(told) => {
            told.events.iter().map(|event| EventDto::parse(event.get().as_bytes())).collect()
        }
        Told::Lines(bytes) => {
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
            lines.take(MOST + 1).map(EventDto::parse).collect()
        }
    };
    if !(1..=MOST).contains(&parsed.len()) {
        let mut errors = FieldErrors::default();
        errors.note("events", format!("must be 1 to {MOST}"));
        return Err(errors.into());
    }
    let fit = parsed.iter().filter_map(|event| event.as_ref().ok()).cloned().collect();
    let mut outcomes = usage::record_usage(&ports, &by, fit).await?.into_iter();
    let mut recorded = RecordedUsage::default();
    for event in parsed {
        match event {
            Ok(_) => recorded.add(Ok(outcomes.next().ok_or(ApiError::Internal)?)),
            Err(why) => recorded.add(Err(why)),
        }
    }
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
struct UsageDto {
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

/// A page of usage, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageList {
    items: Vec<UsageDto>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<String>,
}

/// See your usage.
#[utoipa::path(
    operation_id = "listMyUsage",
    tag = "me",
    params(ListQuery),
    responses((status = 200, description = "A page of usage, newest first", body = UsageList)),
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
    let next_cursor = page.next.map(|next| cursor::of_row(LIST, &next));
    let items = page.items.into_iter().map(UsageDto::from).collect();
    Ok(HttpResponse::Ok().json(UsageList { items, next_cursor }))
}

/// Which usage to sum up, and how.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct SummaryQuery {
    /// The first day, UTC; the first of this month if neither end is given.
    #[param(format = Date, example = "2026-11-01")]
    from: Option<String>,
    /// The last day, UTC; the last of this month if neither end is given.
    #[param(format = Date, example = "2026-11-30")]
    to: Option<String>,
    /// `day` or `feature`.
    #[param(default = "day")]
    group_by: Option<String>,
}

impl SummaryQuery {
    fn into_parts(self) -> Result<(Option<Days>, UsageGrouping), ApiError> {
        let mut errors = FieldErrors::default();
        let from = errors.take("from", self.from.as_deref().map(day).transpose()).flatten();
        let to = errors.take("to", self.to.as_deref().map(day).transpose()).flatten();
        let by = self.group_by.as_deref().unwrap_or("day");
        let by = errors.take("groupBy", UsageGrouping::parse(by).ok_or("must be day or feature"));
        let days = match (from, to) {
            (Some(from), Some(to)) if from <= to => Some(Days { from, to }),
            (Some(_), Some(_)) => {
                errors.note("to", "must not be before from");
                None
            }
            (None, None) => None,
            (Some(_), None) => {
                errors.note("to", "is required with from");
                None
            }
            (None, Some(_)) => {
                errors.note("from", "is required with to");
                None
            }
        };
        match by {
            Some(by) if errors.is_empty() => Ok((days, by)),
            _ => Err(errors.into()),
        }
    }
}

fn day(text: &str) -> Result<NaiveDate, &'static str> {
    let wrong = "must be a day from 1970-01-01 to 9999-12-31";
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_told_as_a_whole| wrong)?;
    let within = text.len() == 10 && text >= "1970-01-01";
    if within { Ok(day) } else { Err(wrong) }
}

/// Sums of usage.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Totals {
    #[schema(example = 12)]
    request_count: i64,
    #[schema(example = 3400)]
    total_tokens: i64,
    /// US dollars, with ten decimals.
    #[schema(example = "0.0512300000")]
    total_cost: String,
}

impl From<&UsageTotals> for Totals {
    fn from(totals: &UsageTotals) -> Self {
        Self { request_count: totals.requests, total_tokens: totals.tokens, total_cost: cost(&totals.cost) }
    }
}

/// Sums of a day or a feature.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Group {
    /// The day, UTC, where groups are days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Date, example = "2026-11-25")]
    day: Option<String>,
    /// The feature, where groups are features; null for usage that names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "chat")]
    feature_type: Option<Option<String>>,
    #[serde(flatten)]
    totals: Totals,
}

/// Usage in sums.
#[derive(Serialize, ToSchema)]
#[schema(as = UsageSummary)]
pub(super) struct SummaryDto {
    /// The first day, UTC.
    #[schema(format = Date, example = "2026-11-01")]
    from: String,
    /// The last day, UTC.
    #[schema(format = Date, example = "2026-11-30")]
    to: String,
    /// All in all.
    total: Totals,
    /// By day or feature, in their order.
    groups: Vec<Group>,
}

impl From<UsageSummary> for SummaryDto {
    fn from(summary: UsageSummary) -> Self {
        let group = |(group, totals): &(UsageGroup, UsageTotals)| {
            let (day, feature_type) = match group {
                UsageGroup::Day(day) => (Some(day.to_string()), None),
                UsageGroup::Feature(feature) => (None, Some(feature.clone())),
            };
            Group { day, feature_type, totals: totals.into() }
        };
        Self {
            from: summary.days.from.to_string(),
            to: summary.days.to.to_string(),
            total: (&summary.total).into(),
            groups: summary.groups.iter().map(group).collect(),
        }
    }
}

/// See your usage in sums.
#[utoipa::path(
    operation_id = "summarizeMyUsage",
    tag = "me",
    params(SummaryQuery),
    responses((status = 200, description = "The sums", body = SummaryDto)),
    security(("accessToken" = []))
)]
#[get("/v1/me/usage/summary")]
pub(super) async fn summarize_mine(
    ports: Data<Ports>,
    caller: Authenticated,
    query: Params<SummaryQuery>,
) -> Result<HttpResponse, ApiError> {
    let (days, by) = query.0.into_parts()?;
    let summary = usage::summarize_usage(&ports, &caller.0, days, by).await?;
    Ok(HttpResponse::Ok().json(SummaryDto::from(summary)))
}
