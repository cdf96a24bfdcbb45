use subtle_domain::Timestamp;
use subtle_domain::letter::LetterRequest;
use subtle_domain::one_time::BETWEEN_LETTERS;
use subtle_domain::ports::{StoreError, UnitOfWork};

use crate::Ports;
use crate::again::again;

/// Makes a letter of the oldest request, or nothing where there is no account that it makes sense for, or one was made within the last
/// minute; `false` if there is no request.
pub async fn answer_request(ports: &Ports) -> Result<bool, StoreError> {
    let now = ports.clock.now();
    again(|| async {
        let mut unit = ports.store.begin().await?;
        let Some(request) = unit.outbox().take_request().await? else {
            return unit.rollback().await.map(|()| false);
        };
        answer(ports, unit.as_mut(), &request, now).await?;
        unit.commit().await.map(|()| true)
    })
    .await
}

async fn answer(
    ports: &Ports,
    unit: &mut dyn UnitOfWork,
    request: &LetterRequest,
    now: Timestamp,
) -> Result<(), StoreError> {
    let user = unit.users().lock_address(&request.email).await?;
    let Some(user) = user.filter(|user| request.purpose.is_open_to(user)) else { return Ok(()) };
    let (record, letter) = ports.linked_letter(&user, request.purpose, &user.email, now);
    if unit.one_time().put(&record, now - BETWEEN_LETTERS).await? {
        unit.outbox().add(&letter).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, Mocks, NOW, ada};
    use chrono::TimeDelta;
    use subtle_domain::ids::LetterId;
    use subtle_domain::letter::LetterKind;
    use subtle_domain::one_time::Purpose;
    use subtle_domain::ports::MockUnit;
    use subtle_domain::user::User;

    fn asked(purpose: Purpose, user: Option<User>) -> (Mocks, MockUnit) {
        let mut mocks = Mocks::default();
        mocks.expect_one_time_tokens();
        let mut unit = MockUnit::default();
        let request =
            LetterRequest { id: LetterId::parse("m1").unwrap(), purpose, email: ada().email, at: NOW };
        unit.outbox.expect_take_request().return_once(|| Ok(Some(request)));
        unit.users
            .expect_lock_address()
            .withf(|email| email.as_str() == "ada@example.com")
            .return_once(|_| Ok(user));
        (mocks, unit)
    }

    #[tokio::test]
    async fn a_letter_and_what_is_kept_of_its_token_commit_with_the_request() {
        let (mut mocks, mut unit) = asked(Purpose::ResetPassword, Some(ada()));
        unit.one_time
            .expect_put()
            .withf(|record, unless_after| {
                record.digest.expose() == "digest of ott"
                    && record.expires_at == NOW + TimeDelta::hours(1)
                    && *unless_after == NOW - TimeDelta::minutes(1)
            })
            .times(1)
            .returning(|_, _| Ok(true));
        test_ports::expect_letters(&mut unit, &[(LetterKind::ResetPassword, "ada@example.com")]);
        let committed = mocks.expect_unit(unit);
        assert!(answer_request(&mocks.ports()).await.unwrap());
        assert!(test_ports::was(&committed));
    }

    #[tokio::test]
    async fn a_second_letter_within_a_minute_is_not_written() {
        let (mut mocks, mut unit) = asked(Purpose::VerifyEmail, Some(ada()));
        unit.one_time.expect_put().returning(|_, _| Ok(false));
        let committed = mocks.expect_unit(unit);
        assert!(answer_request(&mocks.ports()).await.unwrap());
        assert!(test_ports::was(&committed), "the request is over all the same");
    }

    #[tokio::test]
    async fn nobody_a_verified_and_a_closed_account_get_none() {
        for user in [
            None,
            Some(User { email_verified: true, ..ada() }),
            Some(User { disabled_at: Some(NOW), ..ada() }),
        ] {
            let (mut mocks, unit) = asked(Purpose::VerifyEmail, user);
            let committed = mocks.expect_unit(unit);
            assert!(answer_request(&mocks.ports()).await.unwrap());
            assert!(test_ports::was(&committed));
        }
    }

    #[tokio::test]
    async fn without_a_request_there_is_nothing_to_do() {
        let mut mocks = Mocks::default();
        let mut unit = MockUnit::default();
        unit.outbox.expect_take_request().return_once(|| Ok(None));
        mocks.expect_unit(unit);
        assert!(!answer_request(&mocks.ports()).await.unwrap());
    }
}
