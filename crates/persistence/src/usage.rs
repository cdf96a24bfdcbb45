//! Usage: written in batches, summed by day in the same statement, read from the sums.

mod figures;
mod log;
mod record;
mod reservations;

pub use figures::PgUsageReports;
pub use log::{PgUsageLog, UsageWriters, WrittenUsage};

use async_trait::async_trait;
use subtle_domain::Timestamp;
use subtle_domain::ids::{ReservationId, UsageId, UserId};
use subtle_domain::ports::{StoreError, UsageRepository};
use subtle_domain::quota::{Limit, Metric, QuotaFigures, Reservation, ReservationEnd};
use subtle_domain::usage::{Month, Recorded, UsageEvent};

use self::record::Batch;
use crate::unit_of_work::PgUnitOfWork;

/// A hold that the caller holds a lock on, or believes to, is not there or was ended.
#[derive(Debug, thiserror::Error)]
#[error("there is no such open reservation")]
struct NotOpen;

#[async_trait]
impl UsageRepository for PgUnitOfWork {
    async fn record(&mut self, event: &UsageEvent) -> Result<Recorded, StoreError> {
        let batch = Batch::of(std::iter::once(event));
        let written = step!(self, connection => batch.write(connection))?;
        let earlier = if written.leaves_questions() {
            step!(self, connection => batch.earlier(&written, connection))
        } else {
            Ok(Vec::new())
        };
        let judged = written.judge(&[event], earlier).into_iter().next();
        judged.unwrap_or_else(|| Err(StoreError::Defect("an event was not judged".into())))
    }

    async fn quota(
        &mut self,
        user: &UserId,
        month: Month,
        now: Timestamp,
    ) -> Result<QuotaFigures, StoreError> {
        let rows = step!(self, connection => figures::quota(user, month, now, connection))?;
        figures::into_quota(rows)
    }

    async fn set_own_limits(&mut self, user: &UserId, own: &[(Metric, Limit)]) -> Result<(), StoreError> {
        step!(self, connection => reservations::forget_limits(user, connection))?;
        step!(self, connection => reservations::add_limits(user, own, connection))?;
        Ok(())
    }

    async fn hold(&mut self, reservation: &Reservation) -> Result<(), StoreError> {
        step!(self, connection => reservations::insert(reservation, connection))?;
        Ok(())
    }

    async fn lock_reservation(&mut self, id: &ReservationId) -> Result<Option<Reservation>, StoreError> {
        let row = step!(self, connection => reservations::lock(id, connection))?;
        row.map(|row| row.into_reservation(id)).transpose()
    }

    async fn end_reservation(
        &mut self,
        id: &ReservationId,
        end: &ReservationEnd,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ended = step!(self, connection => reservations::end(id, end, now, connection))?;
        if ended == 1 { Ok(()) } else { Err(StoreError::Conflict(Box::new(NotOpen))) }
    }

    async fn event(&mut self, user: &UserId, id: &UsageId) -> Result<Option<UsageEvent>, StoreError> {
        let row = step!(self, connection => record::find(user, id, connection))?;
        row.map(UsageEvent::try_from).transpose()
    }
}
