use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::password::PasswordAttempt;
use subtle_domain::ports::{Credentials, HasherBusy, StoreError};
use subtle_domain::throttle::RetryAfter;
use subtle_domain::user::Standing;

use super::{Caller, Renewed};
use crate::Ports;

/// Somebody who has shown lately that it is them (ASVS 7.5.1, 7.5.3). There is no other way to get one than [`step_up`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshCaller(Caller);

impl FreshCaller {
    /// Who they are.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.0
    }
}

/// The sign-in is too old for what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sign-in is too old for this: show again that it is you")]
pub struct SignInTooOld;

/// Takes a caller whose sign-in is not older than the policy allows for what is sensitive. Asks their token alone.
pub fn step_up(ports: &Ports, caller: Caller) -> Result<FreshCaller, SignInTooOld> {
    let age = ports.clock.now() - caller.authenticated_at;
    if age < ports.policy.fresh_sign_in { Ok(FreshCaller(caller)) } else { Err(SignInTooOld) }
}

/// Why somebody has not shown that it is them (ASVS 6.2.3).
#[derive(Debug, thiserror::Error)]
pub enum ReauthenticateError {
    /// The password is another.
    #[error("the password is wrong")]
    WrongPassword,
    /// Too many guesses at this account, here and at sign-in together.
    #[error("too many guesses at this account")]
    TooManyGuesses(RetryAfter),
    /// The account or the session can't be used any more.
    #[error("the account or the session is closed")]
    Closed,
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lets somebody who is signed in show again that it is them, by their password. Gives an access token that says so; the session
/// remembers it, and what it is refreshed to says so too.
pub async fn reauthenticate(
    ports: &Ports,
    caller: &Caller,
    password: &PasswordAttempt,
) -> Result<Renewed, ReauthenticateError> {
    let now = ports.clock.now();
    let credentials = ports.prove_password(caller, password, ActivityAction::SignInRefused, now).await?;
    let session = ports.sessions.authenticated(&caller.user_id, &caller.session_id, now).await?;
    let session = session.ok_or(ReauthenticateError::Closed)?;
    Ok(super::begin::renewed(ports, &credentials.user, &session, now))
}

impl Ports {
    /// Makes sure that the caller knows the password of their account, and gives what is kept of it.
    ///
    /// Guesses count with those at sign-in. One that is refused leaves a row of the given action in their timeline.
    pub(crate) async fn prove_password(
        &self,
        caller: &Caller,
        password: &PasswordAttempt,
        refusal: ActivityAction,
        now: Timestamp,
    ) -> Result<Credentials, ReauthenticateError> {
        let credentials = self.accounts.credentials(&caller.user_id).await?;
        let credentials = credentials
            .filter(|credentials| credentials.user.standing() == Standing::Active)
            .ok_or(ReauthenticateError::Closed)?;
        let refuse = |reason, error| {
            self.record_why(&caller.user_id, refusal, Some(reason), &caller.client, now);
            Err(error)
        };
        let email = &credentials.user.email;
        if let Err(wait) = self.take_guess(email, &caller.client, now).await? {
            return refuse("too_many_guesses", ReauthenticateError::TooManyGuesses(wait));
        }
        if !self.passwords.verify(password, &credentials.hash).await? {
            return refuse("wrong_password", ReauthenticateError::WrongPassword);
        }
        self.forget_guesses(email, &caller.client).await;
        Ok(credentials)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::test_ports::{self, NOW, ada, caller, session};
    use chrono::TimeDelta;
    use subtle_domain::password::PasswordHash;
    use subtle_domain::ports::Credentials;
    use subtle_domain::session::Session;

    pub(crate) fn fresh() -> FreshCaller {
        FreshCaller(caller())
    }

    #[test]
    fn a_sign_in_is_fresh_for_so_long_and_no_longer() {
        let ports = test_ports::Mocks::default().ports();
        let ago = |age| step_up(&ports, Caller { authenticated_at: NOW - age, ..caller() });
        let limit = ports.policy.fresh_sign_in;
        assert!(ago(TimeDelta::zero()).is_ok());
        assert!(ago(limit - TimeDelta::milliseconds(1)).is_ok());
        assert_eq!(ago(limit), Err(SignInTooOld));
    }

    fn knowing(verified: bool) -> test_ports::Mocks {
        let mut mocks = test_ports::Mocks::default();
        let hash = PasswordHash::tombstone();
        mocks
            .accounts
            .expect_credentials()
            .returning(move |_| Ok(Some(Credentials { user: ada(), hash: hash.clone() })));
        mocks.passwords.expect_verify().returning(move |_, _| Ok(verified));
        mocks.expect_tokens();
        mocks
    }

    #[tokio::test]
    async fn the_password_makes_the_sign_in_fresh_again() {
        let mut mocks = knowing(true);
        mocks
            .sessions
            .expect_authenticated()
            .withf(|user, id, now| *user == ada().id && *id == session().id && *now == NOW)
            .returning(|_, _, _| Ok(Some(Session { authenticated_at: NOW, ..session() })));
        let done = reauthenticate(&mocks.ports(), &caller(), &PasswordAttempt::new("x")).await.unwrap();
        assert_eq!(done.expires_in, TimeDelta::minutes(15));
    }

    #[tokio::test]
    async fn a_wrong_password_and_an_ended_session_do_not() {
        let mut wrong = knowing(false);
        wrong.expect_activity(&[ActivityAction::SignInRefused]);
        let refused = reauthenticate(&wrong.ports(), &caller(), &PasswordAttempt::new("x")).await;
        assert!(matches!(refused, Err(ReauthenticateError::WrongPassword)));
        let mut ended = knowing(true);
        ended.sessions.expect_authenticated().returning(|_, _, _| Ok(None));
        let refused = reauthenticate(&ended.ports(), &caller(), &PasswordAttempt::new("x")).await;
        assert!(matches!(refused, Err(ReauthenticateError::Closed)));
    }
}
