use chrono::TimeDelta;
use subtle_domain::Timestamp;
use subtle_domain::idempotency::Repeatable;
use subtle_domain::ids::{ReservationId, UserId};
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::quota::{QuotaExceeded, Reservation, ReservationEnd};
use subtle_domain::text::Label;
use subtle_domain::usage::{Month, Usage};
use subtle_domain::user::User;

use crate::again::again;
use crate::idempotent::{KeyTaken, Next, Once};
use crate::service_keys::Service;
use crate::{Ports, quotas};

/// An amount to be held.
#[derive(Debug, Clone)]
pub struct NewReservation {
    /// From whose budget.
    pub user_id: UserId,
    /// How much.
    pub held: Usage,
    /// What for.
    pub feature: Option<Label>,
    /// For how long.
    pub ttl: TimeDelta,
}

/// Why nothing is held.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// There is no such account, or it can't be used.
    #[error("there is no such account")]
    UnknownUser,
    /// More is wanted than is left.
    #[error(transparent)]
    Exceeded(#[from] Box<QuotaExceeded>),
    /// The idempotency key was used for another request.
    #[error(transparent)]
    KeyTaken(#[from] KeyTaken),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Holds an amount of a user's budget before it is used, or finds what the same request held before, as it was then.
///
/// Holds of one user are granted one after the other, so never more is granted than is left, by however many servers.
pub async fn reserve(
    ports: &Ports,
    by: &Service,
    new: NewReservation,
    request: Option<Repeatable>,
) -> Result<Reservation, ReserveError> {
    let now = ports.clock.now();
    let once = Once::new(by.caller(), request, now);
    again(|| attempt(ports, &new, &once, now)).await?
}

async fn attempt(
    ports: &Ports,
    new: &NewReservation,
    once: &Once,
    now: Timestamp,
) -> Result<Result<Reservation, ReserveError>, StoreError> {
    let mut unit = ports.store.begin().await?;
    let known = match once.claim(unit.as_mut()).await? {
        Next::Do => None,
        Next::Answer(id) => Some(held(&id, unit.as_mut()).await?.ok_or(ReserveError::UnknownUser)),
        Next::Refuse(taken) => Some(Err(taken.into())),
    };
    if let Some(known) = known {
        return unit.rollback().await.map(|()| known);
    }
    let user = unit.users().lock(&new.user_id).await?;
    let Some(user) = user.filter(User::is_active) else {
        return unit.rollback().await.map(|()| Err(ReserveError::UnknownUser));
    };
    let figures = unit.usage().quota(&user.id, Month::of(now), now).await?;
    if let Err(exceeded) = quotas::of_figures(ports, &user, figures, now).admit(&new.held) {
        return unit.rollback().await.map(|()| Err(exceeded.into()));
    }
    let reservation = Reservation {
        id: ports.ids.reservation_id(&user.id),
        user_id: user.id,
        held: new.held.clone(),
        feature: new.feature.clone(),
        created_at: now,
        expires_at: now + new.ttl,
        end: ReservationEnd::Open,
    };
    unit.usage().hold(&reservation).await?;
    once.keep(unit.as_mut(), &reservation.id.to_string()).await?;
    unit.commit().await.map(|()| Ok(reservation))
}

/// The hold as it was made, by what was kept with the key; `None` if it is gone.
async fn held(id: &str, unit: &mut dyn UnitOfWork) -> Result<Option<Reservation>, StoreError> {
    let Ok(id) = ReservationId::parse(id) else { return Ok(None) };
    let found = unit.usage().lock_reservation(&id).await?;
    Ok(found.map(|held| Reservation { end: ReservationEnd::Open, ..held }))
}

#[cfg(test)]
mod tests {
    use super::super::settle::tests::reservation;
    use super::*;
    use crate::service_keys::tests::service;
    use crate::test_ports::{self, NOW, ada, usage, was};
    use subtle_domain::idempotency::Claimed;
    use subtle_domain::ports::MockUnit;
    use subtle_domain::quota::QuotaFigures;
    use subtle_domain::text::IdempotencyKey;
    use subtle_domain::usage::UsageTotals;

    fn new(tokens: i64) -> NewReservation {
        let held = usage(1, tokens, "0");
        NewReservation { user_id: ada().id, held, feature: None, ttl: TimeDelta::minutes(5) }
    }

    fn request() -> Repeatable {
        Repeatable { key: IdempotencyKey::parse("k").unwrap(), fingerprint: [1; 32] }
    }

    /// A unit of work in which Ada has used 9,999,000 of her 10,000,000 tokens.
    fn unit() -> MockUnit {
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(ada())));
        unit.usage.expect_quota().returning(|_, _, _| {
            let used = UsageTotals { tokens: 9_999_000, ..UsageTotals::default() };
            Ok(QuotaFigures { used, ..QuotaFigures::default() })
        });
        unit
    }

    async fn ask(unit: MockUnit, new: NewReservation) -> (Result<Reservation, ReserveError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        let committed = mocks.expect_unit(unit);
        let answer = reserve(&mocks.ports(), &service(), new, Some(request())).await;
        (answer, was(&committed))
    }

    #[tokio::test]
    async fn what_is_left_is_held_and_the_answer_is_kept_with_it() {
        let mut unit = unit();
        unit.idempotency.expect_claim().returning(|claim| {
            assert_eq!(claim.caller, "key:k1");
            Ok(Claimed::First)
        });
        unit.usage
            .expect_hold()
            .withf(|made| made.expires_at == NOW + TimeDelta::minutes(5) && made.held == usage(1, 1_000, "0"))
            .times(1)
            .returning(|_| Ok(()));
        unit.idempotency
            .expect_keep()
            .withf(|_, answer| answer == "ada.r-new")
            .times(1)
            .returning(|_, _| Ok(()));
        let (answer, committed) = ask(unit, new(1_000)).await;
        assert_eq!(answer.unwrap().id.to_string(), "ada.r-new");
        assert!(committed);
    }

    #[tokio::test]
    async fn more_than_is_left_is_refused_and_no_answer_kept() {
        let mut unit = unit();
        unit.idempotency.expect_claim().returning(|_| Ok(Claimed::First));
        let (answer, committed) = ask(unit, new(1_001)).await;
        assert!(matches!(answer, Err(ReserveError::Exceeded(_))));
        assert!(!committed);
    }

    #[tokio::test]
    async fn a_repeated_request_gets_the_first_answer_and_holds_nothing() {
        let mut unit = MockUnit::default();
        unit.idempotency.expect_claim().returning(|_| Ok(Claimed::Answered("ada.r1".to_owned())));
        let released = reservation(ReservationEnd::Released);
        unit.usage.expect_lock_reservation().return_once(|_| Ok(Some(released)));
        assert_eq!(ask(unit, new(1)).await.0.unwrap(), reservation(ReservationEnd::Open));
        let mut unit = MockUnit::default();
        unit.idempotency.expect_claim().returning(|_| Ok(Claimed::Taken));
        assert!(matches!(ask(unit, new(1)).await.0, Err(ReserveError::KeyTaken(_))));
    }

    #[tokio::test]
    async fn nothing_is_held_for_an_account_that_cannot_be_used() {
        for user in [None, Some(User { disabled_at: Some(NOW), ..ada() })] {
            let mut unit = MockUnit::default();
            unit.idempotency.expect_claim().returning(|_| Ok(Claimed::First));
            unit.users.expect_lock().returning(move |_| Ok(user.clone()));
            let (answer, committed) = ask(unit, new(1)).await;
            assert!(matches!(answer, Err(ReserveError::UnknownUser)));
            assert!(!committed);
        }
    }
}
