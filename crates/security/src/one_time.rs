//! Tokens in letters: authenticated by a MAC, and computable again from what is kept of them.
//!
//! A token is the MAC itself, HMAC-SHA-256 in base64url without padding: 256 bits. Its key is derived from a master secret and the
//! record's random salt, so that a record alone makes no token, nor does a secret without the record.

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle_domain::ids::OneTimeTokenId;
use subtle_domain::one_time::{OneTimeRecord, Purpose};
use subtle_domain::ports::OneTimeTokens;
use subtle_domain::token::{OneTimeToken, TokenDigest};

use crate::hex::hex;
use crate::secret::{Keys, MasterSecrets};

// What is MACed says what for, so that no MAC can be passed off as one of another kind.
const RECORD_KEY: &[u8] = b"subtle one-time token record key v1\0";
const TOKEN: &[u8] = b"subtle one-time token v1\0";

/// Makes tokens with keys that are derived from the master secrets for nothing else.
pub struct MacOneTimeTokens {
    newest: hmac::Key,
    older: Vec<hmac::Key>,
}

impl MacOneTimeTokens {
    /// Takes the keys of all secrets: the newest makes tokens, all of them make theirs again.
    #[must_use]
    pub fn new(secrets: &MasterSecrets) -> Self {
        let root = |keys: &Keys| hmac::Key::new(hmac::HMAC_SHA256, &keys.one_time_root);
        Self { newest: root(secrets.newest()), older: secrets.older().iter().map(root).collect() }
    }
}

impl OneTimeTokens for MacOneTimeTokens {
    fn mint(&self, id: &OneTimeTokenId, purpose: Purpose, salt: &[u8]) -> OneTimeToken {
        mint(&self.newest, id, purpose, salt)
    }

    fn mint_again(&self, record: &OneTimeRecord) -> Option<OneTimeToken> {
        let expected = record.digest.expose().as_bytes();
        let made = std::iter::once(&self.newest).chain(&self.older);
        let mut made = made.map(|root| mint(root, &record.id, record.purpose, &record.salt));
        made.find(|token| {
            let digest = self.digest(token.expose());
            constant_time::verify_slices_are_equal(digest.expose().as_bytes(), expected).is_ok()
        })
    }

    fn digest(&self, presented: &str) -> TokenDigest {
        TokenDigest::new(hex(digest::digest(&digest::SHA256, presented.as_bytes()).as_ref()))
    }
}

fn mint(root: &hmac::Key, id: &OneTimeTokenId, purpose: Purpose, salt: &[u8]) -> OneTimeToken {
    let key = hmac::sign(root, &[RECORD_KEY, salt].concat());
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_ref());
    // Neither a purpose nor an identifier has a NUL.
    let claims = [TOKEN, purpose.as_str().as_bytes(), b"\0", id.as_str().as_bytes()].concat();
    OneTimeToken::new(URL_SAFE_NO_PAD.encode(hmac::sign(&key, &claims)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use subtle_domain::Timestamp;
    use subtle_domain::email::EmailAddress;
    use subtle_domain::ids::UserId;

    const OLD: &str = "one-secret-of-thirty-two-bytes!!";
    const NEW: &str = "another-secret-of-more-than-thirty-two-bytes";

    fn by(secrets: &str) -> MacOneTimeTokens {
        MacOneTimeTokens::new(&MasterSecrets::parse(secrets).unwrap())
    }

    fn record(tokens: &MacOneTimeTokens, id: &str, purpose: Purpose, salt: u8) -> OneTimeRecord {
        let (id, salt) = (OneTimeTokenId::parse(id).unwrap(), vec![salt; 16]);
        let digest = tokens.digest(tokens.mint(&id, purpose, &salt).expose());
        OneTimeRecord {
            id,
            user_id: UserId::parse("ada").unwrap(),
            purpose,
            digest,
            salt,
            email: EmailAddress::parse("ada@example.com").unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_token_has_256_bits_and_never_changes() {
        let ours = by(OLD);
        let token = ours.mint(&OneTimeTokenId::parse("t1").unwrap(), Purpose::VerifyEmail, &[7; 16]);
        assert_eq!(URL_SAFE_NO_PAD.decode(token.expose()).unwrap().len(), 32);
        let kept = record(&ours, "t1", Purpose::VerifyEmail, 7);
        assert_eq!(ours.mint_again(&kept).unwrap().expose(), token.expose());
    }

    #[test]
    fn another_identifier_purpose_salt_or_secret_makes_another_token() {
        let ours = by(OLD);
        let one = record(&ours, "t1", Purpose::VerifyEmail, 7).digest;
        for other in [
            record(&ours, "t2", Purpose::VerifyEmail, 7),
            record(&ours, "t1", Purpose::ResetPassword, 7),
            record(&ours, "t1", Purpose::VerifyEmail, 8),
            record(&by(NEW), "t1", Purpose::VerifyEmail, 7),
        ] {
            assert_ne!(one.expose(), other.digest.expose());
        }
    }

    #[test]
    fn tokens_outlive_a_rotation_of_secrets_and_not_the_loss_of_theirs() {
        let kept = record(&by(OLD), "t1", Purpose::ResetPassword, 7);
        assert!(by(&format!("{NEW},{OLD}")).mint_again(&kept).is_some());
        assert!(by(NEW).mint_again(&kept).is_none());
    }
}
