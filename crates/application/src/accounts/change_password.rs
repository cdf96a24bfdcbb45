use subtle_domain::activity::ActivityAction;
use subtle_domain::letter::{Letter, LetterKind};
use subtle_domain::one_time::Purpose;
use subtle_domain::password::{Password, PasswordAttempt, PasswordHash};
use subtle_domain::ports::StoreError;
use subtle_domain::session::RevocationReason;

use crate::Ports;
use crate::again::again;
use crate::sessions::{Caller, FreshCaller, NotProven};

/// A new password, and the one it takes the place of.
#[derive(Debug, Clone)]
pub struct ChangePassword {
    /// The password as it is said to be.
    pub current: PasswordAttempt,
    /// What it shall be.
    pub new: Password,
}

/// Changes the caller's password, ends all their other sessions (ASVS 7.4.3) and tells them by a letter.
pub async fn change_password(
    ports: &Ports,
    caller: &FreshCaller,
    command: ChangePassword,
) -> Result<(), NotProven> {
    let caller = caller.caller();
    let now = ports.clock.now();
    let refusal = ActivityAction::PasswordChangeRefused;
    let credentials = ports.prove_password(caller, &command.current, refusal, now).await?;
    let hash = ports.passwords.hash(&command.new).await?;
    let email = &credentials.user.email;
    let letter = ports.letter(&caller.user_id, LetterKind::PasswordChanged, email, &caller.client, now);
    let ended = again(|| replace(ports, caller, &credentials.hash, &hash, &letter, now)).await?;
    // Somebody else changed it meanwhile: what was verified is no longer the password.
    ports.learn_ended(ended.ok_or(NotProven::WrongPassword)?, now);
    ports.record(&caller.user_id, ActivityAction::PasswordChanged, &caller.client, now);
    Ok(())
}

async fn replace(
    ports: &Ports,
    caller: &Caller,
    from: &PasswordHash,
    to: &PasswordHash,
    letter: &Letter,
    now: subtle_domain::Timestamp,
) -> Result<Option<Vec<subtle_domain::ids::SessionId>>, StoreError> {
    let mut unit = ports.store.begin().await?;
    if !unit.users().replace_hash(&caller.user_id, from, to, now).await? {
        unit.rollback().await?;
        return Ok(None);
    }
    let keep = Some(&caller.session_id);
    let ended =
        unit.sessions().revoke_all(&caller.user_id, keep, RevocationReason::PasswordChange, now).await?;
    // What somebody else may have asked for, who knew the old password or had the mailbox.
    for purpose in [Purpose::ResetPassword, Purpose::ChangeEmail] {
        unit.one_time().void(&caller.user_id, Some(purpose)).await?;
    }
    unit.outbox().add(letter).await?;
    unit.commit().await?;
    Ok(Some(ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::fresh;
    use crate::test_ports::{self, ada};
    use subtle_domain::email::EmailAddress;
    use subtle_domain::ids::SessionId;
    use subtle_domain::ports::{Credentials, MockUnit, Revocation};
    use subtle_domain::throttle::{Rate, RetryAfter};
    use subtle_domain::user::User;

    fn command() -> ChangePassword {
        ChangePassword {
            current: PasswordAttempt::new("old secret"),
            new: Password::parse("new secret 9").unwrap(),
        }
    }

    fn knowing(verified: bool) -> test_ports::Mocks {
        let mut mocks = test_ports::Mocks::default();
        let hash = PasswordHash::tombstone();
        mocks.accounts.expect_credentials().return_once(move |_| Ok(Some(Credentials { user: ada(), hash })));
        mocks.passwords.expect_verify().return_once(move |_, _| Ok(verified));
        mocks.passwords.expect_hash().returning(|_| Ok(PasswordHash::tombstone()));
        mocks
    }

    #[tokio::test]
    async fn the_other_sessions_end_with_the_old_password() {
        let mut mocks = knowing(true);
        let mut unit = MockUnit::default();
        unit.users.expect_replace_hash().returning(|_, _, _, _| Ok(true));
        unit.sessions
            .expect_revoke_all()
            .withf(|_, keep, reason, _| {
                keep.is_some_and(|kept| kept.as_str() == "s1") && *reason == RevocationReason::PasswordChange
            })
            .returning(|_, _, _, _| Ok(vec![SessionId::parse("s2").unwrap()]));
        unit.one_time.expect_void().times(2).returning(|_, purpose| {
            assert_ne!(purpose, Some(Purpose::VerifyEmail));
            Ok(())
        });
        test_ports::expect_letters(&mut unit, &[(LetterKind::PasswordChanged, "ada@example.com")]);
        let committed = mocks.expect_unit(unit);
        mocks
            .revocations
            .expect_learn()
            .withf(|learned, _| learned == [Revocation::Session(SessionId::parse("s2").unwrap())])
            .times(1)
            .return_const(());
        mocks.expect_activity(&[ActivityAction::PasswordChanged]);
        change_password(&mocks.ports(), &fresh(), command()).await.unwrap();
        assert!(test_ports::was(&committed));
    }

    #[tokio::test]
    async fn a_wrong_current_password_changes_nothing_and_is_remembered() {
        let mut mocks = knowing(false);
        mocks.expect_activity(&[ActivityAction::PasswordChangeRefused]);
        let refused = change_password(&mocks.ports(), &fresh(), command()).await;
        assert!(matches!(refused, Err(NotProven::WrongPassword)));
    }

    #[tokio::test]
    async fn guesses_here_count_with_those_at_sign_in_however_the_address_is_stored() {
        let mut mocks = test_ports::Mocks::default();
        let user = User { email: EmailAddress::from_stored("Ada@Example.com".to_owned()), ..ada() };
        let hash = PasswordHash::tombstone();
        mocks.accounts.expect_credentials().return_once(move |_| Ok(Some(Credentials { user, hash })));
        let rate = Rate { burst: 1, interval: chrono::TimeDelta::seconds(60) };
        mocks.policy.guesses = Some(rate);
        let wait = RetryAfter(std::time::Duration::from_mins(1));
        mocks
            .throttle
            .expect_take()
            .withf(|key, _, _| key == "ada@example.com from ")
            .times(1)
            .returning(move |_, _, _| Ok(Err(wait)));
        mocks.expect_activity(&[ActivityAction::PasswordChangeRefused]);
        let refused = change_password(&mocks.ports(), &fresh(), command()).await;
        assert!(matches!(refused, Err(NotProven::TooManyGuesses(_))));
    }

    #[tokio::test]
    async fn of_two_changes_at_once_the_slower_is_refused() {
        let mut mocks = knowing(true);
        let mut unit = MockUnit::default();
        unit.users.expect_replace_hash().returning(|_, _, _, _| Ok(false));
        let committed = mocks.expect_unit(unit);
        let refused = change_password(&mocks.ports(), &fresh(), command()).await;
        assert!(matches!(refused, Err(NotProven::WrongPassword)));
        assert!(!test_ports::was(&committed));
    }

    #[tokio::test]
    async fn a_closed_account_has_no_password_to_change() {
        let mut mocks = test_ports::Mocks::default();
        let user = User { disabled_at: Some(test_ports::NOW), ..ada() };
        let hash = PasswordHash::tombstone();
        mocks.accounts.expect_credentials().return_once(move |_| Ok(Some(Credentials { user, hash })));
        let refused = change_password(&mocks.ports(), &fresh(), command()).await;
        assert!(matches!(refused, Err(NotProven::Closed)));
    }
}
