//! Encrypts what the service must be able to read again, and a dump must not tell: AES-256-GCM (NIST SP 800-38D).
//!
//! Whoever encrypts says what for; it is decrypted for nothing else. Nonces are random: by 8.3 of the standard a key is good for 2³²
//! texts, which no service of this kind comes near.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use aws_lc_rs::error::Unspecified;

use crate::random;
use crate::secret::MasterSecrets;

const VERSION: u8 = 1;
/// Bytes by which a key is known.
pub(crate) const KEY_ID: usize = 4;

/// A key, and what it is known by: the first bytes of its SHA-256.
pub(crate) struct EncryptionKey {
    pub(crate) id: [u8; KEY_ID],
    key: LessSafeKey,
}

impl EncryptionKey {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self, Unspecified> {
        let hash = digest::digest(&digest::SHA256, key);
        let id = hash.as_ref().first_chunk().copied().ok_or(Unspecified)?;
        Ok(Self { id, key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?) })
    }

    /// Encrypts a text for a purpose: 12 random bytes | the ciphertext | its tag.
    pub(crate) fn encrypt(&self, purpose: &[u8], text: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let nonce = random::bytes::<NONCE_LEN>();
        let mut body = text.to_vec();
        let used = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(used, Aad::from(purpose), &mut body)?;
        Ok([&nonce[..], &body].concat())
    }

    /// Decrypts what this key has encrypted for that purpose; `None` if it has not, or that is not as it was.
    pub(crate) fn decrypt(&self, purpose: &[u8], encrypted: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = encrypted.split_first_chunk::<NONCE_LEN>()?;
        let mut text = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key.open_in_place(nonce, Aad::from(purpose), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// Encrypts by the newest of the master secrets' keys, and decrypts what any of them has encrypted. What comes out is: the version
/// (1 byte) | the key's name | what [`EncryptionKey::encrypt`] gives.
pub(crate) struct Cipher {
    newest: EncryptionKey,
    older: Vec<EncryptionKey>,
}

/// What was encrypted.
pub(crate) struct Decrypted {
    pub(crate) text: Vec<u8>,
    /// Whether an older key than the newest had encrypted it.
    pub(crate) is_outdated: bool,
}

impl Cipher {
    /// Takes the keys of all secrets.
    pub(crate) fn new(secrets: &MasterSecrets) -> Result<Self, Unspecified> {
        Ok(Self {
            newest: EncryptionKey::new(&secrets.newest().encryption)?,
            older: secrets
                .older()
                .iter()
                .map(|keys| EncryptionKey::new(&keys.encryption))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Encrypts a text for a purpose.
    pub(crate) fn encrypt(&self, purpose: &[u8], text: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let body = self.newest.encrypt(purpose, text)?;
        Ok([&[VERSION][..], &self.newest.id, &body].concat())
    }

    /// Decrypts what was encrypted for that purpose; `None` if no key of ours did, or it is not as it was.
    pub(crate) fn decrypt(&self, purpose: &[u8], encrypted: &[u8]) -> Option<Decrypted> {
        let rest = encrypted.strip_prefix(&[VERSION])?;
        let (id, body) = rest.split_first_chunk::<KEY_ID>()?;
        let is_newest = self.newest.id == *id;
        let known = if is_newest { &self.newest } else { self.older.iter().find(|known| known.id == *id)? };
        Some(Decrypted { text: known.decrypt(purpose, body)?, is_outdated: !is_newest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "one-secret-of-thirty-two-bytes!!";
    const NEW: &str = "another-secret-of-more-than-thirty-two-bytes";

    fn by(secrets: &str) -> Cipher {
        Cipher::new(&MasterSecrets::parse(secrets).unwrap()).unwrap()
    }

    #[test]
    fn what_is_encrypted_is_for_its_purpose_alone_and_never_looks_the_same() {
        let ours = by(OLD);
        let encrypted = ours.encrypt(b"ada", b"a secret").unwrap();
        let decrypted = ours.decrypt(b"ada", &encrypted).unwrap();
        assert_eq!((decrypted.text.as_slice(), decrypted.is_outdated), (&b"a secret"[..], false));
        assert!(ours.decrypt(b"bob", &encrypted).is_none());
        assert_ne!(ours.encrypt(b"ada", b"a secret").unwrap(), encrypted);
        assert!(!encrypted.windows(8).any(|window| window == b"a secret"));
    }

    #[test]
    fn nothing_is_decrypted_that_is_cut_or_changed_anywhere() {
        let ours = by(OLD);
        let encrypted = ours.encrypt(b"ada", b"a secret").unwrap();
        for at in 0..encrypted.len() {
            let mut changed = encrypted.clone();
            changed[at] ^= 1;
            assert!(ours.decrypt(b"ada", &changed).is_none(), "{at}");
            assert!(ours.decrypt(b"ada", &encrypted[..at]).is_none(), "{at}");
        }
    }

    #[test]
    fn a_rotation_decrypts_what_the_older_secret_encrypted_and_says_so() {
        let encrypted = by(OLD).encrypt(b"ada", b"a secret").unwrap();
        assert!(by(&format!("{NEW},{OLD}")).decrypt(b"ada", &encrypted).unwrap().is_outdated);
        assert!(by(NEW).decrypt(b"ada", &encrypted).is_none());
    }
}
