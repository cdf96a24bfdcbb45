use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::ids::UserId;
use subtle_domain::letter::LetterKind;
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::second_factor::{PresentedCode, SecondFactor};
use subtle_domain::session::ClientInfo;
use subtle_domain::throttle::RetryAfter;
use subtle_domain::user::User;

use crate::Ports;
use crate::again::again;
use crate::sessions::Caller;

/// Why a code opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum CodeRefused {
    /// There is none, and one is needed.
    #[error("a code is needed as well")]
    Missing,
    /// It is another one, of another time, or was used before: nobody is told which.
    #[error("the code is not right, or was used before")]
    Wrong,
    /// Too many codes of this account were tried.
    #[error("too many codes of this account were tried")]
    TooMany(RetryAfter),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ports {
    /// Takes a guess at a code before it is evaluated. Nobody guesses a recovery code, so one takes none: whoever uses the guesses up does
    /// not keep out who has one.
    pub(crate) async fn admit_code(
        &self,
        user: &UserId,
        code: &PresentedCode,
        client: &ClientInfo,
        now: Timestamp,
    ) -> Result<(), CodeRefused> {
        if let PresentedCode::Recovery(_) = code {
            return Ok(());
        }
        self.take_code_guess(user, now).await?.map_err(|wait| {
            let why = Some("too_many_codes");
            self.record_why(user, ActivityAction::SignInRefused, why, client, now);
            CodeRefused::TooMany(wait)
        })
    }

    /// Notes that a code was not right.
    pub(crate) fn wrong_code(&self, user: &UserId, client: &ClientInfo, now: Timestamp) -> CodeRefused {
        self.record_why(user, ActivityAction::SignInRefused, Some("wrong_code"), client, now);
        CodeRefused::Wrong
    }

    /// Notes that a code was right, and forgets the guesses.
    pub(crate) async fn right_code(
        &self,
        user: &UserId,
        code: &PresentedCode,
        client: &ClientInfo,
        now: Timestamp,
    ) {
        if let PresentedCode::Recovery(_) = code {
            self.record(user, ActivityAction::RecoveryCodeUsed, client, now);
        }
        self.forget_code_guesses(user).await;
    }

    /// Uses up a code of somebody whose account the unit of work has locked; `false` if it is not right, or was used before. A recovery
    /// code commits with a letter that tells of it.
    pub(crate) async fn spend_code(
        &self,
        unit: &mut dyn UnitOfWork,
        user: &User,
        code: &PresentedCode,
        client: &ClientInfo,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        match code {
            PresentedCode::OneTime(code) => {
                let factor = unit.second_factors().find(&user.id).await?;
                let Some(factor) = factor.filter(|factor| factor.confirmed_at.is_some()) else {
                    return Ok(false);
                };
                let right = self.authenticators.check(&user.id, &factor.encrypted, code, now);
                let Some(right) = right.filter(|right| factor.accepts(right.step)) else { return Ok(false) };
                let encrypted = right.reencrypted.unwrap_or(factor.encrypted);
                let spent = SecondFactor { encrypted, last_step: Some(right.step), ..factor };
                unit.second_factors().put(&spent).await.map(|()| true)
            }
            PresentedCode::Recovery(code) => {
                let digest = self.authenticators.digest(code);
                if !unit.second_factors().spend(&user.id, &digest).await? {
                    return Ok(false);
                }
                let letter = self.letter(&user.id, LetterKind::RecoveryCodeUsed, &user.email, client, now);
                unit.outbox().add(&letter).await.map(|()| true)
            }
        }
    }

    /// Makes sure that somebody who is signed in has a code too.
    pub(crate) async fn prove_code(
        &self,
        caller: &Caller,
        code: Option<&PresentedCode>,
        now: Timestamp,
    ) -> Result<(), CodeRefused> {
        let code = code.ok_or(CodeRefused::Missing)?;
        let (user, client) = (&caller.user_id, &caller.client);
        self.admit_code(user, code, client, now).await?;
        let spent = again(|| async {
            let mut unit = self.store.begin().await?;
            let owner = unit.users().lock(user).await?;
            let is_right = match owner.filter(User::is_active) {
                Some(owner) => self.spend_code(unit.as_mut(), &owner, code, client, now).await?,
                None => false,
            };
            let ended = if is_right { unit.commit().await } else { unit.rollback().await };
            ended.map(|()| is_right)
        });
        if !spent.await? {
            return Err(self.wrong_code(user, client, now));
        }
        self.right_code(user, code, client, now).await;
        Ok(())
    }
}
