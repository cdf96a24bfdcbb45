use subtle_domain::Timestamp;
use subtle_domain::audit::{self, AuditAction, AuditEntry};
use subtle_domain::ids::UserId;
use subtle_domain::ports::{Revocation, StoreError, UnitOfWork};
use subtle_domain::session::RevocationReason;
use subtle_domain::user::{User, UserChange};

use super::{Forbidden, Privileged};
use crate::Ports;
use crate::accounts::erase_within;
use crate::actor::{Actor, Told};
use crate::again::again;

/// Why an account stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum ChangeUserError {
    /// There is no such account, or no longer.
    #[error("there is no such account")]
    NotFound,
    /// Administrators don't demote, disable or erase themselves: with that, and as who acts must still be one when the change is
    /// made, there is always one left.
    #[error("administrators cannot take their own account away")]
    OwnAccount,
    /// Who acts has lost the privilege since they were found to hold it.
    #[error(transparent)]
    Forbidden(Forbidden),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to do with an account, and what follows from it.
enum Step {
    Change(UserChange),
    Disable,
    Enable,
    Erase,
}

/// Changes tier, role, profile or verification of an account.
pub async fn change_user(
    ports: &Ports,
    by: &Privileged,
    id: &UserId,
    change: UserChange,
) -> Result<User, ChangeUserError> {
    if by.user_id() == id && change.role.is_some_and(|role| !role.may_administer()) {
        return Err(ChangeUserError::OwnAccount);
    }
    take_step(ports, by, id, &Step::Change(change)).await
}

/// Closes an account: its sessions end, and nobody signs in to it.
pub async fn disable_user(ports: &Ports, by: &Privileged, id: &UserId) -> Result<User, ChangeUserError> {
    not_oneself(by, id)?;
    take_step(ports, by, id, &Step::Disable).await
}

/// Opens a closed account again. Its sessions stay ended.
pub async fn enable_user(ports: &Ports, by: &Privileged, id: &UserId) -> Result<User, ChangeUserError> {
    take_step(ports, by, id, &Step::Enable).await
}

/// Erases a person, as they could themselves.
pub async fn erase_user(ports: &Ports, by: &Privileged, id: &UserId) -> Result<(), ChangeUserError> {
    not_oneself(by, id)?;
    take_step(ports, by, id, &Step::Erase).await.map(drop)
}

fn not_oneself(by: &Privileged, id: &UserId) -> Result<(), ChangeUserError> {
    if by.user_id() == id { Err(ChangeUserError::OwnAccount) } else { Ok(()) }
}

/// What became of an attempt to take a step.
enum Outcome {
    Done(User, Vec<Revocation>),
    NotFound,
    Forbidden(Forbidden),
}

async fn take_step(
    ports: &Ports,
    by: &Privileged,
    id: &UserId,
    step: &Step,
) -> Result<User, ChangeUserError> {
    let now = ports.clock.now();
    match again(|| attempt(ports, by, id, step, now)).await? {
        Outcome::Done(user, revoked) => {
            ports.revocations.learn(&revoked, now);
            Ok(user)
        }
        Outcome::NotFound => Err(ChangeUserError::NotFound),
        Outcome::Forbidden(why) => Err(ChangeUserError::Forbidden(why)),
    }
}

async fn attempt(
    ports: &Ports,
    by: &Privileged,
    id: &UserId,
    step: &Step,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let mut unit = ports.store.begin().await?;
    let subject = match by.confirm_on(unit.as_mut(), id).await? {
        Ok(subject) => subject,
        Err(why) => return unit.rollback().await.map(|()| Outcome::Forbidden(why)),
    };
    let Some(before) = subject.filter(|user| !user.is_erased()) else {
        unit.rollback().await?;
        return Ok(Outcome::NotFound);
    };
    let (after, revoked) = apply(unit.as_mut(), before.clone(), step, now).await?;
    if after == before {
        unit.rollback().await?;
    } else {
        unit.audit().append(&entry(ports, by, step, &before, &after, now)).await?;
        unit.commit().await?;
    }
    Ok(Outcome::Done(after, revoked))
}

async fn apply(
    unit: &mut dyn UnitOfWork,
    mut user: User,
    step: &Step,
    now: Timestamp,
) -> Result<(User, Vec<Revocation>), StoreError> {
    let mut revoked = Vec::new();
    match step {
        Step::Change(change) => {
            if user.apply(change.clone(), now) {
                unit.users().save(&user).await?;
            }
        }
        Step::Disable if user.disabled_at.is_none() => {
            (user.disabled_at, user.updated_at) = (Some(now), now);
            unit.users().save(&user).await?;
            let ended = unit.sessions().revoke_all(&user.id, None, RevocationReason::Disabled, now).await?;
            revoked = ended.into_iter().map(Revocation::Session).collect();
        }
        Step::Enable if user.disabled_at.is_some() => {
            (user.disabled_at, user.updated_at) = (None, now);
            unit.users().save(&user).await?;
        }
        Step::Disable | Step::Enable => {}
        Step::Erase => {
            user = erase_within(unit, user, now).await?;
            revoked.push(Revocation::User(user.id.clone()));
        }
    }
    Ok((user, revoked))
}

fn entry(
    ports: &Ports,
    by: &Privileged,
    step: &Step,
    before: &User,
    after: &User,
    now: Timestamp,
) -> AuditEntry {
    let action = match step {
        Step::Change(_) => AuditAction::UserUpdated,
        Step::Disable => AuditAction::UserDisabled,
        Step::Enable => AuditAction::UserEnabled,
        Step::Erase => AuditAction::UserDeleted,
    };
    let told = Told { changes: audit::changes(before, after), facts: Vec::new() };
    ports.audit_entry(&Actor::from(by), action, Some(&after.id), told, now)
}

#[cfg(test)]
mod tests;
