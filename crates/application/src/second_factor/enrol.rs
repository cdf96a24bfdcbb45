use subtle_domain::ports::{Enrolment, StoreError};
use subtle_domain::second_factor::SecondFactor;
use subtle_domain::user::User;

use crate::Ports;
use crate::again::again;
use crate::sessions::FreshCaller;

/// Why there is no new secret.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The account has a second factor, which must be taken away first.
    #[error("the account has a second factor")]
    AlreadyOn,
    /// The account can't be used any more.
    #[error("the account is closed")]
    Closed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives the caller a secret for their app, in the place of an earlier one that was not confirmed. Nothing is asked of them until
/// they have shown a code of it.
pub async fn enrol_second_factor(ports: &Ports, caller: &FreshCaller) -> Result<Enrolment, EnrolError> {
    let (user_id, now) = (&caller.caller().user_id, ports.clock.now());
    again(|| async {
        let mut unit = ports.store.begin().await?;
        let user = unit.users().lock(user_id).await?;
        let refused = match user.filter(User::is_active) {
            Some(user) if user.second_factor_at.is_none() => {
                let enrolment = ports.authenticators.enrol(&user.id, &user.email);
                let pending = SecondFactor {
                    user_id: user.id,
                    encrypted: enrolment.encrypted.clone(),
                    created_at: now,
                    confirmed_at: None,
                    last_step: None,
                };
                unit.second_factors().put(&pending).await?;
                return unit.commit().await.map(|()| Ok(enrolment));
            }
            Some(_) => EnrolError::AlreadyOn,
            None => EnrolError::Closed,
        };
        unit.rollback().await.map(|()| Err(refused))
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::fresh;
    use crate::test_ports::{self, NOW, ada, ada_with_factor, factor, was};
    use subtle_domain::ports::MockUnit;
    use subtle_domain::token::{TotpSecret, TotpUri};

    async fn ask(user: User, puts: usize) -> (Result<Enrolment, EnrolError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        mocks.authenticators.expect_enrol().times(puts).returning(|_, _| Enrolment {
            secret: TotpSecret::new("SECRET"),
            uri: TotpUri::new("otpauth://totp/x"),
            encrypted: factor().encrypted,
        });
        let mut unit = MockUnit::default();
        unit.users.expect_lock().return_once(|_| Ok(Some(user)));
        unit.second_factors
            .expect_put()
            .withf(|put| *put == SecondFactor { confirmed_at: None, ..factor() })
            .times(puts)
            .returning(|_| Ok(()));
        let committed = mocks.expect_unit(unit);
        (enrol_second_factor(&mocks.ports(), &fresh()).await, was(&committed))
    }

    #[tokio::test]
    async fn a_new_secret_is_kept_encrypted_and_asks_nothing_yet() {
        let (enrolment, committed) = ask(ada(), 1).await;
        assert_eq!(enrolment.unwrap().secret.expose(), "SECRET");
        assert!(committed);
    }

    #[tokio::test]
    async fn a_factor_that_is_on_is_not_replaced_and_a_closed_account_gets_none() {
        let (refused, committed) = ask(ada_with_factor(), 0).await;
        assert!(matches!(refused, Err(EnrolError::AlreadyOn)) && !committed);
        let (refused, committed) = ask(User { disabled_at: Some(NOW), ..ada() }, 0).await;
        assert!(matches!(refused, Err(EnrolError::Closed)) && !committed);
    }
}
