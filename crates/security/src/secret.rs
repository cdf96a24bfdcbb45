//! The server's master secrets, and the keys that are derived from them.

use std::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::random;

/// What keeps our keys apart from those that somebody else derives from the same secret.
const SALT: &[u8] = b"subtle master secret v1";
const ACCESS: &[u8] = b"subtle access token ed25519 seed v1";
const REFRESH: &[u8] = b"subtle refresh token mac root v1";
const ONE_TIME: &[u8] = b"subtle one-time token mac root v1";
const CHALLENGE: &[u8] = b"subtle sign-in challenge mac v1";
const IMPORTED: &[u8] = b"subtle imported refresh token mac v1";
/// Older than the word: what was encrypted depends on these bytes.
const ENCRYPTION: &[u8] = b"subtle sealing aes-256-gcm key v1";
const AUDIT_ROW: &[u8] = b"subtle audit row mac v1";
const AUDIT_SEAL: &[u8] = b"subtle audit seal ed25519 seed v1";

/// Why a setting holds no master secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Under 32 bytes: less than the keys that are derived from it.
    #[error("secret {position} has {length} bytes; it needs at least {}", MasterSecrets::LEAST_BYTES)]
    TooShort {
        /// Which one, counted from 1.
        position: usize,
        /// Its bytes.
        length: usize,
    },
    /// The same secret twice: a rotation that rotates nothing.
    #[error("secret {position} is the same as one before it")]
    Repeated {
        /// Which one, counted from 1.
        position: usize,
    },
    /// The cryptographic library failed.
    #[error("no keys could be derived from the secrets")]
    Derivation(#[from] Unspecified),
}

/// A secret's text, as it is kept in the data dir. Does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The text itself, for the file in which it is kept.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// The keys of one master secret, by HKDF-SHA-256 (RFC 5869).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    /// The private key that signs access tokens (RFC 8032, 5.1.5).
    pub(crate) access_seed: [u8; 32],
    /// The root of the keys that authenticate refresh tokens.
    pub(crate) refresh_root: [u8; 32],
    /// The root of the keys that make tokens in letters.
    pub(crate) one_time_root: [u8; 32],
    /// Authenticates challenges of sign-ins in two steps.
    pub(crate) challenge_mac: [u8; 32],
    /// Makes what is kept of another service's refresh tokens.
    pub(crate) imported_mac: [u8; 32],
    /// Encrypts what must be read again.
    pub(crate) encryption: [u8; 32],
    /// Authenticates rows of the audit trail.
    pub(crate) audit_mac: [u8; 32],
    /// The private key that signs seals of the audit trail.
    pub(crate) audit_seed: [u8; 32],
}

impl Keys {
    fn derive(secret: &[u8]) -> Result<Self, Unspecified> {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(secret);
        let key = |purpose: &[u8]| -> Result<[u8; 32], Unspecified> {
            let mut key = [0; 32];
            root.expand(&[purpose], hkdf::HKDF_SHA256)?.fill(&mut key)?;
            Ok(key)
        };
        Ok(Self {
            access_seed: key(ACCESS)?,
            refresh_root: key(REFRESH)?,
            one_time_root: key(ONE_TIME)?,
            challenge_mac: key(CHALLENGE)?,
            imported_mac: key(IMPORTED)?,
            encryption: key(ENCRYPTION)?,
            audit_mac: key(AUDIT_ROW)?,
            audit_seed: key(AUDIT_SEAL)?,
        })
    }
}

/// What all keys come from: one secret or more, newest first. The newest makes tokens, all of them verify, so that tokens
/// outlive a rotation.
#[derive(Clone)]
pub struct MasterSecrets {
    newest: Keys,
    older: Vec<Keys>,
}

impl MasterSecrets {
    /// Fewest bytes a secret may have: as many as the keys that are derived from it (ASVS 11.2.3).
    pub const LEAST_BYTES: usize = 32;

    /// Takes a setting's text: secrets of 32 bytes or more, separated by commas, newest first. White space around each is
    /// dropped; its bytes are taken as they are, never decoded.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let (newest, older) =
            text.split_once(',').map_or((text, None), |(newest, older)| (newest, Some(older)));
        let mut secrets = Self { newest: parse_one(1, newest)?, older: Vec::new() };
        for (position, secret) in (2..).zip(older.iter().flat_map(|older| older.split(','))) {
            let keys = parse_one(position, secret)?;
            if secrets.newest_first().any(|known| *known == keys) {
                return Err(InvalidSecret::Repeated { position });
            }
            secrets.older.push(keys);
        }
        Ok(secrets)
    }

    /// The text of a new secret: 32 random bytes, base64url. [`MasterSecrets::parse`] takes it.
    #[must_use]
    pub fn generate() -> SecretText {
        SecretText(URL_SAFE_NO_PAD.encode(random::bytes::<32>()))
    }

    pub(crate) fn newest(&self) -> &Keys {
        &self.newest
    }

    pub(crate) fn older(&self) -> &[Keys] {
        &self.older
    }

    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Keys> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

impl fmt::Debug for MasterSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSecrets(…)")
    }
}

fn parse_one(position: usize, text: &str) -> Result<Keys, InvalidSecret> {
    let secret = text.trim().as_bytes();
    if secret.len() < MasterSecrets::LEAST_BYTES {
        return Err(InvalidSecret::TooShort { position, length: secret.len() });
    }
    Ok(Keys::derive(secret)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "one-secret-of-thirty-two-bytes!!";
    const TWO: &str = "another-secret-of-more-than-thirty-two-bytes";

    #[test]
    fn a_secret_under_32_bytes_is_refused_with_its_place_and_length() {
        assert_eq!(ONE.len(), 32);
        assert!(MasterSecrets::parse(ONE).is_ok());
        for (text, position, length) in [
            ("", 1, 0),
            ("   ", 1, 0),
            (&ONE[1..], 1, 31),
            (&format!("  {}  ", &ONE[1..]), 1, 31),
            (&format!("{ONE},"), 2, 0),
            (&format!(",{ONE}"), 1, 0),
            (&format!("{ONE},{TWO},short"), 3, 5),
        ] {
            let error = MasterSecrets::parse(text).unwrap_err();
            assert_eq!(error, InvalidSecret::TooShort { position, length }, "{text:?}");
        }
        let message = MasterSecrets::parse("sesame").unwrap_err().to_string();
        assert_eq!(message, "secret 1 has 6 bytes; it needs at least 32");
    }

    #[test]
    fn the_same_secret_twice_is_refused() {
        let error = MasterSecrets::parse(&format!("{ONE},{TWO}, {ONE}")).unwrap_err();
        assert_eq!(error, InvalidSecret::Repeated { position: 3 });
    }

    #[test]
    fn white_space_around_a_secret_does_not_change_its_keys() {
        let plain = MasterSecrets::parse(&format!("{ONE},{TWO}")).unwrap();
        let spaced = MasterSecrets::parse(&format!(" {ONE}\n,\t{TWO} \n")).unwrap();
        assert!(plain.newest_first().eq(spaced.newest_first()));
    }

    #[test]
    fn the_keys_of_a_secret_never_change_and_differ_by_purpose_and_secret() {
        let bytes = |hex: &str| -> [u8; 32] {
            std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        };
        let (one, two) = (Keys::derive(ONE.as_bytes()).unwrap(), Keys::derive(TWO.as_bytes()).unwrap());
        // Computed with Python's hmac module: changing the derivation would end every session.
        assert_eq!(
            one.access_seed,
            bytes("34cea8d76af7eba1dfe734ff0a34131f2bd2f85ff375562b339990094ee95155")
        );
        assert_eq!(
            one.refresh_root,
            bytes("a64cf61ce645635ba41eaab7cf6eaa4122feeac7f1ee5dd256a598910fbb34ad")
        );
        assert_ne!(one.access_seed, two.access_seed);
        assert_ne!(one.refresh_root, two.refresh_root);
    }

    #[test]
    fn a_generated_secret_is_new_and_fit() {
        let (one, other) = (MasterSecrets::generate(), MasterSecrets::generate());
        assert_ne!(one.expose(), other.expose());
        assert!(MasterSecrets::parse(one.expose()).is_ok());
        assert_eq!(URL_SAFE_NO_PAD.decode(one.expose()).unwrap().len(), 32);
    }

    #[test]
    fn secrets_do_not_print_themselves() {
        let secrets = MasterSecrets::parse(ONE).unwrap();
        assert_eq!(format!("{secrets:?} {:?}", MasterSecrets::generate()), "MasterSecrets(…) SecretText(…)");
    }
}
