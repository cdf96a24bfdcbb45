//! Encrypts what the service must be able to read again, and a dump must not tell: AES-256-GCM (NIST SP 800-38D).
//!
//! What is sealed is: the version (1 byte) | the first 4 bytes of the SHA-256 of the key | 12 random bytes | the ciphertext and its
//! tag. Whoever seals says what for; it opens for nothing else. Random nonces do for 2³² texts of a key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use aws_lc_rs::error::Unspecified;

use crate::random;
use crate::secret::MasterSecrets;

const VERSION: u8 = 1;
const KEY_ID: usize = 4;

/// Seals with the newest key, and opens what any of the keys has sealed.
pub(crate) struct Sealer {
    newest: SealingKey,
    older: Vec<SealingKey>,
}

struct SealingKey {
    id: [u8; KEY_ID],
    key: LessSafeKey,
}

/// What was sealed.
pub(crate) struct Opened {
    pub(crate) text: Vec<u8>,
    /// Whether an older key than the newest had sealed it.
    pub(crate) is_outdated: bool,
}

impl Sealer {
    /// Takes the keys of all secrets.
    pub(crate) fn new(secrets: &MasterSecrets) -> Result<Self, Unspecified> {
        Ok(Self {
            newest: SealingKey::new(&secrets.newest().sealing)?,
            older: secrets
                .older()
                .iter()
                .map(|keys| SealingKey::new(&keys.sealing))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Seals a text for a purpose.
    pub(crate) fn seal(&self, purpose: &[u8], text: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let nonce = random::bytes::<NONCE_LEN>();
        let mut body = text.to_vec();
        let used = Nonce::assume_unique_for_key(nonce);
        self.newest.key.seal_in_place_append_tag(used, Aad::from(purpose), &mut body)?;
        Ok([&[VERSION][..], &self.newest.id, &nonce, &body].concat())
    }

    /// Opens what was sealed for that purpose; `None` if no key of ours did, or it is not as it was.
    pub(crate) fn open(&self, purpose: &[u8], sealed: &[u8]) -> Option<Opened> {
        let rest = sealed.strip_prefix(&[VERSION])?;
        let (id, rest) = rest.split_first_chunk::<KEY_ID>()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        let is_newest = self.newest.id == *id;
        let known = if is_newest { &self.newest } else { self.older.iter().find(|known| known.id == *id)? };
        let mut text = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = known.key.open_in_place(nonce, Aad::from(purpose), &mut text).ok()?.len();
        text.truncate(length);
        Some(Opened { text, is_outdated: !is_newest })
    }
}

impl SealingKey {
    fn new(key: &[u8; 32]) -> Result<Self, Unspecified> {
        let hash = digest::digest(&digest::SHA256, key);
        let id = hash.as_ref().first_chunk().copied().ok_or(Unspecified)?;
        Ok(Self { id, key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "one-secret-of-thirty-two-bytes!!";
    const NEW: &str = "another-secret-of-more-than-thirty-two-bytes";

    fn by(secrets: &str) -> Sealer {
        Sealer::new(&MasterSecrets::parse(secrets).unwrap()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_alone_and_never_looks_the_same() {
        let ours = by(OLD);
        let sealed = ours.seal(b"ada", b"a secret").unwrap();
        let opened = ours.open(b"ada", &sealed).unwrap();
        assert_eq!((opened.text.as_slice(), opened.is_outdated), (&b"a secret"[..], false));
        assert!(ours.open(b"bob", &sealed).is_none());
        assert_ne!(ours.seal(b"ada", b"a secret").unwrap(), sealed);
        assert!(!sealed.windows(8).any(|window| window == b"a secret"));
    }

    #[test]
    fn nothing_opens_that_is_cut_or_changed_anywhere() {
        let ours = by(OLD);
        let sealed = ours.seal(b"ada", b"a secret").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ours.open(b"ada", &changed).is_none(), "{at}");
            assert!(ours.open(b"ada", &sealed[..at]).is_none(), "{at}");
        }
    }

    #[test]
    fn a_rotation_opens_what_the_older_secret_sealed_and_says_so() {
        let sealed = by(OLD).seal(b"ada", b"a secret").unwrap();
        assert!(by(&format!("{NEW},{OLD}")).open(b"ada", &sealed).unwrap().is_outdated);
        assert!(by(NEW).open(b"ada", &sealed).is_none());
    }
}
