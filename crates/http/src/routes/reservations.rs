use actix_web::web::Data;
use actix_web::{HttpResponse, delete, post};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use subtle_application::Ports;
use subtle_application::quotas::{self, NewReservation, ReleaseError, ReserveError, SettleError};
use subtle_domain::ids::{ReservationId, UserId};
use subtle_domain::quota::{self, QuotaExceeded, Reservation};
use subtle_domain::text::Label;
use subtle_domain::usage::Usage;
use utoipa::ToSchema;

use super::QuotaDto;
use super::dto::time;
use super::usage::{Amounts, cost};
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Id, Json, Program, QuotaWrite, Repeat};
use crate::turns::Turns;

/// For how long an amount is held, unless it is said.
const TTL: u32 = 300;

/// An amount to be held before it is used.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ReserveRequest {
    /// From whose budget.
    #[schema(example = "cmb3x0f5e0000abcd1234efgh")]
    user_id: String,
    /// What for: 1 to 100 characters.
    #[schema(example = "chat")]
    feature_type: Option<String>,
    /// Requests: 0 to 2³¹ − 1; one, if it is not said.
    #[schema(example = 1, minimum = 0, maximum = 2_147_483_647)]
    request_count: Option<i64>,
    /// Tokens: 0 to 2³¹ − 1; none, if it is not said.
    #[schema(example = 4000, minimum = 0, maximum = 2_147_483_647)]
    total_tokens: Option<i64>,
    /// US dollars; nothing, if it is not said.
    #[schema(example = "0.02")]
    total_cost: Option<String>,
    /// For how long, in seconds: 1 to 3,600.
    #[schema(example = 300, minimum = 1, maximum = 3600, default = 300)]
    ttl_seconds: Option<u32>,
}

impl ReserveRequest {
    fn into_reservation(self) -> Result<NewReservation, ApiError> {
        let mut errors = FieldErrors::default();
        let user_id = errors.take("userId", UserId::parse(&self.user_id));
        let feature = errors.take("featureType", self.feature_type.as_deref().map(Label::parse).transpose());
        let ttl = self.ttl_seconds.unwrap_or(TTL);
        if !(1..=3_600).contains(&ttl) {
            errors.note("ttlSeconds", "must be from 1 to 3600");
        }
        let amounts = Amounts {
            request_count: self.request_count,
            total_tokens: self.total_tokens,
            total_cost: self.total_cost,
        };
        let held = amounts.into_usage(&mut errors);
        if held.as_ref().is_some_and(Usage::is_nothing) {
            errors.note("", "must hold something");
        }
        match (user_id, feature, held) {
            (Some(user_id), Some(feature), Some(held)) if errors.is_empty() => {
                Ok(NewReservation { user_id, held, feature, ttl: TimeDelta::seconds(ttl.into()) })
            }
            _ => Err(errors.into()),
        }
    }
}

/// An amount that is held.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Reservation)]
pub(super) struct ReservationDto {
    /// Under which it is settled or released.
    #[schema(example = "cmb3x0f5e0000abcd1234efgh.cmb3x0f5e0004abcd1234efgh")]
    id: String,
    #[schema(example = "cmb3x0f5e0000abcd1234efgh")]
    user_id: String,
    #[schema(example = "chat")]
    feature_type: Option<String>,
    #[schema(example = 1)]
    request_count: i32,
    #[schema(example = 4000)]
    total_tokens: i32,
    /// US dollars, with ten decimals.
    #[schema(example = "0.0200000000")]
    total_cost: String,
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    created_at: String,
    /// When it counts no more.
    #[schema(format = DateTime, example = "2026-11-25T08:05:00.000Z")]
    expires_at: String,
}

impl From<&Reservation> for ReservationDto {
    fn from(held: &Reservation) -> Self {
        Self {
            id: held.id.to_string(),
            user_id: held.user_id.to_string(),
            feature_type: held.feature.as_ref().map(|feature| feature.as_str().to_owned()),
            request_count: held.held.requests.get(),
            total_tokens: held.held.tokens.get(),
            total_cost: cost(held.held.cost.value()),
            created_at: time(held.created_at),
            expires_at: time(held.expires_at),
        }
    }
}

/// Hold an amount before it is used.
///
/// For service keys of the scope `quota:write`. It counts as used until it is settled or released, or expires. With an
/// `Idempotency-Key` the same request is answered as the first time.
#[utoipa::path(
    operation_id = "reserveUsage",
    tag = "usage",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters")),
    request_body = ReserveRequest,
    responses(
        (status = 201, description = "The amount is held", body = ReservationDto),
        (status = 402, description = "More is wanted than is left; `quota` says what is"),
        (status = 403, description = "The key lacks the scope"),
    ),
    security(("serviceKey" = []))
)]
#[post("/v1/usage/reservations")]
pub(super) async fn reserve(
    ports: Data<Ports>,
    turns: Data<Turns>,
    Program { by, asked, .. }: Program<QuotaWrite, Repeat<ReserveRequest>>,
) -> Result<HttpResponse, ApiError> {
    let new = asked.body.into_reservation()?;
    let _turn = Turns::take(&turns, new.user_id.as_str()).await?;
    let held = quotas::reserve(&ports, &by, new, asked.request).await?;
    Ok(HttpResponse::Created().json(ReservationDto::from(&held)))
}

/// What was used indeed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SettleRequest {
    /// Requests: 0 to 2³¹ − 1; one, if it is not said.
    #[schema(example = 1, minimum = 0, maximum = 2_147_483_647)]
    request_count: Option<i64>,
    /// Tokens: 0 to 2³¹ − 1.
    #[schema(example = 3120, minimum = 0, maximum = 2_147_483_647)]
    total_tokens: i64,
    /// US dollars.
    #[schema(example = "0.0156")]
    total_cost: String,
}

/// A settled hold.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Settlement)]
pub(super) struct SettledDto {
    #[schema(example = "cmb3x0f5e0000abcd1234efgh.cmb3x0f5e0004abcd1234efgh")]
    id: String,
    /// The row of usage.
    #[schema(example = "cmb3x0f5e0005abcd1234efgh")]
    usage_id: String,
    #[schema(example = 1)]
    request_count: i32,
    #[schema(example = 3120)]
    total_tokens: i32,
    /// US dollars, with ten decimals.
    #[schema(example = "0.0156000000")]
    total_cost: String,
}

/// Record what was used indeed, and end the hold.
///
/// More or less than was held, exactly once; the same settlement again gets the same answer. An expired hold is settled too: the usage
/// has happened.
#[utoipa::path(
    operation_id = "settleReservation",
    tag = "usage",
    params(("id" = String, Path, description = "Of a reservation")),
    request_body = SettleRequest,
    responses(
        (status = 200, description = "The usage is recorded", body = SettledDto),
        (status = 403, description = "The key lacks the scope"),
        (status = 409, description = "It was released, or settled with another usage"),
    ),
    security(("serviceKey" = []))
)]
#[post("/v1/usage/reservations/{id}/settle")]
pub(super) async fn settle(
    ports: Data<Ports>,
    turns: Data<Turns>,
    Program { by, asked: (Id(id), Json(told)), .. }: Program<
        QuotaWrite,
        (Id<ReservationId>, Json<SettleRequest>),
    >,
) -> Result<HttpResponse, ApiError> {
    let mut errors = FieldErrors::default();
    let amounts = Amounts {
        request_count: told.request_count,
        total_tokens: Some(told.total_tokens),
        total_cost: Some(told.total_cost),
    };
    let Some(usage) = amounts.into_usage(&mut errors) else { return Err(errors.into()) };
    let _turn = Turns::take(&turns, id.user().as_str()).await?;
    let settled = quotas::settle(&ports, &by, &id, usage).await?;
    Ok(HttpResponse::Ok().json(SettledDto {
        id: settled.reservation.id.to_string(),
        usage_id: settled.usage_id.to_string(),
        request_count: settled.usage.requests.get(),
        total_tokens: settled.usage.tokens.get(),
        total_cost: cost(settled.usage.cost.value()),
    }))
}

/// Give a hold back.
#[utoipa::path(
    operation_id = "releaseReservation",
    tag = "usage",
    params(("id" = String, Path, description = "Of a reservation")),
    responses(
        (status = 204, description = "It counts no more"),
        (status = 403, description = "The key lacks the scope"),
        (status = 409, description = "It was settled"),
    ),
    security(("serviceKey" = []))
)]
#[delete("/v1/usage/reservations/{id}")]
pub(super) async fn release(
    ports: Data<Ports>,
    turns: Data<Turns>,
    Program { by, asked: Id(id), .. }: Program<QuotaWrite, Id<ReservationId>>,
) -> Result<HttpResponse, ApiError> {
    let _turn = Turns::take(&turns, id.user().as_str()).await?;
    quotas::release(&ports, &by, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What is wanted, and what is left, in words.
fn explain(exceeded: &QuotaExceeded) -> String {
    let parts = exceeded.wanted.iter().map(|(metric, wanted)| {
        let left = exceeded.quota.standing(*metric).remaining.unwrap_or_default();
        format!("{metric}: {} wanted, {} left", quota::print(*metric, wanted), quota::print(*metric, &left))
    });
    let parts: Vec<_> = parts.collect();
    format!("{} until {}", parts.join("; "), time(exceeded.quota.resets_at))
}

impl From<ReserveError> for ApiError {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::UnknownUser => unknown_user(),
            ReserveError::Exceeded(exceeded) => {
                Self::QuotaExceeded(explain(&exceeded), Box::new(QuotaDto::from(&exceeded.quota)))
            }
            ReserveError::KeyTaken(_) => Self::KeyTaken,
            ReserveError::Store(store) => Self::Store(store),
        }
    }
}

/// A body names somebody who is not there.
pub(super) fn unknown_user() -> ApiError {
    let mut errors = FieldErrors::default();
    errors.note("userId", "there is no such account");
    errors.into()
}

impl From<SettleError> for ApiError {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::NotFound => Self::NotFound,
            SettleError::Released | SettleError::SettledOtherwise => Self::ReservationOver(error.to_string()),
            SettleError::Store(store) => Self::Store(store),
        }
    }
}

impl From<ReleaseError> for ApiError {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::NotFound => Self::NotFound,
            ReleaseError::Settled => Self::ReservationOver(error.to_string()),
            ReleaseError::Store(store) => Self::Store(store),
        }
    }
}
