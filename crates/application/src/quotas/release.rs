use subtle_domain::ids::ReservationId;
use subtle_domain::ports::StoreError;
use subtle_domain::quota::ReservationEnd;

use crate::Ports;
use crate::again::again;
use crate::service_keys::Service;

/// Why a hold is not given back.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// There is no such hold.
    #[error("there is no such reservation")]
    NotFound,
    /// It has become usage.
    #[error("the reservation was settled")]
    Settled,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives a hold back. One that was given back or has expired is as good as given back.
pub async fn release(ports: &Ports, _by: &Service, id: &ReservationId) -> Result<(), ReleaseError> {
    let now = ports.clock.now();
    let released = again(|| async {
        let mut unit = ports.store.begin().await?;
        let found = unit.usage().lock_reservation(id).await?;
        let outcome = match found.map(|found| found.end) {
            Some(ReservationEnd::Open) => {
                unit.usage().end_reservation(id, &ReservationEnd::Released, now).await?;
                return unit.commit().await.map(Ok);
            }
            Some(ReservationEnd::Released) => Ok(()),
            Some(ReservationEnd::Settled(_)) => Err(ReleaseError::Settled),
            None => Err(ReleaseError::NotFound),
        };
        unit.rollback().await.map(|()| outcome)
    });
    released.await?
}

#[cfg(test)]
mod tests {
    use super::super::settle::tests::{id, reservation, row};
    use super::*;
    use crate::service_keys::tests::service;
    use crate::test_ports::{self, was};
    use subtle_domain::ports::MockUnit;

    async fn ask(end: Option<ReservationEnd>) -> (Result<(), ReleaseError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        let mut unit = MockUnit::default();
        if end == Some(ReservationEnd::Open) {
            unit.usage
                .expect_end_reservation()
                .withf(|_, end, _| *end == ReservationEnd::Released)
                .times(1)
                .returning(|_, _, _| Ok(()));
        }
        unit.usage.expect_lock_reservation().returning(move |_| Ok(end.clone().map(reservation)));
        let committed = mocks.expect_unit(unit);
        (release(&mocks.ports(), &service(), &id()).await, was(&committed))
    }

    #[tokio::test]
    async fn an_open_hold_is_given_back_and_a_second_time_changes_nothing() {
        assert!(matches!(ask(Some(ReservationEnd::Open)).await, (Ok(()), true)));
        assert!(matches!(ask(Some(ReservationEnd::Released)).await, (Ok(()), false)));
    }

    #[tokio::test]
    async fn a_settled_or_missing_hold_is_not_given_back() {
        let settled = ask(Some(ReservationEnd::Settled(row()))).await;
        assert!(matches!(settled, (Err(ReleaseError::Settled), false)));
        assert!(matches!(ask(None).await, (Err(ReleaseError::NotFound), false)));
    }
}
