use subtle_domain::Timestamp;
use subtle_domain::audit::AuditAction;
use subtle_domain::ids::UserId;
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::session::ClientInfo;

use super::{Forbidden, Privileged};
use crate::Ports;
use crate::actor::{Actor, Told};
use crate::again::{again, conclude};
use crate::second_factor::remove_within;

/// Why a second factor is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RemoveSecondFactorError {
    /// There is no such account, or it has none.
    #[error("there is no such account, or it has no second factor")]
    NotFound,
    /// Administrators take their own away as everybody does: by a sign-in that is not old, which takes a code.
    #[error("administrators cannot help themselves to this")]
    OwnAccount,
    /// Who acts has lost the privilege since they were found to hold it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes away the second factor of somebody who has lost it, and tells them by a letter. From then on their password is enough.
pub async fn remove_user_second_factor(
    ports: &Ports,
    by: &Privileged,
    id: &UserId,
) -> Result<(), RemoveSecondFactorError> {
    if by.user_id() == id {
        return Err(RemoveSecondFactorError::OwnAccount);
    }
    let now = ports.clock.now();
    again(|| attempt(ports, by, id, now)).await?
}

async fn attempt(
    ports: &Ports,
    by: &Privileged,
    id: &UserId,
    now: Timestamp,
) -> Result<Result<(), RemoveSecondFactorError>, StoreError> {
    let mut unit = ports.store.begin().await?;
    let removed = remove(ports, unit.as_mut(), by, id, now).await?;
    conclude(unit, removed).await
}

async fn remove(
    ports: &Ports,
    unit: &mut dyn UnitOfWork,
    by: &Privileged,
    id: &UserId,
    now: Timestamp,
) -> Result<Result<(), RemoveSecondFactorError>, StoreError> {
    let subject = match by.confirm_on(unit, id).await? {
        Ok(subject) => subject.filter(|user| !user.is_erased() && user.second_factor_at.is_some()),
        Err(lost) => return Ok(Err(lost.into())),
    };
    let Some(user) = subject else { return Ok(Err(RemoveSecondFactorError::NotFound)) };
    // The letter does not tell where the administrator was.
    remove_within(ports, unit, user, &ClientInfo::default(), now).await?;
    let (by, action) = (Actor::from(by), AuditAction::SecondFactorRemoved);
    let entry = ports.audit_entry(&by, action, Some(id), Told::default(), now);
    unit.audit().append(&entry).await?;
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::super::authorize::tests::{grace, unit_of_grace};
    use super::*;
    use crate::test_ports::{self, ada, ada_with_factor, was};
    use subtle_domain::letter::LetterKind;
    use subtle_domain::user::{Role, User};

    async fn ask(role: Role, subject: User, removed: usize) -> (Result<(), RemoveSecondFactorError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        let mut unit = unit_of_grace(role);
        unit.users.expect_lock().returning(move |_| Ok(Some(subject.clone())));
        unit.users
            .expect_save()
            .withf(|user| user.id == ada().id && user.second_factor_at.is_none())
            .times(removed)
            .returning(|_| Ok(()));
        unit.second_factors.expect_remove().times(removed).returning(|_| Ok(()));
        unit.audit
            .expect_append()
            .withf(|entry| entry.action == AuditAction::SecondFactorRemoved && entry.facts.is_empty())
            .times(removed)
            .returning(|_| Ok(()));
        if removed > 0 {
            test_ports::expect_letters(&mut unit, &[(LetterKind::SecondFactorRemoved, "ada@example.com")]);
        }
        let committed = mocks.expect_unit(unit);
        (remove_user_second_factor(&mocks.ports(), &grace(), &ada().id).await, was(&committed))
    }

    #[tokio::test]
    async fn it_goes_with_an_entry_and_a_letter() {
        let (removed, committed) = ask(Role::Admin, ada_with_factor(), 1).await;
        assert!(removed.is_ok() && committed);
    }

    #[tokio::test]
    async fn who_has_none_has_none_to_lose_and_support_takes_none() {
        let (refused, committed) = ask(Role::Admin, ada(), 0).await;
        assert!(matches!(refused, Err(RemoveSecondFactorError::NotFound)) && !committed);
        let (refused, committed) = ask(Role::Support, ada_with_factor(), 0).await;
        assert!(matches!(refused, Err(RemoveSecondFactorError::Forbidden(_))) && !committed);
    }

    #[tokio::test]
    async fn nobody_takes_their_own_away_so() {
        let own = grace().user_id().clone();
        let refused = remove_user_second_factor(&test_ports::Mocks::default().ports(), &grace(), &own).await;
        assert!(matches!(refused, Err(RemoveSecondFactorError::OwnAccount)));
    }
}
