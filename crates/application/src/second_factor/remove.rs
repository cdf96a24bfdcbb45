use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::letter::LetterKind;
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::session::ClientInfo;
use subtle_domain::throttle::RetryAfter;
use subtle_domain::user::User;

use crate::Ports;
use crate::again::{again, conclude};
use crate::sessions::FreshCaller;

/// Why there is nothing to change about a second factor.
#[derive(Debug, thiserror::Error)]
pub enum NoSecondFactor {
    /// The account has none.
    #[error("the account has no second factor")]
    Off,
    /// It was changed too often.
    #[error("too many changes of the second factor")]
    TooMany(RetryAfter),
    /// The account can't be used any more.
    #[error("the account is closed")]
    Closed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes the caller's second factor away, and tells them by a letter.
pub async fn remove_second_factor(ports: &Ports, caller: &FreshCaller) -> Result<(), NoSecondFactor> {
    let (caller, now) = (caller.caller(), ports.clock.now());
    let removed = again(|| async {
        let mut unit = ports.store.begin().await?;
        let removed = match with_factor(unit.users().lock(&caller.user_id).await?) {
            Ok(user) => Ok(remove_within(ports, unit.as_mut(), user, &caller.client, now).await?),
            Err(refused) => Err(refused),
        };
        conclude(unit, removed).await
    });
    removed.await??;
    ports.record(&caller.user_id, ActivityAction::SecondFactorRemoved, &caller.client, now);
    Ok(())
}

/// An account that has a second factor.
pub(super) fn with_factor(user: Option<User>) -> Result<User, NoSecondFactor> {
    let user = user.filter(User::is_active).ok_or(NoSecondFactor::Closed)?;
    if user.second_factor_at.is_some() { Ok(user) } else { Err(NoSecondFactor::Off) }
}

/// Takes the second factor of an account away within a unit of work, which has locked it.
pub(crate) async fn remove_within(
    ports: &Ports,
    unit: &mut dyn UnitOfWork,
    mut user: User,
    client: &ClientInfo,
    now: Timestamp,
) -> Result<(), StoreError> {
    (user.second_factor_at, user.updated_at) = (None, now);
    unit.users().save(&user).await?;
    unit.second_factors().remove(&user.id).await?;
    let kind = LetterKind::SecondFactorRemoved;
    unit.outbox().add(&ports.letter(&user.id, kind, &user.email, client, now)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::fresh;
    use crate::test_ports::{self, NOW, ada, ada_with_factor, was};
    use subtle_domain::ports::MockUnit;

    #[tokio::test]
    async fn nothing_is_left_of_it_and_a_letter_tells() {
        let mut mocks = test_ports::Mocks::default();
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(ada_with_factor())));
        unit.users.expect_save().withf(|user| user.second_factor_at.is_none()).times(1).returning(|_| Ok(()));
        unit.second_factors.expect_remove().times(1).returning(|_| Ok(()));
        test_ports::expect_letters(&mut unit, &[(LetterKind::SecondFactorRemoved, "ada@example.com")]);
        let committed = mocks.expect_unit(unit);
        mocks.expect_activity(&[ActivityAction::SecondFactorRemoved]);
        remove_second_factor(&mocks.ports(), &fresh()).await.unwrap();
        assert!(was(&committed));
    }

    #[tokio::test]
    async fn who_has_none_and_who_is_gone_are_left_as_they_are() {
        for user in [Some(ada()), Some(User { disabled_at: Some(NOW), ..ada_with_factor() }), None] {
            let mut mocks = test_ports::Mocks::default();
            let mut unit = MockUnit::default();
            let has_none = user == Some(ada());
            unit.users.expect_lock().return_once(|_| Ok(user));
            let committed = mocks.expect_unit(unit);
            let refused = remove_second_factor(&mocks.ports(), &fresh()).await.unwrap_err();
            assert_eq!(matches!(refused, NoSecondFactor::Off), has_none);
            assert!(!was(&committed));
        }
    }
}
