use chrono::TimeDelta;
use subtle_domain::Timestamp;
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::session::ClientInfo;
use subtle_domain::token::InvalidAccessToken;

use crate::Ports;

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Their account.
    pub user_id: UserId,
    /// The session that they came with.
    pub session_id: SessionId,
    /// When they last showed that it is them, as far as their token says.
    pub authenticated_at: Timestamp,
    /// When their access token expires.
    pub until: Timestamp,
    /// Where they come from.
    pub client: ClientInfo,
}

impl Caller {
    /// For how long they may go on, as far as is known here: not at all once their session is over or their access token has expired.
    pub(crate) fn time_left(&self, ports: &Ports) -> TimeDelta {
        if ports.revocations.covers(&self.user_id, &self.session_id) {
            return TimeDelta::zero();
        }
        (self.until - ports.clock.now()).max(TimeDelta::zero())
    }
}

/// By how much the clocks of several servers may differ.
const CLOCKS: TimeDelta = TimeDelta::seconds(5);

/// Takes an access token for who it names. Asks memory alone: the token's signature, the clock and what was revoked lately.
pub fn authenticate(ports: &Ports, token: &str, client: ClientInfo) -> Result<Caller, InvalidAccessToken> {
    let now = ports.clock.now();
    let claims = ports.access_tokens.verify(token, now)?;
    // What was revoked is remembered for a token's life as it is configured now. One that was made for a longer life, before the
    // setting was lowered, could outlive the memory of its own revocation.
    if now >= claims.issued_at + ports.policy.sessions.access_token + CLOCKS {
        return Err(InvalidAccessToken::Expired);
    }
    if ports.revocations.covers(&claims.user_id, &claims.session_id) {
        return Err(InvalidAccessToken::Revoked);
    }
    Ok(Caller {
        user_id: claims.user_id,
        session_id: claims.session_id,
        authenticated_at: claims.authenticated_at,
        until: claims.expires_at,
        client,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, NOW};
    use subtle_domain::ids::TokenId;
    use subtle_domain::second_factor::Assurance;
    use subtle_domain::token::AccessClaims;
    use subtle_domain::user::Role;

    fn claims() -> AccessClaims {
        AccessClaims {
            user_id: UserId::parse("ada").unwrap(),
            session_id: SessionId::parse("s1").unwrap(),
            role: Role::User,
            token_id: TokenId::parse("t1").unwrap(),
            assurance: Assurance::Password,
            authenticated_at: NOW,
            issued_at: NOW,
            expires_at: NOW + TimeDelta::minutes(15),
        }
    }

    #[test]
    fn a_token_in_force_names_its_caller() {
        let mut ports = test_ports::Mocks::default();
        ports
            .access_tokens
            .expect_verify()
            .withf(|token, now| token == "good" && *now == NOW)
            .returning(|_, _| Ok(claims()));
        ports.revocations.expect_covers().return_const(false);
        let caller = authenticate(&ports.ports(), "good", ClientInfo::default()).unwrap();
        assert_eq!((caller.user_id.as_str(), caller.session_id.as_str()), ("ada", "s1"));
        assert_eq!(caller.until, claims().expires_at);
    }

    #[test]
    fn a_token_of_a_session_that_was_ended_is_refused() {
        let mut ports = test_ports::Mocks::default();
        ports.access_tokens.expect_verify().returning(|_, _| Ok(claims()));
        ports.revocations.expect_covers().return_const(true);
        let refused = authenticate(&ports.ports(), "good", ClientInfo::default());
        assert_eq!(refused, Err(InvalidAccessToken::Revoked));
    }

    #[test]
    fn a_token_made_for_a_longer_life_than_is_configured_now_is_refused() {
        let mut ports = test_ports::Mocks::default();
        let old = AccessClaims {
            authenticated_at: NOW - TimeDelta::hours(2),
            issued_at: NOW - TimeDelta::hours(2),
            expires_at: NOW + TimeDelta::hours(22),
            ..claims()
        };
        ports.access_tokens.expect_verify().return_once(|_, _| Ok(old));
        let refused = authenticate(&ports.ports(), "old", ClientInfo::default());
        assert_eq!(refused, Err(InvalidAccessToken::Expired));
    }

    #[test]
    fn an_expired_token_is_refused() {
        let mut ports = test_ports::Mocks::default();
        ports.access_tokens.expect_verify().returning(|_, _| Err(InvalidAccessToken::Expired));
        let refused = authenticate(&ports.ports(), "old", ClientInfo::default());
        assert_eq!(refused, Err(InvalidAccessToken::Expired));
    }
}
