use subtle_domain::Timestamp;
use subtle_domain::audit::{self, AuditAction, FieldChange, Origin};
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::SessionId;
use subtle_domain::password::{Password, PasswordHash};
use subtle_domain::ports::{HasherBusy, NewUser, StoreError};
use subtle_domain::session::{ClientInfo, RevocationReason};
use subtle_domain::user::{Role, User};

use crate::Ports;
use crate::actor::{Actor, Told};
use crate::again::again;

/// An administrator to be made from the command line.
#[derive(Debug, Clone)]
pub struct CreateAdmin {
    /// Their address.
    pub email: EmailAddress,
    /// Their password.
    pub password: Password,
}

/// How an administrator came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreatedAdmin {
    /// By a new account.
    New(User),
    /// The address had an account: it is an administrator's now, with the password that was given and no other session.
    Promoted(User),
}

/// Why there is no new administrator.
#[derive(Debug, thiserror::Error)]
pub enum CreateAdminError {
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes an administrator, whose address counts as verified: the operator vouches for it.
pub async fn create_admin(ports: &Ports, command: CreateAdmin) -> Result<CreatedAdmin, CreateAdminError> {
    let now = ports.clock.now();
    let hash = ports.passwords.hash(&command.password).await?;
    let fresh = User::new(ports.ids.user_id(), command.email, now);
    let fresh = User { role: Role::Admin, email_verified: true, ..fresh };
    let (created, ended) = again(|| store(ports, &fresh, &hash, now)).await?;
    ports.learn_ended(ended, now);
    ports.forget_guesses(&fresh.email, &ClientInfo::default()).await;
    Ok(created)
}

async fn store(
    ports: &Ports,
    fresh: &User,
    hash: &PasswordHash,
    now: Timestamp,
) -> Result<(CreatedAdmin, Vec<SessionId>), StoreError> {
    let mut unit = ports.store.begin().await?;
    let new = NewUser { user: fresh.clone(), hash: hash.clone() };
    let (created, action, changes, ended) = if unit.users().add(&new).await? {
        (CreatedAdmin::New(new.user), AuditAction::UserCreated, Vec::new(), Vec::new())
    } else {
        let taken = "the account of the address was deleted meanwhile";
        let before = unit.users().lock_address(&fresh.email).await?.ok_or(StoreError::Again(taken.into()))?;
        let mut user = before.clone();
        (user.role, user.email_verified, user.disabled_at, user.updated_at) = (Role::Admin, true, None, now);
        unit.users().save(&user).await?;
        unit.users().set_hash(&user.id, hash).await?;
        // A link that was sent before would give an administrator another password or address.
        unit.one_time().void(&user.id, None).await?;
        let ended = unit.sessions().revoke_all(&user.id, None, RevocationReason::PasswordChange, now).await?;
        let mut changes = audit::changes(&before, &user);
        changes.push(FieldChange { field: "password", before: None, after: None });
        (CreatedAdmin::Promoted(user), AuditAction::UserUpdated, changes, ended)
    };
    let (CreatedAdmin::New(user) | CreatedAdmin::Promoted(user)) = &created;
    let by = Actor { id: user.id.clone(), origin: Origin::CommandLine };
    let told = Told { changes, facts: Vec::new() };
    let entry = ports.audit_entry(&by, action, Some(&user.id), told, now);
    unit.audit().append(&entry).await?;
    unit.commit().await?;
    Ok((created, ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, ada};
    use subtle_domain::ports::MockUnit;

    fn command() -> CreateAdmin {
        CreateAdmin {
            email: EmailAddress::parse("ada@example.com").unwrap(),
            password: Password::parse("tr0ub4dor&3").unwrap(),
        }
    }

    fn mocks() -> test_ports::Mocks {
        let mut mocks = test_ports::Mocks::default();
        mocks.passwords.expect_hash().returning(|_| Ok(PasswordHash::tombstone()));
        mocks.revocations.expect_learn().return_const(());
        mocks
    }

    #[tokio::test]
    async fn a_new_administrator_is_audited_as_made_from_the_command_line() {
        let mut mocks = mocks();
        let mut unit = MockUnit::default();
        unit.users.expect_add().withf(|new| new.user.role == Role::Admin).returning(|_| Ok(true));
        unit.audit
            .expect_append()
            .withf(|entry| entry.origin == Origin::CommandLine && entry.action == AuditAction::UserCreated)
            .times(1)
            .returning(|_| Ok(()));
        let committed = mocks.expect_unit(unit);
        assert!(matches!(create_admin(&mocks.ports(), command()).await.unwrap(), CreatedAdmin::New(_)));
        assert!(test_ports::was(&committed));
    }

    #[tokio::test]
    async fn an_account_is_promoted_with_a_new_password_and_without_its_sessions() {
        let mut mocks = mocks();
        let mut unit = MockUnit::default();
        unit.users.expect_add().returning(|_| Ok(false));
        unit.users.expect_lock_address().returning(|_| Ok(Some(ada())));
        unit.users
            .expect_save()
            .withf(|user| user.role == Role::Admin && user.email_verified)
            .returning(|_| Ok(()));
        unit.users.expect_set_hash().times(1).returning(|_, _| Ok(()));
        unit.one_time.expect_void().withf(|_, purpose| purpose.is_none()).times(1).returning(|_, _| Ok(()));
        unit.sessions.expect_revoke_all().times(1).returning(|_, _, _, _| Ok(Vec::new()));
        unit.audit
            .expect_append()
            .withf(|entry| entry.changes.iter().any(|change| change.field == "role"))
            .times(1)
            .returning(|_| Ok(()));
        let committed = mocks.expect_unit(unit);
        let created = create_admin(&mocks.ports(), command()).await.unwrap();
        assert!(matches!(created, CreatedAdmin::Promoted(user) if user.id == ada().id));
        assert!(test_ports::was(&committed));
    }
}
