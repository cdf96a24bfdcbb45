use subtle_domain::activity::ActivityAction;
use subtle_domain::letter::LetterKind;
use subtle_domain::token::RecoveryCode;

use super::NoSecondFactor;
use super::remove::with_factor;
use crate::Ports;
use crate::again::{again, conclude};
use crate::sessions::FreshCaller;

/// Gives the caller new recovery codes, shown this once. The older ones are good for nothing from then on, and a letter tells of it.
pub async fn replace_recovery_codes(
    ports: &Ports,
    caller: &FreshCaller,
) -> Result<Vec<RecoveryCode>, NoSecondFactor> {
    let (caller, now) = (caller.caller(), ports.clock.now());
    ports.may_change_factor(&caller.user_id, now).await?.map_err(NoSecondFactor::TooMany)?;
    let made = again(|| async {
        let mut unit = ports.store.begin().await?;
        let made = match with_factor(unit.users().lock(&caller.user_id).await?) {
            Ok(user) => {
                let codes = ports.new_codes(unit.as_mut(), &user).await?;
                let kind = LetterKind::RecoveryCodesMade;
                unit.outbox().add(&ports.letter(&user.id, kind, &user.email, &caller.client, now)).await?;
                Ok(codes)
            }
            Err(refused) => Err(refused),
        };
        conclude(unit, made).await
    });
    let codes = made.await??;
    ports.record(&caller.user_id, ActivityAction::RecoveryCodesMade, &caller.client, now);
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::fresh;
    use crate::test_ports::{self, ada, ada_with_factor, was};
    use chrono::TimeDelta;
    use subtle_domain::ports::MockUnit;
    use subtle_domain::second_factor::RECOVERY_CODES;
    use subtle_domain::throttle::{Rate, RetryAfter};
    use subtle_domain::token::TokenDigest;

    #[tokio::test]
    async fn ten_new_ones_take_the_place_of_the_older_ones() {
        let mut mocks = test_ports::Mocks::default();
        mocks
            .authenticators
            .expect_recovery_code()
            .times(RECOVERY_CODES)
            .returning(|| RecoveryCode::new("rc"));
        mocks.authenticators.expect_digest().returning(|_| TokenDigest::new("digest of rc"));
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(ada_with_factor())));
        unit.second_factors
            .expect_replace_codes()
            .withf(|user, digests| *user == ada().id && digests.len() == RECOVERY_CODES)
            .times(1)
            .returning(|_, _| Ok(()));
        test_ports::expect_letters(&mut unit, &[(LetterKind::RecoveryCodesMade, "ada@example.com")]);
        let committed = mocks.expect_unit(unit);
        mocks.expect_activity(&[ActivityAction::RecoveryCodesMade]);
        let codes = replace_recovery_codes(&mocks.ports(), &fresh()).await.unwrap();
        assert!(codes.len() == RECOVERY_CODES && was(&committed));
    }

    #[tokio::test]
    async fn nobody_fills_a_mailbox_by_asking_again_and_again() {
        let mut mocks = test_ports::Mocks::default();
        mocks.policy.second_factor = Some(Rate { burst: 10, interval: TimeDelta::minutes(1) });
        let wait = RetryAfter(std::time::Duration::from_mins(1));
        mocks.throttle.expect_take().times(1).returning(move |_, _, _| Ok(Err(wait)));
        let refused = replace_recovery_codes(&mocks.ports(), &fresh()).await;
        assert!(matches!(refused, Err(NoSecondFactor::TooMany(told)) if told == wait));
    }

    #[tokio::test]
    async fn who_has_no_second_factor_has_no_codes() {
        let mut mocks = test_ports::Mocks::default();
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(|_| Ok(Some(ada())));
        let committed = mocks.expect_unit(unit);
        let refused = replace_recovery_codes(&mocks.ports(), &fresh()).await;
        assert!(matches!(refused, Err(NoSecondFactor::Off)) && !was(&committed));
    }
}
