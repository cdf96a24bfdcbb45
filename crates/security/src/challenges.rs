//! Challenges of sign-ins in two steps: what stands for a password that was shown, until a code is. Nothing is kept of them.
//!
//! A challenge is `ch_` and base64url without padding of: the version (1 byte) | when it expires (milliseconds since 1970, 8 bytes) | the
//! user's id | a MAC (32 bytes), HMAC-SHA-256 over those, since when there is a second factor and the hash of the password. So it dies
//! with either.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle_domain::Timestamp;
use subtle_domain::ids::UserId;
use subtle_domain::ports::{Challenges, Credentials};
use subtle_domain::second_factor::Challenge;
use subtle_domain::token::{ChallengeToken, PresentedChallenge};

use crate::secret::{Keys, MasterSecrets};

const LABEL: &[u8] = b"subtle sign-in challenge v1\0";
/// What every challenge begins with, so that scanners find those that leak.
const PREFIX: &str = "ch_";
const VERSION: u8 = 1;
/// Longest text that is looked at. With the longest id there is, 64 bytes, a challenge has 143.
const LONGEST: usize = 160;

/// Makes challenges with keys that are derived from the master secrets for nothing else.
pub struct MacChallenges {
    newest: hmac::Key,
    older: Vec<hmac::Key>,
}

impl MacChallenges {
    /// Takes the keys of all secrets: the newest makes challenges, all of them verify.
    #[must_use]
    pub fn new(secrets: &MasterSecrets) -> Self {
        let key = |keys: &Keys| hmac::Key::new(hmac::HMAC_SHA256, &keys.challenge_mac);
        Self { newest: key(secrets.newest()), older: secrets.older().iter().map(key).collect() }
    }
}

impl Challenges for MacChallenges {
    fn mint(&self, known: &Credentials, expires_at: Timestamp) -> Challenge {
        let user = &known.user.id;
        let mac = hmac::sign(&self.newest, &claims(user, known, expires_at));
        let expiry = expires_at.timestamp_millis().to_be_bytes();
        let bytes = [&[VERSION][..], &expiry, user.as_str().as_bytes(), mac.as_ref()].concat();
        let token = ChallengeToken::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)));
        Challenge { token, expires_at }
    }

    fn open(&self, token: &str) -> Option<PresentedChallenge> {
        if token.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let rest = bytes.strip_prefix(&[VERSION])?;
        let (expiry, rest) = rest.split_first_chunk::<8>()?;
        let (user, mac) = rest.split_last_chunk::<32>()?;
        Some(PresentedChallenge {
            user_id: UserId::parse(std::str::from_utf8(user).ok()?).ok()?,
            expires_at: Timestamp::from_timestamp_millis(i64::from_be_bytes(*expiry))?,
            mac: *mac,
        })
    }

    fn is_authentic(&self, challenge: &PresentedChallenge, known: &Credentials) -> bool {
        let claims = claims(&challenge.user_id, known, challenge.expires_at);
        let mut keys = std::iter::once(&self.newest).chain(&self.older);
        keys.any(|key| hmac::verify(key, &claims, &challenge.mac).is_ok())
    }
}

/// What is authenticated says what for, so that no MAC can be passed off as one of another kind. An identifier has no NUL.
fn claims(user: &UserId, known: &Credentials, expires_at: Timestamp) -> Vec<u8> {
    let time = |at: Timestamp| at.timestamp_millis().to_be_bytes();
    let since = known.user.second_factor_at.map(time).unwrap_or_default();
    let (user, hash) = (user.as_str().as_bytes(), known.hash.expose().as_bytes());
    [LABEL, &time(expires_at), &since, user, b"\0", hash].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use subtle_domain::email::EmailAddress;
    use subtle_domain::password::PasswordHash;
    use subtle_domain::user::User;

    const OLD: &str = "one-secret-of-thirty-two-bytes!!";
    const NEW: &str = "another-secret-of-more-than-thirty-two-bytes";
    const UNTIL: Timestamp = Timestamp::from_timestamp_millis(1_700_000_000_123).unwrap();

    fn by(secrets: &str) -> MacChallenges {
        MacChallenges::new(&MasterSecrets::parse(secrets).unwrap())
    }

    /// Ada's account, with a hash of that letter.
    fn hash(letter: &str) -> Credentials {
        let email = EmailAddress::parse("ada@example.com").unwrap();
        let user = User { second_factor_at: Some(UNTIL), ..User::new(user(), email, UNTIL) };
        Credentials { user, hash: PasswordHash::parse(&letter.repeat(60)).unwrap() }
    }

    fn user() -> UserId {
        UserId::parse("ada").unwrap()
    }

    #[test]
    fn a_challenge_says_whose_and_until_when_and_is_good_for_one_hash() {
        let ours = by(OLD);
        let challenge = ours.mint(&hash("a"), UNTIL);
        let presented = ours.open(challenge.token.expose()).unwrap();
        assert_eq!((&presented.user_id, presented.expires_at), (&user(), UNTIL));
        assert!(ours.is_authentic(&presented, &hash("a")));
        assert!(!ours.is_authentic(&presented, &hash("b")));
        let mut anew = hash("a");
        anew.user.second_factor_at = Some(UNTIL + TimeDelta::milliseconds(1));
        assert!(!ours.is_authentic(&presented, &anew), "nor for another second factor");
    }

    #[test]
    fn nobody_makes_it_last_longer_or_anothers() {
        let ours = by(OLD);
        let presented = ours.open(ours.mint(&hash("a"), UNTIL).token.expose()).unwrap();
        let longer = PresentedChallenge { expires_at: UNTIL + TimeDelta::hours(1), ..presented.clone() };
        assert!(!ours.is_authentic(&longer, &hash("a")));
        let others = PresentedChallenge { user_id: UserId::parse("bob").unwrap(), ..presented };
        assert!(!ours.is_authentic(&others, &hash("a")));
    }

    #[test]
    fn challenges_outlive_a_rotation_and_not_the_loss_of_their_secret() {
        let presented = by(OLD).open(by(OLD).mint(&hash("a"), UNTIL).token.expose()).unwrap();
        assert!(by(&format!("{NEW},{OLD}")).is_authentic(&presented, &hash("a")));
        assert!(!by(NEW).is_authentic(&presented, &hash("a")));
    }

    #[test]
    fn what_is_no_challenge_is_none() {
        let ours = by(OLD);
        let good = ours.mint(&hash("a"), UNTIL);
        let bare = good.token.expose().strip_prefix(PREFIX).unwrap().to_owned();
        for text in
            ["", "ch_", "ch_AQ", &bare, &format!("bt_{bare}"), &format!("ch_{}", "A".repeat(1_000)), "ch_*"]
        {
            assert!(ours.open(text).is_none(), "{text}");
        }
    }
}
