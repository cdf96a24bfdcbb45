use subtle_domain::activity::ActivityAction;
use subtle_domain::email::EmailAddress;
use subtle_domain::one_time::Purpose;
use subtle_domain::password::Password;
use subtle_domain::ports::{HasherBusy, NewUser, StoreError};
use subtle_domain::session::ClientInfo;
use subtle_domain::text::FullName;
use subtle_domain::user::User;

use crate::Ports;
use crate::again::again;
use crate::sessions::{SignedIn, new_session, signed_in};

/// What somebody tells of themselves to get an account.
#[derive(Debug, Clone)]
pub struct Register {
    /// Their address.
    pub email: EmailAddress,
    /// The password they choose.
    pub password: Password,
    /// Their name, if they tell it.
    pub full_name: Option<FullName>,
    /// Who asks.
    pub client: ClientInfo,
}

/// Why there is no new account.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// There is an account of that address, in whatever case it was written.
    #[error("there is an account of that address already")]
    AddressTaken,
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes an account and signs its owner in. The letter that asks them to verify their address commits with it.
pub async fn register(ports: &Ports, command: Register) -> Result<SignedIn, RegisterError> {
    let now = ports.clock.now();
    // Hashed before the address is looked up: that it is taken is not told any faster.
    let hash = ports.passwords.hash(&command.password).await?;
    let user = User::new(ports.ids.user_id(), command.email.clone(), now);
    let new = NewUser { user: User { full_name: command.full_name, ..user }, hash };
    let (session, token) = new_session(ports, &new.user, command.client.clone(), now);
    let (record, letter) = ports.linked_letter(&new.user, Purpose::VerifyEmail, &new.user.email, now);
    let added = again(|| async {
        let mut unit = ports.store.begin().await?;
        if !unit.users().add(&new).await? {
            unit.rollback().await?;
            return Ok(false);
        }
        unit.sessions().add(&session).await?;
        unit.one_time().put(&record, now).await?;
        unit.outbox().add(&letter).await?;
        unit.commit().await.map(|()| true)
    });
    if !added.await? {
        return Err(RegisterError::AddressTaken);
    }
    ports.record(&new.user.id, ActivityAction::SignUp, &command.client, now);
    Ok(signed_in(ports, new.user, session, token, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, NOW};
    use subtle_domain::letter::LetterKind;
    use subtle_domain::password::PasswordHash;
    use subtle_domain::ports::MockUnit;
    use subtle_domain::session::SessionPolicy;
    use subtle_domain::throttle::RetryAfter;
    use subtle_domain::user::{Role, SubscriptionTier};

    fn command() -> Register {
        Register {
            email: EmailAddress::parse("Ada@Example.com").unwrap(),
            password: Password::parse("tr0ub4dor&3").unwrap(),
            full_name: None,
            client: ClientInfo::default(),
        }
    }

    fn hashing(mocks: &mut test_ports::Mocks) {
        mocks.passwords.expect_hash().returning(|_| Ok(PasswordHash::tombstone()));
        mocks.expect_tokens();
        mocks.expect_one_time_tokens();
    }

    #[tokio::test]
    async fn an_account_its_session_and_its_letter_commit_together() {
        let mut mocks = test_ports::Mocks::default();
        hashing(&mut mocks);
        mocks.expect_activity(&[ActivityAction::SignUp]);
        let mut unit = MockUnit::default();
        unit.users
            .expect_add()
            .withf(|new| new.user.email.as_str() == "ada@example.com")
            .returning(|_| Ok(true));
        unit.sessions.expect_add().withf(|session| session.created_at == NOW).returning(|_| Ok(()));
        unit.one_time
            .expect_put()
            .withf(|record, _| {
                record.purpose == Purpose::VerifyEmail && record.email.as_str() == "ada@example.com"
            })
            .times(1)
            .returning(|_, _| Ok(true));
        test_ports::expect_letters(&mut unit, &[(LetterKind::VerifyEmail, "ada@example.com")]);
        let committed = mocks.expect_unit(unit);
        let done = register(&mocks.ports(), command()).await.unwrap();
        assert!(test_ports::was(&committed));
        assert_eq!((done.user.role, done.user.subscription_tier), (Role::User, SubscriptionTier::Free));
        assert_eq!(done.session.expires_at, NOW + SessionPolicy::default().absolute);
    }

    #[tokio::test]
    async fn a_taken_address_leaves_nothing_behind() {
        let mut mocks = test_ports::Mocks::default();
        hashing(&mut mocks);
        let mut unit = MockUnit::default();
        unit.users.expect_add().returning(|_| Ok(false));
        let committed = mocks.expect_unit(unit);
        let refused = register(&mocks.ports(), command()).await;
        assert!(matches!(refused, Err(RegisterError::AddressTaken)));
        assert!(!test_ports::was(&committed));
    }

    #[tokio::test]
    async fn a_busy_hasher_refuses_before_anything_is_stored() {
        let mut mocks = test_ports::Mocks::default();
        let retry_after = RetryAfter(std::time::Duration::from_secs(2));
        mocks.passwords.expect_hash().returning(move |_| Err(HasherBusy { retry_after }));
        let refused = register(&mocks.ports(), command()).await;
        assert!(matches!(refused, Err(RegisterError::Busy(HasherBusy { retry_after: RetryAfter(_) }))));
    }
}
