use subtle_domain::Timestamp;
use subtle_domain::ids::{ReservationId, UsageId};
use subtle_domain::ports::StoreError;
use subtle_domain::quota::{Reservation, ReservationEnd};
use subtle_domain::usage::{Recorded, Usage, UsageEvent};

use crate::Ports;
use crate::again::again;
use crate::service_keys::Service;

/// A hold that became usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The hold.
    pub reservation: Reservation,
    /// The row of usage.
    pub usage_id: UsageId,
    /// What was used indeed.
    pub usage: Usage,
}

/// Why a hold is not settled.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// There is no such hold.
    #[error("there is no such reservation")]
    NotFound,
    /// It was given back.
    #[error("the reservation was released")]
    Released,
    /// It was settled with another usage.
    #[error("the reservation was settled with another usage")]
    SettledOtherwise,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes what was used indeed, more or less than was held, and ends the hold: exactly once. An expired hold may still be settled,
/// because the usage has happened; the same settlement again gets the same answer.
pub async fn settle(
    ports: &Ports,
    _by: &Service,
    id: &ReservationId,
    usage: Usage,
) -> Result<Settled, SettleError> {
    let now = ports.clock.now();
    again(|| attempt(ports, id, &usage, now)).await?
}

async fn attempt(
    ports: &Ports,
    id: &ReservationId,
    usage: &Usage,
    now: Timestamp,
) -> Result<Result<Settled, SettleError>, StoreError> {
    let mut unit = ports.store.begin().await?;
    // Who grants holds reads used and held at one moment under this lock.
    let user = unit.users().lock(id.user()).await?;
    let found = unit.usage().lock_reservation(id).await?;
    let refused = match (user, found) {
        (Some(_), Some(open)) if open.end == ReservationEnd::Open => {
            let event = event(ports, &open, usage, now);
            return match unit.usage().record(&event).await? {
                Recorded::Accepted(usage_id) => {
                    let end = ReservationEnd::Settled(usage_id.clone());
                    unit.usage().end_reservation(id, &end, now).await?;
                    unit.commit().await?;
                    let reservation = Reservation { end, ..open };
                    Ok(Ok(Settled { reservation, usage_id, usage: usage.clone() }))
                }
                // The person was erased: their budget is nobody's.
                Recorded::UnknownUser | Recorded::Duplicate(_) | Recorded::Conflict(_) => {
                    unit.rollback().await.map(|()| Err(SettleError::NotFound))
                }
            };
        }
        (Some(user), Some(ended)) => match &ended.end {
            ReservationEnd::Settled(usage_id) => {
                let written = unit.usage().event(&user.id, usage_id).await?;
                let same = written.is_some_and(|written| written.usage == *usage);
                let usage_id = usage_id.clone();
                let settled = Settled { usage_id, usage: usage.clone(), reservation: ended };
                if same { Ok(settled) } else { Err(SettleError::SettledOtherwise) }
            }
            ReservationEnd::Open | ReservationEnd::Released => Err(SettleError::Released),
        },
        (None, _) | (_, None) => Err(SettleError::NotFound),
    };
    unit.rollback().await.map(|()| refused)
}

fn event(ports: &Ports, open: &Reservation, usage: &Usage, now: Timestamp) -> UsageEvent {
    UsageEvent {
        id: ports.ids.usage_id(),
        user_id: open.user_id.clone(),
        usage: usage.clone(),
        feature: open.feature.clone(),
        key: None,
        at: now,
        at_given: false,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::service_keys::tests::service;
    use crate::test_ports::{self, NOW, ada, usage, was};
    use chrono::TimeDelta;
    use subtle_domain::ports::MockUnit;

    pub(in crate::quotas) fn reservation(end: ReservationEnd) -> Reservation {
        Reservation {
            id: id(),
            user_id: ada().id,
            held: usage(1, 100, "0"),
            feature: None,
            created_at: NOW - TimeDelta::hours(2),
            expires_at: NOW - TimeDelta::hours(1),
            end,
        }
    }

    pub(in crate::quotas) fn id() -> ReservationId {
        ReservationId::parse("ada.r1").unwrap()
    }

    pub(in crate::quotas) fn row() -> UsageId {
        UsageId::parse("u-new").unwrap()
    }

    fn unit(found: Option<Reservation>) -> MockUnit {
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(ada())));
        unit.usage.expect_lock_reservation().returning(move |_| Ok(found.clone()));
        unit
    }

    async fn ask(unit: MockUnit, usage: Usage) -> (Result<Settled, SettleError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        let committed = mocks.expect_unit(unit);
        let settled = settle(&mocks.ports(), &service(), &id(), usage).await;
        (settled, was(&committed))
    }

    #[tokio::test]
    async fn more_than_was_held_is_recorded_though_the_hold_has_expired() {
        let mut unit = unit(Some(reservation(ReservationEnd::Open)));
        unit.usage
            .expect_record()
            .withf(|event| event.usage == usage(1, 5_000, "0.1") && event.at == NOW)
            .times(1)
            .returning(|event| Ok(Recorded::Accepted(event.id.clone())));
        unit.usage
            .expect_end_reservation()
            .withf(|_, end, _| *end == ReservationEnd::Settled(row()))
            .times(1)
            .returning(|_, _, _| Ok(()));
        let (settled, committed) = ask(unit, usage(1, 5_000, "0.1")).await;
        assert_eq!(settled.unwrap().usage_id, row());
        assert!(committed);
    }

    #[tokio::test]
    async fn the_same_settlement_again_gets_the_same_answer_and_another_is_refused() {
        for (told, same) in [(usage(1, 5, "0"), true), (usage(1, 6, "0"), false)] {
            let mut unit = unit(Some(reservation(ReservationEnd::Settled(row()))));
            unit.usage.expect_event().returning(|_, _| {
                Ok(Some(UsageEvent {
                    id: row(),
                    user_id: ada().id,
                    usage: usage(1, 5, "0"),
                    feature: None,
                    key: None,
                    at: NOW,
                    at_given: false,
                }))
            });
            let (settled, committed) = ask(unit, told).await;
            assert!(!committed);
            match settled {
                Ok(settled) => assert!(same && settled.usage_id == row()),
                Err(error) => assert!(!same && matches!(error, SettleError::SettledOtherwise)),
            }
        }
    }

    #[tokio::test]
    async fn a_released_or_missing_hold_is_not_settled() {
        let released = ask(unit(Some(reservation(ReservationEnd::Released))), usage(1, 1, "0")).await;
        assert!(matches!(released, (Err(SettleError::Released), false)));
        let missing = ask(unit(None), usage(1, 1, "0")).await;
        assert!(matches!(missing, (Err(SettleError::NotFound), false)));
    }
}
