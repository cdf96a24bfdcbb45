use async_trait::async_trait;
use chrono::NaiveDate;

use super::StoreError;
use crate::Timestamp;
use crate::ids::{ReservationId, UsageId, UserId};
use crate::quota::{Limit, Metric, QuotaFigures, Reservation, ReservationEnd};
use crate::throttle::RetryAfter;
use crate::usage::{
    Days, Month, Recorded, UsageCursor, UsageEvent, UsageGroup, UsageGrouping, UsageRow, UsageTotals,
};

/// Why events were not recorded. None of those handed over together is then known to be: they may be sent again under their keys.
#[derive(Debug, thiserror::Error)]
pub enum NotRecorded {
    /// More wait to be written than the queue takes.
    #[error("too many events are waiting to be written")]
    Busy(RetryAfter),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where usage is recorded. Events that arrive together are written together; each call ends after the commit of its own.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait UsageLog: Send + Sync {
    /// Records events, each judged on its own: what became of each, in their order.
    async fn record(&self, events: Vec<UsageEvent>) -> Result<Vec<Recorded>, NotRecorded>;
}

/// Reading what was used.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait UsageReports: Send + Sync {
    /// Rows of one user, newest first: at most `limit`, behind `after`.
    async fn rows(
        &self,
        user: &UserId,
        after: Option<UsageCursor>,
        limit: u32,
    ) -> Result<Vec<UsageRow>, StoreError>;
    /// Sums over some days, in the order of their groups. Read from the daily rollup.
    async fn groups(
        &self,
        user: &UserId,
        days: Days,
        by: UsageGrouping,
    ) -> Result<Vec<(UsageGroup, UsageTotals)>, StoreError>;
    /// Sums of single days, the last first: at most `limit` that begin before a moment. Read from the daily rollup.
    async fn days(
        &self,
        user: &UserId,
        before: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<(NaiveDate, UsageTotals)>, StoreError>;
    /// What a user's budget is made of: used in `month`, held at `now`.
    async fn quota(&self, user: &UserId, month: Month, now: Timestamp) -> Result<QuotaFigures, StoreError>;
}

/// Usage and holds inside a unit of work.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait UsageRepository: Send {
    /// Records one event.
    async fn record(&mut self, event: &UsageEvent) -> Result<Recorded, StoreError>;
    /// As [`UsageReports::quota`], all of one moment. Whoever holds must hold the account's lock first.
    async fn quota(
        &mut self,
        user: &UserId,
        month: Month,
        now: Timestamp,
    ) -> Result<QuotaFigures, StoreError>;
    /// Replaces the limits that a user has of their own.
    async fn set_own_limits(&mut self, user: &UserId, own: &[(Metric, Limit)]) -> Result<(), StoreError>;
    /// Holds an amount.
    async fn hold(&mut self, reservation: &Reservation) -> Result<(), StoreError>;
    /// A hold, which nobody else ends before this unit of work does.
    async fn lock_reservation(&mut self, id: &ReservationId) -> Result<Option<Reservation>, StoreError>;
    /// Ends an open hold.
    async fn end_reservation(
        &mut self,
        id: &ReservationId,
        end: &ReservationEnd,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// The event that a row was written from.
    async fn event(&mut self, user: &UserId, id: &UsageId) -> Result<Option<UsageEvent>, StoreError>;
}
