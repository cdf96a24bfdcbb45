use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::password::PasswordAttempt;
use subtle_domain::ports::{Credentials, HasherBusy, StoreError};
use subtle_domain::second_factor::PresentedCode;
use subtle_domain::throttle::RetryAfter;

use super::{Caller, Renewed};
use crate::Ports;
use crate::second_factor::CodeRefused;

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

/// Why somebody has not shown that they know the password of their account (ASVS 6.2.3).
#[derive(Debug, thiserror::Error)]
pub enum NotProven {
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

/// Why somebody has not shown again that it is them.
#[derive(Debug, thiserror::Error)]
pub enum ReauthenticateError {
    /// The password does not show it.
    #[error(transparent)]
    Password(#[from] NotProven),
    /// The code does not, or there is none.
    #[error(transparent)]
    Code(#[from] CodeRefused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lets somebody who is signed in show again that it is them, by all that a sign-in asks of them. Gives an access token that says so;
/// the session remembers it, and what it is refreshed to says so too.
pub async fn reauthenticate(
    ports: &Ports,
    caller: &Caller,
    password: &PasswordAttempt,
    code: Option<&PresentedCode>,
) -> Result<Renewed, ReauthenticateError> {
    let now = ports.clock.now();
    let credentials = ports.prove_password(caller, password, ActivityAction::SignInRefused, now).await?;
    if credentials.user.second_factor_at.is_some() {
        ports.prove_code(caller, code, now).await?;
    }
    let session = ports.sessions.authenticated(&caller.user_id, &caller.session_id, now).await?;
    let session = session.ok_or(NotProven::Closed)?;
    Ok(super::renewed(ports, &credentials.user, &session, now))
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
    ) -> Result<Credentials, NotProven> {
        let credentials = self.accounts.credentials(&caller.user_id).await?;
        let credentials =
            credentials.filter(|credentials| credentials.user.is_active()).ok_or(NotProven::Closed)?;
        let refuse = |reason, error| {
            self.record_why(&caller.user_id, refusal, Some(reason), &caller.client, now);
            Err(error)
        };
        let email = &credentials.user.email;
        if let Err(wait) = self.take_guess(email, &caller.client, now).await? {
            return refuse("too_many_guesses", NotProven::TooManyGuesses(wait));
        }
        if !self.passwords.verify(password, &credentials.hash).await? {
            return refuse("wrong_password", NotProven::WrongPassword);
        }
        self.forget_guesses(email, &caller.client).await;
        Ok(credentials)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::test_ports::{self, NOW, ada, ada_with_factor, caller, session, was};
    use chrono::TimeDelta;
    use subtle_domain::letter::LetterKind;
    use subtle_domain::password::PasswordHash;
    use subtle_domain::ports::{Credentials, MockUnit};
    use subtle_domain::session::Session;
    use subtle_domain::token::TokenDigest;

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
        let done = reauthenticate(&mocks.ports(), &caller(), &PasswordAttempt::new("x"), None).await.unwrap();
        assert_eq!(done.expires_in, TimeDelta::minutes(15));
    }

    #[tokio::test]
    async fn a_wrong_password_and_an_ended_session_do_not() {
        let mut wrong = knowing(false);
        wrong.expect_activity(&[ActivityAction::SignInRefused]);
        let refused = reauthenticate(&wrong.ports(), &caller(), &PasswordAttempt::new("x"), None).await;
        assert!(matches!(refused, Err(ReauthenticateError::Password(NotProven::WrongPassword))));
        let mut ended = knowing(true);
        ended.sessions.expect_authenticated().returning(|_, _, _| Ok(None));
        let refused = reauthenticate(&ended.ports(), &caller(), &PasswordAttempt::new("x"), None).await;
        assert!(matches!(refused, Err(ReauthenticateError::Password(NotProven::Closed))));
    }

    /// The same of an account with a second factor, whose recovery codes are all right or all wrong.
    fn with_factor(is_right: bool) -> (test_ports::Mocks, MockUnit) {
        let mut mocks = knowing(true);
        mocks.accounts.checkpoint();
        let hash = PasswordHash::tombstone();
        let known = Credentials { user: ada_with_factor(), hash };
        mocks.accounts.expect_credentials().return_once(|_| Ok(Some(known)));
        mocks.authenticators.expect_digest().returning(|_| TokenDigest::new("digest"));
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(ada_with_factor())));
        unit.second_factors.expect_spend().returning(move |_, _| Ok(is_right));
        (mocks, unit)
    }

    fn code() -> PresentedCode {
        PresentedCode::parse("abcdef-234567-ghijkl-mnopqr").unwrap()
    }

    #[tokio::test]
    async fn where_there_is_a_second_factor_the_password_alone_does_not() {
        let (mocks, _) = with_factor(true);
        let refused = reauthenticate(&mocks.ports(), &caller(), &PasswordAttempt::new("x"), None).await;
        assert!(matches!(refused, Err(ReauthenticateError::Code(CodeRefused::Missing))));
        let (mut mocks, unit) = with_factor(false);
        let committed = mocks.expect_unit(unit);
        mocks.expect_activity(&[ActivityAction::SignInRefused]);
        let password = PasswordAttempt::new("x");
        let refused = reauthenticate(&mocks.ports(), &caller(), &password, Some(&code())).await;
        assert!(matches!(refused, Err(ReauthenticateError::Code(CodeRefused::Wrong))));
        assert!(!was(&committed));
    }

    #[tokio::test]
    async fn password_and_code_do() {
        let (mut mocks, mut unit) = with_factor(true);
        test_ports::expect_letters(&mut unit, &[(LetterKind::RecoveryCodeUsed, "ada@example.com")]);
        let committed = mocks.expect_unit(unit);
        mocks.expect_activity(&[ActivityAction::RecoveryCodeUsed]);
        mocks.sessions.expect_authenticated().times(1).returning(|_, _, _| Ok(Some(session())));
        let password = PasswordAttempt::new("x");
        reauthenticate(&mocks.ports(), &caller(), &password, Some(&code())).await.unwrap();
        assert!(was(&committed));
    }
}
