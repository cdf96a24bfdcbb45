use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::email::EmailAddress;
use subtle_domain::letter::{Letter, LetterKind};
use subtle_domain::one_time::{BETWEEN_LETTERS, Purpose};
use subtle_domain::password::PasswordAttempt;
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::throttle::RetryAfter;
use subtle_domain::user::User;

use crate::Ports;
use crate::again::{again, conclude};
use crate::sessions::{Caller, FreshCaller, NotProven};

/// The address that an account shall have.
#[derive(Debug, Clone)]
pub struct AskEmailChange {
    /// The account's password as it is said to be.
    pub current: PasswordAttempt,
    /// The new address.
    pub new: EmailAddress,
}

/// Why nothing is sent to a new address.
#[derive(Debug, thiserror::Error)]
pub enum AskEmailChangeError {
    /// They have not shown that it is them.
    #[error(transparent)]
    NotProven(#[from] NotProven),
    /// Too many letters to that address, or too soon after the last.
    #[error("too many letters")]
    TooManyLetters(RetryAfter),
    /// There is an account of that address, in whatever case it was written; perhaps the caller's own.
    #[error("there is an account of that address already")]
    AddressTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sends a token to the address that the caller wants to have, and tells the one they have of it. Nothing changes until the token comes
/// back: see [`super::verify_email()`].
pub async fn ask_email_change(
    ports: &Ports,
    caller: &FreshCaller,
    command: AskEmailChange,
) -> Result<(), AskEmailChangeError> {
    let caller = caller.caller();
    let now = ports.clock.now();
    ports.prove_password(caller, &command.current, ActivityAction::EmailChangeRefused, now).await?;
    if ports.accounts.credentials_of_address(&command.new).await?.is_some() {
        return Err(AskEmailChangeError::AddressTaken);
    }
    ports
        .may_ask_for(Purpose::ChangeEmail, &command.new, &caller.client, now)
        .await?
        .map_err(AskEmailChangeError::TooManyLetters)?;
    again(|| async {
        let mut unit = ports.store.begin().await?;
        let done = ask(ports, unit.as_mut(), caller, &command.new, now).await?;
        conclude(unit, done).await
    })
    .await??;
    ports.record(&caller.user_id, ActivityAction::EmailChangeAsked, &caller.client, now);
    Ok(())
}

async fn ask(
    ports: &Ports,
    unit: &mut dyn UnitOfWork,
    caller: &Caller,
    new: &EmailAddress,
    now: Timestamp,
) -> Result<Result<(), AskEmailChangeError>, StoreError> {
    let user = unit.users().lock(&caller.user_id).await?;
    let Some(user) = user.filter(User::is_active) else {
        return Ok(Err(NotProven::Closed.into()));
    };
    let (record, letter) = ports.linked_letter(&user, Purpose::ChangeEmail, new, now);
    if !unit.one_time().put(&record, now - BETWEEN_LETTERS).await? {
        let wait = RetryAfter(BETWEEN_LETTERS.to_std().unwrap_or_default());
        return Ok(Err(AskEmailChangeError::TooManyLetters(wait)));
    }
    unit.outbox().add(&letter).await?;
    let notice = ports.letter(&user.id, LetterKind::EmailChangeAsked, &user.email, &caller.client, now);
    unit.outbox().add(&Letter { new_email: Some(new.clone()), ..notice }).await?;
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::fresh;
    use crate::test_ports::{self, Mocks, ada};
    use subtle_domain::password::PasswordHash;
    use subtle_domain::ports::{Credentials, MockUnit};

    fn command() -> AskEmailChange {
        let new = EmailAddress::parse("ada@new.example").unwrap();
        AskEmailChange { current: PasswordAttempt::new("old secret"), new }
    }

    fn credentials() -> Credentials {
        Credentials { user: ada(), hash: PasswordHash::tombstone() }
    }

    fn knowing(verified: bool, taken: bool) -> Mocks {
        let mut mocks = Mocks::default();
        mocks.accounts.expect_credentials().return_once(|_| Ok(Some(credentials())));
        mocks.accounts.expect_credentials_of_address().returning(move |_| Ok(taken.then(credentials)));
        mocks.passwords.expect_verify().return_once(move |_, _| Ok(verified));
        mocks.expect_one_time_tokens();
        mocks
    }

    fn locking() -> MockUnit {
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(ada())));
        unit
    }

    #[tokio::test]
    async fn the_new_address_gets_a_link_and_the_old_one_is_told() {
        let mut mocks = knowing(true, false);
        let mut unit = locking();
        unit.one_time
            .expect_put()
            .withf(|record, _| {
                record.purpose == Purpose::ChangeEmail && record.email.as_str() == "ada@new.example"
            })
            .returning(|_, _| Ok(true));
        let both = &[
            (LetterKind::ConfirmNewEmail, "ada@new.example"),
            (LetterKind::EmailChangeAsked, "ada@example.com"),
        ];
        test_ports::expect_letters(&mut unit, both);
        let committed = mocks.expect_unit(unit);
        mocks.expect_activity(&[ActivityAction::EmailChangeAsked]);
        ask_email_change(&mocks.ports(), &fresh(), command()).await.unwrap();
        assert!(test_ports::was(&committed));
    }

    #[tokio::test]
    async fn a_wrong_password_sends_nothing_and_is_remembered() {
        let mut mocks = knowing(false, false);
        mocks.expect_activity(&[ActivityAction::EmailChangeRefused]);
        let refused = ask_email_change(&mocks.ports(), &fresh(), command()).await;
        assert!(matches!(refused, Err(AskEmailChangeError::NotProven(NotProven::WrongPassword))));
    }

    #[tokio::test]
    async fn an_address_with_an_account_is_refused() {
        let refused = ask_email_change(&knowing(true, true).ports(), &fresh(), command()).await;
        assert!(matches!(refused, Err(AskEmailChangeError::AddressTaken)));
    }

    #[tokio::test]
    async fn a_second_wish_within_a_minute_is_put_off() {
        let mut mocks = knowing(true, false);
        let mut unit = locking();
        unit.one_time.expect_put().returning(|_, _| Ok(false));
        let committed = mocks.expect_unit(unit);
        let refused = ask_email_change(&mocks.ports(), &fresh(), command()).await;
        assert!(matches!(refused, Err(AskEmailChangeError::TooManyLetters(wait)) if wait.seconds() == 60));
        assert!(!test_ports::was(&committed));
    }

    #[tokio::test]
    async fn an_account_that_was_closed_meanwhile_gets_no_letter() {
        let mut mocks = knowing(true, false);
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(None));
        let committed = mocks.expect_unit(unit);
        let refused = ask_email_change(&mocks.ports(), &fresh(), command()).await;
        assert!(matches!(refused, Err(AskEmailChangeError::NotProven(NotProven::Closed))));
        assert!(!test_ports::was(&committed));
    }
}
