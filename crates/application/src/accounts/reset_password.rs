use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::ids::SessionId;
use subtle_domain::letter::LetterKind;
use subtle_domain::one_time::{OneTimeRecord, Purpose};
use subtle_domain::password::{Password, PasswordHash};
use subtle_domain::ports::{HasherBusy, StoreError, UnitOfWork};
use subtle_domain::session::{ClientInfo, RevocationReason};

use crate::Ports;
use crate::again::again;

/// A new password, and the token that came by a letter.
#[derive(Debug, Clone)]
pub struct ResetPassword {
    /// The token as it is said to be.
    pub token: String,
    /// What the password shall be. That it is fit was found before the token is looked at, so an unfit one costs no letter.
    pub new: Password,
    /// Who asks.
    pub client: ClientInfo,
}

/// Why a password stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum ResetPasswordError {
    /// The token is unknown, was used, was replaced by a newer one or has expired. Nobody is told which.
    #[error("the token is not valid")]
    Invalid,
    /// Too many passwords are being hashed. The token is good for another try.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Replaces a password because somebody has the token that was sent to the account's address. All its sessions end, and all other
/// tokens in letters are good for nothing. The address is verified by that.
pub async fn reset_password(ports: &Ports, command: ResetPassword) -> Result<(), ResetPasswordError> {
    let now = ports.clock.now();
    let record = ports.one_time_records.find(&ports.one_time_tokens.digest(&command.token)).await?;
    let record = record
        .filter(|record| record.purpose == Purpose::ResetPassword && now < record.expires_at)
        .ok_or(ResetPasswordError::Invalid)?;
    let hash = ports.passwords.hash(&command.new).await?;
    let ended = again(|| async {
        let mut unit = ports.store.begin().await?;
        let ended = reset(ports, unit.as_mut(), &record, &hash, &command.client, now).await?;
        match ended {
            Some(ended) => unit.commit().await.map(|()| Some(ended)),
            None => unit.rollback().await.map(|()| None),
        }
    });
    ports.learn_ended(ended.await?.ok_or(ResetPasswordError::Invalid)?, now);
    ports.forget_guesses(&record.email, &command.client).await;
    ports.record(&record.user_id, ActivityAction::PasswordReset, &command.client, now);
    Ok(())
}

/// The sessions that ended; `None` if the token is good for nothing.
async fn reset(
    ports: &Ports,
    unit: &mut dyn UnitOfWork,
    record: &OneTimeRecord,
    hash: &PasswordHash,
    client: &ClientInfo,
    now: Timestamp,
) -> Result<Option<Vec<SessionId>>, StoreError> {
    let user = unit.users().lock(&record.user_id).await?.filter(|user| record.is_good(user, now));
    let Some(mut user) = user else { return Ok(None) };
    if !unit.one_time().spend(record).await? {
        return Ok(None);
    }
    user.verify_email(now);
    user.updated_at = now;
    unit.users().save(&user).await?;
    unit.users().set_hash(&user.id, hash).await?;
    unit.one_time().void(&user.id, None).await?;
    let letter = ports.letter(&user.id, LetterKind::PasswordChanged, &user.email, client, now);
    unit.outbox().add(&letter).await?;
    unit.sessions().revoke_all(&user.id, None, RevocationReason::PasswordChange, now).await.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, Mocks, NOW, ada, one_time, session};
    use subtle_domain::ports::{MockUnit, Revocation};
    use subtle_domain::throttle::RetryAfter;
    use subtle_domain::user::User;

    fn command() -> ResetPassword {
        let new = Password::parse("another secret 9").unwrap();
        ResetPassword { token: "ott".to_owned(), new, client: ClientInfo::default() }
    }

    fn known(record: OneTimeRecord) -> Mocks {
        let mut mocks = Mocks::default();
        mocks.know(record);
        mocks.passwords.expect_hash().returning(|_| Ok(PasswordHash::tombstone()));
        mocks
    }

    #[tokio::test]
    async fn the_password_is_replaced_and_every_session_ends() {
        let mut mocks = known(one_time(Purpose::ResetPassword));
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(ada())));
        unit.one_time.expect_spend().times(1).returning(|_| Ok(true));
        unit.users.expect_save().withf(|user| user.email_verified).times(1).returning(|_| Ok(()));
        unit.users.expect_set_hash().times(1).returning(|_, _| Ok(()));
        unit.one_time.expect_void().withf(|_, purpose| purpose.is_none()).times(1).returning(|_, _| Ok(()));
        test_ports::expect_letters(&mut unit, &[(LetterKind::PasswordChanged, "ada@example.com")]);
        unit.sessions
            .expect_revoke_all()
            .withf(|_, keep, reason, _| keep.is_none() && *reason == RevocationReason::PasswordChange)
            .times(1)
            .returning(|_, _, _, _| Ok(vec![session().id]));
        let committed = mocks.expect_unit(unit);
        mocks
            .revocations
            .expect_learn()
            .withf(|learned, _| learned == [Revocation::Session(session().id)])
            .times(1)
            .return_const(());
        mocks.expect_activity(&[ActivityAction::PasswordReset]);
        reset_password(&mocks.ports(), command()).await.unwrap();
        assert!(test_ports::was(&committed));
    }

    #[tokio::test]
    async fn a_token_of_another_purpose_or_past_its_time_costs_no_hash() {
        let expired = OneTimeRecord { expires_at: NOW, ..one_time(Purpose::ResetPassword) };
        for record in [one_time(Purpose::VerifyEmail), one_time(Purpose::ChangeEmail), expired] {
            let mut mocks = Mocks::default();
            mocks.know(record);
            let refused = reset_password(&mocks.ports(), command()).await;
            assert!(matches!(refused, Err(ResetPasswordError::Invalid)));
        }
    }

    #[tokio::test]
    async fn of_two_with_one_token_the_slower_is_refused() {
        let mut mocks = known(one_time(Purpose::ResetPassword));
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(ada())));
        unit.one_time.expect_spend().returning(|_| Ok(false));
        let committed = mocks.expect_unit(unit);
        let refused = reset_password(&mocks.ports(), command()).await;
        assert!(matches!(refused, Err(ResetPasswordError::Invalid)));
        assert!(!test_ports::was(&committed));
    }

    #[tokio::test]
    async fn a_closed_account_and_a_changed_address_refuse_the_token() {
        let email = subtle_domain::email::EmailAddress::parse("ada@new.example").unwrap();
        for user in [User { disabled_at: Some(NOW), ..ada() }, User { email, ..ada() }] {
            let mut mocks = known(one_time(Purpose::ResetPassword));
            let mut unit = MockUnit::default();
            unit.users.expect_lock().return_once(|_| Ok(Some(user)));
            let committed = mocks.expect_unit(unit);
            let refused = reset_password(&mocks.ports(), command()).await;
            assert!(matches!(refused, Err(ResetPasswordError::Invalid)));
            assert!(!test_ports::was(&committed));
        }
    }

    #[tokio::test]
    async fn a_busy_hasher_leaves_the_token_for_another_try() {
        let mut mocks = Mocks::default();
        mocks.know(one_time(Purpose::ResetPassword));
        let retry_after = RetryAfter(std::time::Duration::from_secs(1));
        mocks.passwords.expect_hash().returning(move |_| Err(HasherBusy { retry_after }));
        let refused = reset_password(&mocks.ports(), command()).await;
        assert!(matches!(refused, Err(ResetPasswordError::Busy(_))));
    }
}
