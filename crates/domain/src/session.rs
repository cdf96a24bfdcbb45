//! Sessions: how long they live, and what becomes of a refresh token that is presented.

use std::cmp::Ordering;

use chrono::TimeDelta;

use crate::Timestamp;
use crate::ids::{SessionId, UserId};
use crate::second_factor::Assurance;
use crate::token::TokenDigest;
use crate::user::vocabulary;

/// How often a session's refresh token has been rotated. The current token carries the session's own generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(i32);

impl Generation {
    /// That of the token with which a session starts.
    pub const FIRST: Self = Self(0);
    /// That of a token of another service, which is exchanged for the first.
    pub const BEFORE_FIRST: Self = Self(-1);

    /// Takes what a row or a token says.
    #[must_use]
    pub fn new(number: i32) -> Self {
        Self(number)
    }

    /// The next one. At the end of the range it stays where it is, and the session can only expire: two thousand million
    /// refreshes are 68 years of one a second.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }
}

vocabulary! {
    /// Why a session was ended before its time.
    RevocationReason {
        /// They signed out.
        SignOut = "sign_out",
        /// They ended it from another session.
        User = "user",
        /// An administrator ended it.
        Admin = "admin",
        /// A spent refresh token was presented: somebody has a copy (RFC 9700, 4.14.2).
        Reuse = "reuse",
        /// The password was changed.
        PasswordChange = "password_change",
        /// The account was disabled.
        Disabled = "disabled",
        /// The person was erased.
        Deleted = "deleted",
        /// A newer one took its place: the account had as many as it may have.
        Superseded = "superseded",
        /// The account has a second factor since, which this session was begun without.
        SecondFactorAdded = "second_factor_added",
    }
}

/// How long sessions and tokens live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionPolicy {
    /// Life of an access token.
    pub access_token: TimeDelta,
    /// Life of a session, however much it is used (ASVS 7.3.2).
    pub absolute: TimeDelta,
    /// Life of a session that is not used (ASVS 7.3.1).
    pub idle: TimeDelta,
    /// How long the parent of the current refresh token is answered with that same current token, so that a lost answer and
    /// parallel tabs sign nobody out.
    pub grace: TimeDelta,
    /// Most live sessions of an account. A new one ends the one that was unused for longest.
    pub most: u32,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self {
            access_token: TimeDelta::minutes(15),
            absolute: TimeDelta::days(90),
            idle: TimeDelta::days(30),
            grace: TimeDelta::seconds(10),
            most: 100,
        }
    }
}

impl SessionPolicy {
    /// Whether a session that ends then at the latest, and was last used then, is not over by its age at `now`.
    fn allows(&self, expires_at: Timestamp, last_used_at: Timestamp, now: Timestamp) -> bool {
        now < expires_at && now < last_used_at + self.idle
    }
}

/// Where a client comes from, as it told us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// Its address, as far as trusted proxies vouch for it.
    pub ip_address: Option<std::net::IpAddr>,
    /// Its `User-Agent`, cut to 512 characters and freed of control characters.
    pub user_agent: Option<String>,
}

/// A signed-in device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The claim `sid` of its access tokens.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// The generation of its current refresh token.
    pub generation: Generation,
    /// The digest of its current refresh token.
    pub digest: TokenDigest,
    /// Random; the key of its refresh tokens' MACs is derived from it.
    pub salt: Vec<u8>,
    /// When it began.
    pub created_at: Timestamp,
    /// When its owner last showed that it is them, by a password. Refreshing never moves it.
    pub authenticated_at: Timestamp,
    /// How sure we are that it is them.
    pub assurance: Assurance,
    /// When it ends at the latest. Refreshing never moves it.
    pub expires_at: Timestamp,
    /// When its current refresh token was made.
    pub last_used_at: Timestamp,
    /// Since when it is ended, if it is.
    pub revoked_at: Option<Timestamp>,
    /// The client that began it.
    pub client: ClientInfo,
}

/// A session without what its refresh tokens are made of: enough for all but exchanging one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    /// As [`Session::id`].
    pub id: SessionId,
    /// When it began.
    pub created_at: Timestamp,
    /// As [`Session::authenticated_at`].
    pub authenticated_at: Timestamp,
    /// How sure we are that it is its owner's.
    pub assurance: Assurance,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When it was last refreshed.
    pub last_used_at: Timestamp,
    /// Since when it is ended, if it is.
    pub revoked_at: Option<Timestamp>,
    /// The client that began it.
    pub client: ClientInfo,
}

impl SessionSummary {
    /// Whether the session can still be used at `now`.
    #[must_use]
    pub fn is_live(&self, policy: &SessionPolicy, now: Timestamp) -> bool {
        self.revoked_at.is_none() && policy.allows(self.expires_at, self.last_used_at, now)
    }
}

/// What becomes of a refresh token whose MAC holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshDecision {
    /// It is the current one: step to this generation.
    Rotate(Generation),
    /// It is the direct parent, within the grace: answer with the token of this generation, the current one, again.
    Repeat(Generation),
    /// It was spent: end the session, for somebody has a copy.
    Reuse,
    /// The session is over, or the token is ahead of it (the database was restored from before the token was made).
    Refuse,
}

impl Session {
    /// The session without what its tokens are made of.
    #[must_use]
    pub fn summary(&self) -> SessionSummary {
        SessionSummary {
            id: self.id.clone(),
            created_at: self.created_at,
            authenticated_at: self.authenticated_at,
            assurance: self.assurance,
            expires_at: self.expires_at,
            last_used_at: self.last_used_at,
            revoked_at: self.revoked_at,
            client: self.client.clone(),
        }
    }

    /// Decides on a refresh token of generation `presented` (RFC 9700, 4.14.2; ASVS 10.4.5).
    #[must_use]
    pub fn decide_refresh(
        &self,
        presented: Generation,
        policy: &SessionPolicy,
        now: Timestamp,
    ) -> RefreshDecision {
        if self.revoked_at.is_some() || !policy.allows(self.expires_at, self.last_used_at, now) {
            return RefreshDecision::Refuse;
        }
        match presented.cmp(&self.generation) {
            Ordering::Equal => RefreshDecision::Rotate(self.generation.next()),
            Ordering::Less
                if presented.next() == self.generation && now <= self.last_used_at + policy.grace =>
            {
                RefreshDecision::Repeat(self.generation)
            }
            Ordering::Less => RefreshDecision::Reuse,
            Ordering::Greater => RefreshDecision::Refuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: SessionPolicy = SessionPolicy {
        access_token: TimeDelta::minutes(15),
        absolute: TimeDelta::days(90),
        idle: TimeDelta::days(30),
        grace: TimeDelta::seconds(10),
        most: 100,
    };

    fn began() -> Timestamp {
        chrono::DateTime::from_timestamp_millis(1_700_000_000_000).unwrap()
    }

    fn session(generation: i32) -> Session {
        Session {
            id: SessionId::parse("s1").unwrap(),
            user_id: UserId::parse("u1").unwrap(),
            generation: Generation::new(generation),
            digest: TokenDigest::new("00"),
            salt: vec![0; 16],
            created_at: began(),
            authenticated_at: began(),
            assurance: Assurance::Password,
            expires_at: began() + POLICY.absolute,
            last_used_at: began(),
            revoked_at: None,
            client: ClientInfo::default(),
        }
    }

    fn decide(presented: i32, after: TimeDelta) -> RefreshDecision {
        session(5).decide_refresh(Generation::new(presented), &POLICY, began() + after)
    }

    #[test]
    fn the_current_token_steps_forward() {
        assert_eq!(decide(5, TimeDelta::zero()), RefreshDecision::Rotate(Generation::new(6)));
        assert_eq!(decide(5, TimeDelta::days(29)), RefreshDecision::Rotate(Generation::new(6)));
    }

    #[test]
    fn the_direct_parent_is_answered_alike_within_the_grace_and_is_reuse_after_it() {
        assert_eq!(decide(4, TimeDelta::zero()), RefreshDecision::Repeat(Generation::new(5)));
        assert_eq!(decide(4, POLICY.grace), RefreshDecision::Repeat(Generation::new(5)));
        assert_eq!(decide(4, POLICY.grace + TimeDelta::milliseconds(1)), RefreshDecision::Reuse);
    }

    #[test]
    fn a_grandparent_is_reuse_even_within_the_grace() {
        assert_eq!(decide(3, TimeDelta::zero()), RefreshDecision::Reuse);
        assert_eq!(decide(0, TimeDelta::zero()), RefreshDecision::Reuse);
    }

    #[test]
    fn a_token_from_before_the_first_is_the_parent_of_the_first() {
        let decide = |generation: i32, after| {
            session(generation).decide_refresh(Generation::BEFORE_FIRST, &POLICY, began() + after)
        };
        assert_eq!(decide(0, POLICY.grace), RefreshDecision::Repeat(Generation::FIRST));
        assert_eq!(decide(0, POLICY.grace + TimeDelta::milliseconds(1)), RefreshDecision::Reuse);
        assert_eq!(decide(1, TimeDelta::zero()), RefreshDecision::Reuse);
    }

    #[test]
    fn a_token_ahead_of_its_session_is_refused_without_harm() {
        assert_eq!(decide(6, TimeDelta::zero()), RefreshDecision::Refuse);
    }

    #[test]
    fn what_is_known_of_a_session_tells_whether_it_lives() {
        let lives = |session: &Session, at| session.summary().is_live(&POLICY, began() + at);
        let (millisecond, unused) = (TimeDelta::milliseconds(1), session(5));
        assert!(lives(&unused, POLICY.idle - millisecond) && !lives(&unused, POLICY.idle));
        let busy = Session { last_used_at: began() + POLICY.absolute, ..session(5) };
        assert!(lives(&busy, POLICY.absolute - millisecond) && !lives(&busy, POLICY.absolute));
        assert!(!lives(&Session { revoked_at: Some(began()), ..session(5) }, TimeDelta::zero()));
    }

    #[test]
    fn an_idle_session_ends() {
        assert_eq!(decide(5, POLICY.idle), RefreshDecision::Refuse);
        assert!(matches!(decide(5, POLICY.idle - TimeDelta::milliseconds(1)), RefreshDecision::Rotate(_)));
    }

    #[test]
    fn a_session_in_use_ends_at_its_absolute_end() {
        let busy = Session { last_used_at: began() + TimeDelta::days(89), ..session(5) };
        let end = began() + POLICY.absolute;
        let presented = Generation::new(5);
        assert_eq!(busy.decide_refresh(presented, &POLICY, end), RefreshDecision::Refuse);
        let before = busy.decide_refresh(presented, &POLICY, end - TimeDelta::milliseconds(1));
        assert_eq!(before, RefreshDecision::Rotate(Generation::new(6)));
    }

    #[test]
    fn a_revoked_session_refuses_every_generation() {
        let revoked = Session { revoked_at: Some(began()), ..session(5) };
        for presented in 0..8 {
            let decision = revoked.decide_refresh(Generation::new(presented), &POLICY, began());
            assert_eq!(decision, RefreshDecision::Refuse, "{presented}");
        }
    }

    proptest! {
        #[test]
        fn only_the_current_token_and_its_parent_are_ever_answered(current in 0i32..1000, presented in 0i32..1000, ms in 0i64..40_000) {
            let now = began() + TimeDelta::milliseconds(ms);
            let decision = session(current).decide_refresh(Generation::new(presented), &POLICY, now);
            let expected = match current - presented {
                0 => RefreshDecision::Rotate(Generation::new(current + 1)),
                1 if ms <= 10_000 => RefreshDecision::Repeat(Generation::new(current)),
                behind if behind > 0 => RefreshDecision::Reuse,
                _ => RefreshDecision::Refuse,
            };
            prop_assert_eq!(decision, expected);
        }
    }
}
