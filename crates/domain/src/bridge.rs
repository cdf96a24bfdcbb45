//! The hand-off of a sign-in from one app to another, say from the web to the Mac: by a token that is good once, for a minute.

use chrono::TimeDelta;

use crate::Timestamp;
use crate::ids::{BridgeId, SessionId, UserId};
use crate::session::ClientInfo;
use crate::token::TokenDigest;
use crate::user::vocabulary;

/// How long a bridge token is good.
pub const LIFE: TimeDelta = TimeDelta::seconds(60);
/// How long it is remembered after that, so that an attempt to redeem it is still known to be one.
pub const MEMORY: TimeDelta = TimeDelta::hours(1);

/// Why a text is no code challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a SHA-256 in base64url without padding: 43 characters")]
pub struct InvalidCodeChallenge;

/// The SHA-256 of a code verifier, in base64url: what binds a token to the app that asked for it (RFC 7636, 4.2, `S256`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeChallenge(Box<str>);

impl CodeChallenge {
    /// Takes 43 characters of base64url that stand for 32 bytes.
    pub fn parse(text: &str) -> Result<Self, InvalidCodeChallenge> {
        let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        // The last one has four bits to carry, and the other two are none.
        let ends_well = text.ends_with(|last| "AEIMQUYcgkosw048".contains(last));
        let fits = text.len() == 43 && text.bytes().all(in_alphabet) && ends_well;
        if fits { Ok(Self(text.into())) } else { Err(InvalidCodeChallenge) }
    }

    /// The challenge as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

vocabulary! {
    /// Why a bridge token was not redeemed. Whoever presents it is not told.
    BridgeRefusal {
        /// It was redeemed before.
        Used = "used",
        /// Its minute is over.
        Expired = "expired",
        /// It is bound to a verifier that was not shown, or to none where one was shown (RFC 9700, 4.8.2).
        WrongVerifier = "wrong_verifier",
        /// The session that made it is over.
        SessionOver = "session_over",
        /// Its owner may not sign in.
        AccountClosed = "account_closed",
    }
}

/// A bridge token, without the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Its identifier.
    pub id: BridgeId,
    /// Whom it signs in.
    pub user_id: UserId,
    /// The session that made it; none if another program did.
    pub session_id: Option<SessionId>,
    /// What the database knows it by.
    pub digest: TokenDigest,
    /// What it is bound to, if it is.
    pub challenge: Option<CodeChallenge>,
    /// What is handed over with it: a JSON document, if there is one.
    pub data: Option<String>,
    /// The client that asked for it.
    pub client: ClientInfo,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is good for nothing.
    pub expires_at: Timestamp,
    /// When it was redeemed.
    pub used_at: Option<Timestamp>,
}

impl Bridge {
    /// Decides whether who presents it at `now` may redeem it; `shown` is the challenge of the verifier that they showed.
    pub fn decide_redemption(
        &self,
        shown: Option<&CodeChallenge>,
        now: Timestamp,
    ) -> Result<(), BridgeRefusal> {
        if self.used_at.is_some() {
            Err(BridgeRefusal::Used)
        } else if now >= self.expires_at {
            Err(BridgeRefusal::Expired)
        } else if self.challenge.as_ref() != shown {
            Err(BridgeRefusal::WrongVerifier)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn made() -> Timestamp {
        chrono::DateTime::from_timestamp_millis(1_700_000_000_000).unwrap()
    }

    fn bridge(challenge: Option<&str>) -> Bridge {
        Bridge {
            id: BridgeId::parse("b1").unwrap(),
            user_id: UserId::parse("ada").unwrap(),
            session_id: Some(SessionId::parse("s1").unwrap()),
            digest: TokenDigest::new("00"),
            challenge: challenge.map(|text| CodeChallenge::parse(text).unwrap()),
            data: None,
            client: ClientInfo::default(),
            created_at: made(),
            expires_at: made() + LIFE,
            used_at: None,
        }
    }

    #[test]
    fn a_challenge_is_a_sha_256_in_base64url() {
        assert_eq!(CodeChallenge::parse(CHALLENGE).unwrap().as_str(), CHALLENGE);
        let long = format!("{CHALLENGE}A");
        for text in
            ["", "abc", &CHALLENGE[1..], &long, &CHALLENGE.replace('-', "+"), &CHALLENGE.replace("cM", "cN")]
        {
            assert_eq!(CodeChallenge::parse(text), Err(InvalidCodeChallenge), "{text}");
        }
    }

    #[test]
    fn it_is_good_for_a_minute_and_once() {
        let last = made() + LIFE - TimeDelta::milliseconds(1);
        assert_eq!(bridge(None).decide_redemption(None, made()), Ok(()));
        assert_eq!(bridge(None).decide_redemption(None, last), Ok(()));
        assert_eq!(bridge(None).decide_redemption(None, made() + LIFE), Err(BridgeRefusal::Expired));
        let used = Bridge { used_at: Some(made()), ..bridge(None) };
        assert_eq!(used.decide_redemption(None, made()), Err(BridgeRefusal::Used));
        assert_eq!(used.decide_redemption(None, made() + LIFE), Err(BridgeRefusal::Used));
    }

    #[test]
    fn a_bound_one_needs_its_verifier_and_an_unbound_one_takes_none() {
        let other = CHALLENGE.replace('E', "F");
        for (bound, shown, fits) in [
            (None, None, true),
            (Some(CHALLENGE), Some(CHALLENGE), true),
            (Some(CHALLENGE), None, false),
            (Some(CHALLENGE), Some(&*other), false),
            (None, Some(CHALLENGE), false),
        ] {
            let shown = shown.map(|text| CodeChallenge::parse(text).unwrap());
            let decided = bridge(bound).decide_redemption(shown.as_ref(), made());
            let expected = if fits { Ok(()) } else { Err(BridgeRefusal::WrongVerifier) };
            assert_eq!(decided, expected, "{bound:?} {shown:?}");
        }
    }
}
