use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::email::EmailAddress;
use subtle_domain::letter::{Letter, LetterKind};
use subtle_domain::one_time::{OneTimeRecord, Purpose};
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::session::ClientInfo;
use subtle_domain::user::User;

use crate::Ports;
use crate::again::{again, conclude};

/// Why an address stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum VerifyEmailError {
    /// The token is unknown, was used, was replaced by a newer one or has expired. Nobody is told which.
    #[error("the token is not valid")]
    Invalid,
    /// Somebody else has the new address by now.
    #[error("there is an account of that address already")]
    AddressTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes an address as verified because somebody has the token that was sent there. One that was asked for in the place of another
/// takes that place now, and both addresses are told.
pub async fn verify_email(ports: &Ports, token: &str, client: &ClientInfo) -> Result<(), VerifyEmailError> {
    let now = ports.clock.now();
    let record = ports.one_time_records.find(&ports.one_time_tokens.digest(token)).await?;
    let record = record.ok_or(VerifyEmailError::Invalid)?;
    let action = match record.purpose {
        Purpose::VerifyEmail => ActivityAction::EmailVerified,
        Purpose::ChangeEmail => ActivityAction::EmailChanged,
        Purpose::ResetPassword => return Err(VerifyEmailError::Invalid),
    };
    again(|| async {
        let mut unit = ports.store.begin().await?;
        let done = verify(ports, unit.as_mut(), &record, client, now).await?;
        conclude(unit, done).await
    })
    .await??;
    ports.record(&record.user_id, action, client, now);
    Ok(())
}

async fn verify(
    ports: &Ports,
    unit: &mut dyn UnitOfWork,
    record: &OneTimeRecord,
    client: &ClientInfo,
    now: Timestamp,
) -> Result<Result<(), VerifyEmailError>, StoreError> {
    let user = unit.users().lock(&record.user_id).await?.filter(|user| record.is_good(user, now));
    let Some(mut user) = user else { return Ok(Err(VerifyEmailError::Invalid)) };
    if !unit.one_time().spend(record).await? {
        return Ok(Err(VerifyEmailError::Invalid));
    }
    if record.purpose == Purpose::VerifyEmail {
        user.verify_email(now);
        return unit.users().save(&user).await.map(Ok);
    }
    let old = user.email.clone();
    user.move_to(record.email.clone(), now);
    if !unit.users().move_to(&user).await? {
        return Ok(Err(VerifyEmailError::AddressTaken));
    }
    // What was sent to the old mailbox is good for nothing now.
    unit.one_time().void(&user.id, None).await?;
    for letter in told(ports, &user, &old, client, now) {
        unit.outbox().add(&letter).await?;
    }
    Ok(Ok(()))
}

fn told(ports: &Ports, user: &User, old: &EmailAddress, client: &ClientInfo, now: Timestamp) -> [Letter; 2] {
    [old, &user.email].map(|to| Letter {
        new_email: Some(user.email.clone()),
        ..ports.letter(&user.id, LetterKind::EmailChanged, to, client, now)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, Mocks, NOW, ada, one_time};
    use subtle_domain::ports::MockUnit;

    fn known(purpose: Purpose) -> (Mocks, MockUnit) {
        let mut mocks = Mocks::default();
        let email = EmailAddress::parse("ada@new.example").unwrap();
        let record = one_time(purpose);
        mocks.know(if purpose == Purpose::ChangeEmail { OneTimeRecord { email, ..record } } else { record });
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(ada())));
        (mocks, unit)
    }

    async fn present(mocks: Mocks) -> Result<(), VerifyEmailError> {
        verify_email(&mocks.ports(), "ott", &ClientInfo::default()).await
    }

    #[tokio::test]
    async fn the_address_is_verified_and_the_token_spent_together() {
        let (mut mocks, mut unit) = known(Purpose::VerifyEmail);
        unit.one_time.expect_spend().times(1).returning(|_| Ok(true));
        unit.users.expect_save().withf(|user| user.email_verified).times(1).returning(|_| Ok(()));
        let committed = mocks.expect_unit(unit);
        mocks.expect_activity(&[ActivityAction::EmailVerified]);
        present(mocks).await.unwrap();
        assert!(test_ports::was(&committed));
    }

    #[tokio::test]
    async fn a_new_address_takes_the_old_ones_place_and_both_are_told() {
        let (mut mocks, mut unit) = known(Purpose::ChangeEmail);
        unit.one_time.expect_spend().returning(|_| Ok(true));
        unit.users
            .expect_move_to()
            .withf(|user| user.email.as_str() == "ada@new.example" && user.email_verified)
            .times(1)
            .returning(|_| Ok(true));
        unit.one_time.expect_void().withf(|_, purpose| purpose.is_none()).times(1).returning(|_, _| Ok(()));
        let both =
            &[(LetterKind::EmailChanged, "ada@example.com"), (LetterKind::EmailChanged, "ada@new.example")];
        test_ports::expect_letters(&mut unit, both);
        let committed = mocks.expect_unit(unit);
        mocks.expect_activity(&[ActivityAction::EmailChanged]);
        present(mocks).await.unwrap();
        assert!(test_ports::was(&committed));
    }

    #[tokio::test]
    async fn an_address_that_was_taken_meanwhile_stays_with_who_has_it() {
        let (mut mocks, mut unit) = known(Purpose::ChangeEmail);
        unit.one_time.expect_spend().returning(|_| Ok(true));
        unit.users.expect_move_to().returning(|_| Ok(false));
        let committed = mocks.expect_unit(unit);
        assert!(matches!(present(mocks).await, Err(VerifyEmailError::AddressTaken)));
        assert!(!test_ports::was(&committed));
    }

    #[tokio::test]
    async fn an_unknown_token_a_spent_one_and_one_for_another_purpose_are_told_alike() {
        let mut mocks = Mocks::default();
        mocks.know(one_time(Purpose::VerifyEmail));
        let unknown = verify_email(&mocks.ports(), "guessed", &ClientInfo::default()).await;
        let (mut mocks, mut unit) = known(Purpose::VerifyEmail);
        unit.one_time.expect_spend().returning(|_| Ok(false));
        let committed = mocks.expect_unit(unit);
        let spent = present(mocks).await;
        let (mocks, _) = known(Purpose::ResetPassword);
        let other = present(mocks).await;
        for refused in [unknown, spent, other] {
            assert!(matches!(refused, Err(VerifyEmailError::Invalid)), "{refused:?}");
        }
        assert!(!test_ports::was(&committed));
    }

    #[tokio::test]
    async fn an_expired_token_is_refused_and_left_for_the_cleaner() {
        let mut mocks = Mocks::default();
        mocks.know(OneTimeRecord { expires_at: NOW, ..one_time(Purpose::VerifyEmail) });
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(ada())));
        let committed = mocks.expect_unit(unit);
        assert!(matches!(present(mocks).await, Err(VerifyEmailError::Invalid)));
        assert!(!test_ports::was(&committed));
    }
}
