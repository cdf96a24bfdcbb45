use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::ids::SessionId;
use subtle_domain::letter::LetterKind;
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::second_factor::{RECOVERY_CODES, SecondFactor};
use subtle_domain::session::{RevocationReason, Session};
use subtle_domain::token::{OneTimeCode, RecoveryCode};
use subtle_domain::user::User;

use super::CodeRefused;
use crate::Ports;
use crate::again::again;
use crate::sessions::{Caller, FreshCaller, Renewed, renewed};

/// A second factor that is asked for from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// For when the app is lost: shown this once.
    pub codes: Vec<RecoveryCode>,
    /// An access token that tells of the code.
    pub renewed: Renewed,
}

/// Why a second factor is not asked for yet.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// The account has one already.
    #[error("the account has a second factor")]
    AlreadyOn,
    /// There is no secret to confirm, or it has waited too long.
    #[error("there is no secret to confirm")]
    NotEnrolled,
    /// The code does not show that an app has the secret.
    #[error(transparent)]
    Code(#[from] CodeRefused),
    /// The account or the session can't be used any more.
    #[error("the account or the session is closed")]
    Closed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Asks for a second factor from now on, whose app has shown its first code. The caller's other sessions end: they began without one
/// (ASVS 7.4.3).
pub async fn confirm_second_factor(
    ports: &Ports,
    caller: &FreshCaller,
    code: &OneTimeCode,
) -> Result<Confirmed, ConfirmError> {
    let (caller, now) = (caller.caller(), ports.clock.now());
    let counted = ports.may_change_factor(&caller.user_id, now).await?;
    counted.map_err(CodeRefused::TooMany)?;
    let confirmed = again(|| attempt(ports, caller, code, now)).await?;
    let (user, session, codes, ended) = confirmed.map_err(|refused| match refused {
        ConfirmError::Code(CodeRefused::Wrong) => {
            ports.wrong_code(&caller.user_id, &caller.client, now).into()
        }
        other => other,
    })?;
    ports.learn_ended(ended, now);
    ports.record(&user.id, ActivityAction::SecondFactorAdded, &caller.client, now);
    Ok(Confirmed { codes, renewed: renewed(ports, &user, &session, now) })
}

type Done = (User, Session, Vec<RecoveryCode>, Vec<SessionId>);

async fn attempt(
    ports: &Ports,
    caller: &Caller,
    code: &OneTimeCode,
    now: Timestamp,
) -> Result<Result<Done, ConfirmError>, StoreError> {
    let mut unit = ports.store.begin().await?;
    let user = unit.users().lock(&caller.user_id).await?;
    let refused = match user.filter(User::is_active) {
        None => ConfirmError::Closed,
        Some(user) if user.second_factor_at.is_some() => ConfirmError::AlreadyOn,
        Some(user) => match proven(ports, unit.as_mut(), &user, code, now).await? {
            Err(refused) => refused,
            Ok(factor) => match turn_on(ports, unit.as_mut(), caller, user, factor, now).await? {
                Some(done) => return unit.commit().await.map(|()| Ok(done)),
                None => ConfirmError::Closed,
            },
        },
    };
    unit.rollback().await.map(|()| Err(refused))
}

/// The pending factor as it is once its first code was right.
async fn proven(
    ports: &Ports,
    unit: &mut dyn UnitOfWork,
    user: &User,
    code: &OneTimeCode,
    now: Timestamp,
) -> Result<Result<SecondFactor, ConfirmError>, StoreError> {
    let pending = unit.second_factors().find(&user.id).await?.filter(|factor| factor.is_pending(now));
    let Some(pending) = pending else { return Ok(Err(ConfirmError::NotEnrolled)) };
    let Some(right) = ports.authenticators.check(&user.id, &pending.encrypted, code, now) else {
        return Ok(Err(CodeRefused::Wrong.into()));
    };
    let encrypted = right.reencrypted.unwrap_or(pending.encrypted);
    let last_step = Some(right.step);
    Ok(Ok(SecondFactor { confirmed_at: Some(now), last_step, encrypted, ..pending }))
}

async fn turn_on(
    ports: &Ports,
    unit: &mut dyn UnitOfWork,
    caller: &Caller,
    mut user: User,
    factor: SecondFactor,
    now: Timestamp,
) -> Result<Option<Done>, StoreError> {
    let Some(session) = unit.sessions().raise(&user.id, &caller.session_id).await? else {
        return Ok(None);
    };
    (user.second_factor_at, user.updated_at) = (Some(now), now);
    unit.users().save(&user).await?;
    unit.second_factors().put(&factor).await?;
    let codes = ports.new_codes(unit, &user).await?;
    let reason = RevocationReason::SecondFactorAdded;
    let ended = unit.sessions().revoke_all(&user.id, Some(&session.id), reason, now).await?;
    let kind = LetterKind::SecondFactorAdded;
    unit.outbox().add(&ports.letter(&user.id, kind, &user.email, &caller.client, now)).await?;
    Ok(Some((user, session, codes, ended)))
}

impl Ports {
    /// New recovery codes, in the place of those that there were.
    pub(super) async fn new_codes(
        &self,
        unit: &mut dyn UnitOfWork,
        user: &User,
    ) -> Result<Vec<RecoveryCode>, StoreError> {
        let codes: Vec<_> = (0..RECOVERY_CODES).map(|_| self.authenticators.recovery_code()).collect();
        let digests: Vec<_> = codes.iter().map(|code| self.authenticators.digest(code)).collect();
        unit.second_factors().replace_codes(&user.id, &digests).await?;
        Ok(codes)
    }
}

#[cfg(test)]
mod tests;
