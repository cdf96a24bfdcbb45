//! Holds, and the limits that users have of their own.

use bigdecimal::BigDecimal;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use subtle_domain::Timestamp;
use subtle_domain::ids::{ReservationId, UsageId, UserId};
use subtle_domain::money::Cost;
use subtle_domain::ports::StoreError;
use subtle_domain::quota::{Limit, Metric, Reservation, ReservationEnd};
use subtle_domain::text::Label;
use subtle_domain::usage::{Count, Usage};

use crate::error::corrupt;
use crate::schema::{usage_reservations, user_quotas};

/// A hold as it lies in its table.
#[derive(Queryable, Selectable)]
#[diesel(table_name = usage_reservations, check_for_backend(diesel::pg::Pg))]
pub(super) struct ReservationRow {
    feature_type: Option<String>,
    request_count: i32,
    total_tokens: i32,
    total_cost: BigDecimal,
    created_at: Timestamp,
    expires_at: Timestamp,
    ended_at: Option<Timestamp>,
    usage_id: Option<String>,
}

impl ReservationRow {
    /// The hold, found under this identifier.
    pub(super) fn into_reservation(self, id: &ReservationId) -> Result<Reservation, StoreError> {
        let unfit = |column| move || corrupt("usage_reservations", column);
        let end = match (self.ended_at, self.usage_id) {
            (None, _) => ReservationEnd::Open,
            (Some(_), None) => ReservationEnd::Released,
            (Some(_), Some(row)) => {
                ReservationEnd::Settled(UsageId::try_from(row).ok().ok_or_else(unfit("usage_id"))?)
            }
        };
        Ok(Reservation {
            id: id.clone(),
            user_id: id.user().clone(),
            held: Usage {
                requests: Count::new(self.request_count.into()).ok().ok_or_else(unfit("request_count"))?,
                tokens: Count::new(self.total_tokens.into()).ok().ok_or_else(unfit("total_tokens"))?,
                cost: Cost::from_stored(self.total_cost),
            },
            feature: self.feature_type.map(Label::from_stored),
            created_at: self.created_at,
            expires_at: self.expires_at,
            end,
        })
    }
}

/// Writes a hold, open.
pub(super) async fn insert(
    reservation: &Reservation,
    connection: &mut AsyncPgConnection,
) -> QueryResult<usize> {
    diesel::insert_into(usage_reservations::table)
        .values((
            usage_reservations::id.eq(reservation.id.own()),
            usage_reservations::user_id.eq(reservation.user_id.as_str()),
            usage_reservations::feature_type.eq(reservation.feature.as_ref().map(Label::as_str)),
            usage_reservations::request_count.eq(reservation.held.requests.get()),
            usage_reservations::total_tokens.eq(reservation.held.tokens.get()),
            usage_reservations::total_cost.eq(reservation.held.cost.value()),
            usage_reservations::created_at.eq(reservation.created_at),
            usage_reservations::expires_at.eq(reservation.expires_at),
        ))
        .execute(connection)
        .await
}

/// Finds a hold and locks it.
pub(super) async fn lock(
    id: &ReservationId,
    connection: &mut AsyncPgConnection,
) -> QueryResult<Option<ReservationRow>> {
    usage_reservations::table
        .filter(usage_reservations::user_id.eq(id.user().as_str()))
        .filter(usage_reservations::id.eq(id.own()))
        .select(ReservationRow::as_select())
        .for_update()
        .first(connection)
        .await
        .optional()
}

/// Ends a hold that is open; tells how many were.
pub(super) async fn end(
    id: &ReservationId,
    end: &ReservationEnd,
    now: Timestamp,
    connection: &mut AsyncPgConnection,
) -> QueryResult<usize> {
    let (ended_at, usage_id) = match end {
        ReservationEnd::Open => (None, None),
        ReservationEnd::Released => (Some(now), None),
        ReservationEnd::Settled(row) => (Some(now), Some(row.as_str())),
    };
    diesel::update(usage_reservations::table)
        .filter(usage_reservations::user_id.eq(id.user().as_str()))
        .filter(usage_reservations::id.eq(id.own()))
        .filter(usage_reservations::ended_at.is_null())
        .set((usage_reservations::ended_at.eq(ended_at), usage_reservations::usage_id.eq(usage_id)))
        .execute(connection)
        .await
}

/// Deletes the limits that a user has of their own.
pub(super) async fn forget_limits(user: &UserId, connection: &mut AsyncPgConnection) -> QueryResult<usize> {
    diesel::delete(user_quotas::table)
        .filter(user_quotas::user_id.eq(user.as_str()))
        .execute(connection)
        .await
}

/// Writes limits; no amount is no limit.
pub(super) async fn add_limits(
    user: &UserId,
    own: &[(Metric, Limit)],
    connection: &mut AsyncPgConnection,
) -> QueryResult<usize> {
    let amount = |limit: &Limit| match limit {
        Limit::Unlimited => None,
        Limit::AtMost(amount) => Some(amount.clone()),
    };
    let row = |(metric, limit): &(Metric, Limit)| {
        (
            user_quotas::user_id.eq(user.as_str().to_owned()),
            user_quotas::metric.eq(metric.as_str()),
            user_quotas::amount.eq(amount(limit)),
        )
    };
    let rows: Vec<_> = own.iter().map(row).collect();
    if rows.is_empty() {
        return Ok(0);
    }
    diesel::insert_into(user_quotas::table).values(rows).execute(connection).await
}
