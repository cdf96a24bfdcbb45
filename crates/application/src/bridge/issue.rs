use subtle_domain::Timestamp;
use subtle_domain::bridge::{self, Bridge, CodeChallenge};
use subtle_domain::ports::StoreError;
use subtle_domain::throttle::RetryAfter;
use subtle_domain::token::BridgeToken;

use crate::again::again;
use crate::sessions::Caller;
use crate::{AccountLimit, Ports};

/// What a bridge token is to be bound to, and to carry.
#[derive(Debug, Clone, Default)]
pub struct IssueBridge {
    /// The challenge of the app that will redeem it.
    pub challenge: Option<CodeChallenge>,
    /// What is handed over: a JSON document, if there is one.
    pub data: Option<String>,
}

/// A bridge token, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The token.
    pub token: BridgeToken,
    /// From when on it is good for nothing.
    pub expires_at: Timestamp,
}

/// Why there is no bridge token.
#[derive(Debug, thiserror::Error)]
pub enum IssueBridgeError {
    /// The account can't be used any more, or the caller's session is over.
    #[error("the account is closed")]
    Closed,
    /// Too many of this account.
    #[error("too many hand-offs of this account")]
    TooMany(RetryAfter),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a token with which another app of the caller's can begin a session of its own: once, within a minute, and for as long as the
/// caller's own session lives.
pub async fn issue_bridge(
    ports: &Ports,
    caller: &Caller,
    command: IssueBridge,
) -> Result<Issued, IssueBridgeError> {
    let now = ports.clock.now();
    let counted = ports.limits.admit_account(AccountLimit::Event, &caller.user_id, now);
    counted.map_err(IssueBridgeError::TooMany)?;
    let (token, digest) = ports.bridge_tokens.mint(&caller.user_id);
    let bridge = Bridge {
        id: ports.ids.bridge_id(),
        user_id: caller.user_id.clone(),
        session_id: Some(caller.session_id.clone()),
        digest,
        challenge: command.challenge,
        data: command.data,
        client: caller.client.clone(),
        created_at: now,
        expires_at: now + bridge::LIFE,
        used_at: None,
    };
    let issued = again(|| async {
        let mut unit = ports.store.begin().await?;
        let user = unit.users().lock(&caller.user_id).await?;
        let session = unit.sessions().hold(&caller.user_id, &caller.session_id).await?;
        let active = user.is_some_and(|user| user.is_active());
        if !active || !session.is_some_and(|session| session.is_live(&ports.policy.sessions, now)) {
            return unit.rollback().await.map(|()| false);
        }
        unit.bridges().add(&bridge).await?;
        unit.commit().await.map(|()| true)
    });
    if issued.await? {
        Ok(Issued { token, expires_at: bridge.expires_at })
    } else {
        Err(IssueBridgeError::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, NOW, ada, caller, session, was};
    use subtle_domain::ports::MockUnit;
    use subtle_domain::session::Session;
    use subtle_domain::token::TokenDigest;
    use subtle_domain::user::User;

    async fn ask(user: User, session: Session, add: bool) -> (Result<Issued, IssueBridgeError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        mocks
            .bridge_tokens
            .expect_mint()
            .withf(|user| *user == ada().id)
            .returning(|_| (BridgeToken::new("bt"), TokenDigest::new("digest of bt")));
        let mut unit = MockUnit::default();
        unit.users.expect_lock().return_once(|_| Ok(Some(user)));
        unit.sessions.expect_hold().return_once(move |_, _| Ok(Some(session.summary())));
        unit.bridges.expect_add().times(usize::from(add)).returning(|bridge| {
            assert_eq!(bridge.digest, TokenDigest::new("digest of bt"));
            assert_eq!(
                (bridge.data.as_deref(), &bridge.session_id),
                (Some("{}"), &Some(caller().session_id))
            );
            assert_eq!(bridge.expires_at, NOW + bridge::LIFE);
            Ok(())
        });
        let committed = mocks.expect_unit(unit);
        let command = IssueBridge { challenge: None, data: Some("{}".to_owned()) };
        (issue_bridge(&mocks.ports(), &caller(), command).await, was(&committed))
    }

    #[tokio::test]
    async fn a_token_is_kept_by_its_digest_and_shown_once() {
        let (issued, committed) = ask(ada(), session(), true).await;
        assert_eq!(issued.unwrap(), Issued { token: BridgeToken::new("bt"), expires_at: NOW + bridge::LIFE });
        assert!(committed);
    }

    #[tokio::test]
    async fn a_closed_account_and_a_session_that_is_over_hand_nothing_on() {
        let disabled = User { disabled_at: Some(NOW), ..ada() };
        let ended = Session { revoked_at: Some(NOW), ..session() };
        for (user, session) in [(disabled, session()), (ada(), ended)] {
            let (issued, committed) = ask(user, session, false).await;
            assert!(matches!(issued, Err(IssueBridgeError::Closed)) && !committed);
        }
    }
}
