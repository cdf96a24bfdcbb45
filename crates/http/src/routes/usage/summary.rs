use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use subtle_application::usage::{self, UsageSummary};
use subtle_application::{Ports, admin};
use subtle_domain::ids::UserId;
use subtle_domain::usage::{Days, UsageGroup, UsageGrouping, UsageTotals};
use utoipa::{IntoParams, ToSchema};

use super::event::cost;
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Authenticated, Id, Params, Support};
use crate::routes::dto::day;

/// Which usage to sum up, and how.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::routes) struct SummaryQuery {
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

/// Sums of a day.
#[derive(Serialize, ToSchema)]
pub(in crate::routes) struct DayDto {
    /// The day, UTC.
    #[schema(format = Date, example = "2026-11-25")]
    day: String,
    #[serde(flatten)]
    totals: Totals,
}

impl DayDto {
    pub(in crate::routes) fn new(day: NaiveDate, totals: &UsageTotals) -> Self {
        Self { day: day.to_string(), totals: totals.into() }
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
pub(in crate::routes) struct SummaryDto {
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
pub(in crate::routes) async fn summarize_mine(
    ports: Data<Ports>,
    caller: Authenticated,
    query: Params<SummaryQuery>,
) -> Result<HttpResponse, ApiError> {
    let (days, by) = query.0.into_parts()?;
    let summary = usage::summarize_usage(&ports, &caller.0, days, by).await?;
    Ok(HttpResponse::Ok().json(SummaryDto::from(summary)))
}

/// See somebody's usage in sums.
///
/// For support and administrators.
#[utoipa::path(
    operation_id = "summarizeUserUsage",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account"), SummaryQuery),
    responses((status = 200, description = "The sums", body = SummaryDto)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/users/{id}/usage/summary")]
pub(in crate::routes) async fn summarize_theirs(
    ports: Data<Ports>,
    Support { by, asked: (Id(id), Params(query)) }: Support<(Id<UserId>, Params<SummaryQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let (days, grouping) = query.into_parts()?;
    let summary = admin::summarize_user_usage(&ports, &by, &id, days, grouping).await?;
    Ok(HttpResponse::Ok().json(SummaryDto::from(summary.ok_or(ApiError::NotFound)?)))
}
