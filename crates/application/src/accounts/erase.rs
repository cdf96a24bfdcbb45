use subtle_domain::Timestamp;
use subtle_domain::password::PasswordHash;
use subtle_domain::ports::{Revocation, StoreError, UnitOfWork};
use subtle_domain::user::User;

use crate::Ports;
use crate::again::again;
use crate::sessions::FreshCaller;

/// Why nobody was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The account can't be used any more.
    #[error("the account is closed")]
    Closed,
    /// An administrator must be demoted by another one first: so there is always one left, and it is in the audit trail.
    #[error("administrators cannot erase their own account")]
    Administrator,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Erases the caller: the account becomes a tombstone to which ledger and usage stay attached, and everything else that is
/// about the person is deleted.
pub async fn erase_own_account(ports: &Ports, caller: &FreshCaller) -> Result<(), EraseError> {
    let caller = caller.caller();
    let now = ports.clock.now();
    let erased = again(|| async {
        let mut unit = ports.store.begin().await?;
        let user = unit.users().lock(&caller.user_id).await?;
        let refused = match user {
            Some(user) if !user.is_active() => EraseError::Closed,
            Some(user) if user.role.may_administer() => EraseError::Administrator,
            Some(user) => {
                erase_within(unit.as_mut(), user, now).await?;
                return unit.commit().await.map(Ok);
            }
            None => EraseError::Closed,
        };
        unit.rollback().await.map(|()| Err(refused))
    });
    erased.await??;
    ports.revocations.learn(&[Revocation::User(caller.user_id.clone())], now);
    Ok(())
}

/// Erases a person within a unit of work.
pub(crate) async fn erase_within(
    unit: &mut dyn UnitOfWork,
    mut user: User,
    now: Timestamp,
) -> Result<User, StoreError> {
    let email = user.email.clone();
    user.erase(now);
    unit.users().save(&user).await?;
    unit.users().set_hash(&user.id, &PasswordHash::tombstone()).await?;
    unit.users().erase_traces(&user.id, &email).await?;
    unit.sessions().delete_all(&user.id).await?;
    Ok(user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::fresh;
    use crate::test_ports::{self, NOW, ada};
    use subtle_domain::ports::MockUnit;
    use subtle_domain::user::Role;

    #[tokio::test]
    async fn nothing_of_the_person_is_left_and_no_token_holds() {
        let mut mocks = test_ports::Mocks::default();
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(ada())));
        unit.users
            .expect_save()
            .withf(|user| user.is_erased() && user.full_name.is_none())
            .times(1)
            .returning(|_| Ok(()));
        unit.users
            .expect_set_hash()
            .withf(|_, hash| *hash == PasswordHash::tombstone())
            .times(1)
            .returning(|_, _| Ok(()));
        unit.users
            .expect_erase_traces()
            .withf(|_, email| email.as_str() == "ada@example.com")
            .times(1)
            .returning(|_, _| Ok(()));
        unit.sessions.expect_delete_all().times(1).returning(|_| Ok(()));
        let committed = mocks.expect_unit(unit);
        mocks
            .revocations
            .expect_learn()
            .withf(|learned, _| learned == [Revocation::User(ada().id)])
            .times(1)
            .return_const(());
        erase_own_account(&mocks.ports(), &fresh()).await.unwrap();
        assert!(test_ports::was(&committed));
    }

    #[tokio::test]
    async fn an_administrator_is_not_erased_by_themselves() {
        let mut mocks = test_ports::Mocks::default();
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(User { role: Role::Admin, ..ada() })));
        let committed = mocks.expect_unit(unit);
        let refused = erase_own_account(&mocks.ports(), &fresh()).await;
        assert!(matches!(refused, Err(EraseError::Administrator)));
        assert!(!test_ports::was(&committed));
    }

    #[tokio::test]
    async fn an_account_that_is_closed_is_left_alone() {
        let mut mocks = test_ports::Mocks::default();
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(User { disabled_at: Some(NOW), ..ada() })));
        let committed = mocks.expect_unit(unit);
        let refused = erase_own_account(&mocks.ports(), &fresh()).await;
        assert!(matches!(refused, Err(EraseError::Closed)));
        assert!(!test_ports::was(&committed));
    }
}
