use actix_web::web::Data;
use actix_web::{HttpResponse, get, patch};
use bigdecimal::BigDecimal;
use serde::{Deserialize, Serialize};
use subtle_application::admin::{self, ChangeQuotaError, LimitChange};
use subtle_application::{Ports, quotas};
use subtle_domain::decimal::{self, InvalidDecimal};
use subtle_domain::ids::UserId;
use subtle_domain::quota::{self, Limit, Metric, Quota};
use utoipa::ToSchema;

use super::dto::{present, time};
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Admin, Authenticated, Id, Json, Support};

/// Where a budget stands in one metric. Amounts of cost are decimals as strings, others whole numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Standing {
    /// How much may be used in a month; null without a limit.
    #[schema(value_type = Option<serde_json::Value>, example = 10000)]
    limit: Option<Figure>,
    /// How much was used this month.
    #[schema(value_type = serde_json::Value, example = 120)]
    used: Figure,
    /// How much is held for calls under way.
    #[schema(value_type = serde_json::Value, example = 1)]
    reserved: Figure,
    /// How much is left, never below zero; null without a limit.
    #[schema(value_type = Option<serde_json::Value>, example = 9879)]
    remaining: Option<Figure>,
    /// When the month ends, UTC.
    #[schema(format = DateTime, example = "2026-12-01T00:00:00.000Z")]
    resets_at: String,
}

/// A whole number, or a decimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Figure {
    Whole(i64),
    Decimal(String),
}

impl Figure {
    fn of(metric: Metric, amount: &BigDecimal) -> Self {
        let text = quota::print(metric, amount);
        match metric {
            Metric::Requests | Metric::Tokens => text.parse().map_or(Self::Decimal(text), Self::Whole),
            Metric::Cost => Self::Decimal(text),
        }
    }
}

/// Where a budget stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Quota)]
pub(crate) struct QuotaDto {
    requests: Standing,
    tokens: Standing,
    /// US dollars.
    cost: Standing,
}

impl From<&Quota> for QuotaDto {
    fn from(quota: &Quota) -> Self {
        let standing = |metric| {
            let standing = quota.standing(metric);
            let figure = |amount: &_| Figure::of(metric, amount);
            Standing {
                limit: standing.limit.as_ref().map(figure),
                used: figure(&standing.used),
                reserved: figure(&standing.reserved),
                remaining: standing.remaining.as_ref().map(figure),
                resets_at: time(quota.resets_at),
            }
        };
        Self {
            requests: standing(Metric::Requests),
            tokens: standing(Metric::Tokens),
            cost: standing(Metric::Cost),
        }
    }
}

/// See where your budget stands.
#[utoipa::path(
    operation_id = "showMyQuota",
    tag = "me",
    responses((status = 200, description = "The budget of this month", body = QuotaDto)),
    security(("accessToken" = []))
)]
#[get("/v1/me/quota")]
pub(super) async fn show_mine(ports: Data<Ports>, caller: Authenticated) -> Result<HttpResponse, ApiError> {
    let quota = quotas::show_quota(&ports, &caller.0).await?.ok_or_else(ApiError::account_closed)?;
    Ok(HttpResponse::Ok().json(QuotaDto::from(&quota)))
}

/// See where somebody's budget stands.
///
/// For support and administrators.
#[utoipa::path(
    operation_id = "showUserQuota",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account")),
    responses((status = 200, description = "The budget of this month", body = QuotaDto)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/users/{id}/quota")]
pub(super) async fn show_theirs(
    ports: Data<Ports>,
    Support { by, asked: Id(id) }: Support<Id<UserId>>,
) -> Result<HttpResponse, ApiError> {
    let quota = admin::show_user_quota(&ports, &by, &id).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(QuotaDto::from(&quota)))
}

/// A limit in whole numbers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WholeLimit {
    /// At most this many; null for as many as one likes.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true, example = 20000, minimum = 0, maximum = 999_999_999_999_999_i64)]
    limit: Option<u64>,
}

/// A limit of cost.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CostLimit {
    /// At most this much, US dollars; null for as much as one likes.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true, example = "12.50")]
    limit: Option<String>,
}

/// Limits of a user's own. What is not named stays; null gives the tier's limit back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaRequest {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<WholeLimit>)]
    requests: Option<Option<WholeLimit>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<WholeLimit>)]
    tokens: Option<Option<WholeLimit>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<CostLimit>)]
    cost: Option<Option<CostLimit>>,
}

impl QuotaRequest {
    fn into_changes(self) -> Result<Vec<(Metric, LimitChange)>, ApiError> {
        let mut errors = FieldErrors::default();
        let whole = |limit: Option<WholeLimit>| {
            change(limit.map(|own| own.limit.map(|most| most.to_string())), 15, 0)
        };
        let cost = |limit: Option<CostLimit>| change(limit.map(|own| own.limit), 10, 10);
        let changes = [
            (Metric::Requests, "requests.limit", self.requests.map(whole)),
            (Metric::Tokens, "tokens.limit", self.tokens.map(whole)),
            (Metric::Cost, "cost.limit", self.cost.map(cost)),
        ];
        let changes = changes
            .into_iter()
            .filter_map(|(metric, field, change)| Some((metric, errors.take(field, change?)?)));
        let changes = changes.collect();
        if errors.is_empty() { Ok(changes) } else { Err(errors.into()) }
    }
}

/// What becomes of a limit: the tier's, none, or a number of so many digits.
fn change(own: Option<Option<String>>, integer: u8, scale: u8) -> Result<LimitChange, InvalidDecimal> {
    Ok(match own {
        None => LimitChange::OfTier,
        Some(None) => LimitChange::Own(Limit::Unlimited),
        Some(Some(most)) => LimitChange::Own(Limit::AtMost(decimal::parse(&most, integer, scale)?)),
    })
}

/// Give a user limits of their own.
///
/// The change and its audit entry commit together.
#[utoipa::path(
    operation_id = "changeUserQuota",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account")),
    request_body = QuotaRequest,
    responses((status = 200, description = "The budget as it stands now", body = QuotaDto)),
    security(("accessToken" = []))
)]
#[patch("/v1/admin/users/{id}/quota")]
pub(super) async fn change_theirs(
    ports: Data<Ports>,
    Admin { by, asked: (Id(id), Json(asked)) }: Admin<(Id<UserId>, Json<QuotaRequest>)>,
) -> Result<HttpResponse, ApiError> {
    let quota = admin::change_quota(&ports, &by, &id, &asked.into_changes()?).await?;
    Ok(HttpResponse::Ok().json(QuotaDto::from(&quota)))
}

impl From<ChangeQuotaError> for ApiError {
    fn from(error: ChangeQuotaError) -> Self {
        match error {
            ChangeQuotaError::NotFound => Self::NotFound,
            ChangeQuotaError::Forbidden(why) => why.into(),
            ChangeQuotaError::Store(store) => Self::Store(store),
        }
    }
}
