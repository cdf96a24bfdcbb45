//! Encrypts single values of the database, by keys that are the operator's own.

use std::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle_domain::encryption::{Ciphertext, KeyId, NotEncrypted, Place, Undecipherable};
use subtle_domain::ports::FieldCipher;

use crate::encryption::EncryptionKey;
use crate::hex::hex;

/// What keeps our keys apart from those that somebody else derives from the same text.
const SALT: &[u8] = b"subtle encryption key v1";
const FIELD: &[u8] = b"subtle field aes-256-gcm key v1";
const PURPOSE: &str = "subtle field v1";

/// The word that stands for no key.
const PLAIN: &str = "plain";

/// Why a setting holds no encryption keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEncryptionKeys {
    /// Under 32 bytes: less than the key that is derived from it.
    #[error("key {position} has {length} bytes; it needs at least {}", EncryptionKeys::LEAST_BYTES)]
    TooShort {
        /// Which one, counted from 1.
        position: usize,
        /// Its bytes.
        length: usize,
    },
    /// The same key twice: a rotation that rotates nothing.
    #[error("key {position} is the same as one before it")]
    Repeated {
        /// Which one, counted from 1.
        position: usize,
    },
    /// `plain`, and nothing to read with what is encrypted.
    #[error("behind `plain` stand the keys that read what is encrypted: without any, leave it out")]
    PlainAlone,
    /// The cryptographic library failed.
    #[error("no keys could be derived")]
    Derivation(#[from] Unspecified),
}

/// Keys to encrypt values of the database with: one or more, newest first. The first encrypts, all decrypt. Where `plain` stands first,
/// nothing is encrypted any more.
#[derive(Clone)]
pub struct EncryptionKeys {
    encrypts: bool,
    newest_first: Vec<[u8; 32]>,
}

impl EncryptionKeys {
    /// Fewest bytes a key may have: as many as what is derived from it (ASVS 11.2.3).
    pub const LEAST_BYTES: usize = 32;

    /// Takes a setting's text: keys of 32 bytes or more, separated by commas, newest first; or `plain` and keys. White space around
    /// each is dropped; its bytes are taken as they are, never decoded.
    pub fn parse(text: &str) -> Result<Self, InvalidEncryptionKeys> {
        let mut keys = Self { encrypts: true, newest_first: Vec::new() };
        for (position, text) in (1..).zip(text.split(',').map(str::trim)) {
            if position == 1 && text == PLAIN {
                keys.encrypts = false;
                continue;
            }
            let key = parse_one(position, text)?;
            if keys.newest_first.contains(&key) {
                return Err(InvalidEncryptionKeys::Repeated { position });
            }
            keys.newest_first.push(key);
        }
        if keys.newest_first.is_empty() { Err(InvalidEncryptionKeys::PlainAlone) } else { Ok(keys) }
    }
}

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKeys(…)")
    }
}

fn parse_one(position: usize, text: &str) -> Result<[u8; 32], InvalidEncryptionKeys> {
    let length = text.len();
    if length < EncryptionKeys::LEAST_BYTES {
        return Err(InvalidEncryptionKeys::TooShort { position, length });
    }
    let mut key = [0; 32];
    let root = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(text.as_bytes());
    root.expand(&[FIELD], hkdf::HKDF_SHA256)?.fill(&mut key)?;
    Ok(key)
}

/// Why no values can be encrypted.
#[derive(Debug, thiserror::Error)]
#[error("no key could be made to encrypt values with")]
pub struct UnfitFieldCipher(#[from] Unspecified);

/// AES-256-GCM, with the place of each value as associated data.
pub struct AesFieldCipher {
    encrypts: bool,
    newest_first: Vec<(KeyId, EncryptionKey)>,
}

impl AesFieldCipher {
    /// By these keys.
    pub fn new(keys: &EncryptionKeys) -> Result<Self, UnfitFieldCipher> {
        let named = |key: &[u8; 32]| -> Result<_, Unspecified> {
            let key = EncryptionKey::new(key)?;
            let id = KeyId::parse(&format!("v1:{}", hex(&key.id))).ok_or(Unspecified)?;
            Ok((id, key))
        };
        let newest_first = keys.newest_first.iter().map(named).collect::<Result<_, _>>()?;
        Ok(Self { encrypts: keys.encrypts, newest_first })
    }

    fn encrypting(&self) -> Option<&(KeyId, EncryptionKey)> {
        self.newest_first.first().filter(|_| self.encrypts)
    }
}

impl FieldCipher for AesFieldCipher {
    fn newest(&self) -> Option<&KeyId> {
        self.encrypting().map(|(id, _)| id)
    }

    fn knows(&self, key: &KeyId) -> bool {
        self.newest_first.iter().any(|(id, _)| id == key)
    }

    fn encrypt(&self, place: Place<'_>, value: &str) -> Result<Option<Ciphertext>, NotEncrypted> {
        let Some((id, key)) = self.encrypting() else { return Ok(None) };
        let body = key.encrypt(&purpose(place), value.as_bytes()).or(Err(NotEncrypted))?;
        Ciphertext::new(id.clone(), &URL_SAFE_NO_PAD.encode(body)).map(Some).ok_or(NotEncrypted)
    }

    fn decrypt(&self, place: Place<'_>, ciphertext: &Ciphertext) -> Result<String, Undecipherable> {
        let known = self.newest_first.iter().find(|(id, _)| id == ciphertext.key());
        let (_, key) = known.ok_or(Undecipherable::UnknownKey)?;
        let body = URL_SAFE_NO_PAD.decode(ciphertext.body()).or(Err(Undecipherable::NotAuthentic))?;
        let text = key.decrypt(&purpose(place), &body).ok_or(Undecipherable::NotAuthentic)?;
        String::from_utf8(text).or(Err(Undecipherable::NotAuthentic))
    }
}

/// No part of it holds a NUL, so no two places have the same.
fn purpose(place: Place<'_>) -> Vec<u8> {
    [PURPOSE, place.table, place.column, place.row].join("\0").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an-old-key-of-thirty-two-bytes!!";
    const NEW: &str = "a-newer-key-of-more-than-thirty-two-bytes";
    const ADA: Place<'_> = Place { table: "users", column: "avatar_url", row: "ada" };
    const VALUE: &str = "https://example.com/ä.png";

    fn by(keys: &str) -> AesFieldCipher {
        AesFieldCipher::new(&EncryptionKeys::parse(keys).unwrap()).unwrap()
    }

    fn encrypted(keys: &str) -> Ciphertext {
        by(keys).encrypt(ADA, VALUE).unwrap().unwrap()
    }

    #[test]
    fn a_value_is_read_at_its_place_and_never_looks_the_same() {
        let one = encrypted(OLD);
        assert_eq!(by(OLD).decrypt(ADA, &one).as_deref(), Ok(VALUE));
        assert_eq!(Some(one.key()), by(OLD).newest());
        assert_ne!(encrypted(OLD), one);
        let bytes = URL_SAFE_NO_PAD.decode(one.body()).unwrap();
        assert_eq!(bytes.len(), 12 + VALUE.len() + 16);
        assert!(!bytes.windows(7).any(|window| window == b"example"));
    }

    #[test]
    fn at_another_place_it_is_nothing() {
        for other in [
            Place { row: "bob", ..ADA },
            Place { row: "", ..ADA },
            Place { column: "full_name", ..ADA },
            Place { table: "bridge_tokens", ..ADA },
        ] {
            let read = by(OLD).decrypt(other, &encrypted(OLD));
            assert_eq!(read, Err(Undecipherable::NotAuthentic), "{other:?}");
        }
    }

    #[test]
    fn what_is_cut_or_changed_anywhere_is_refused() {
        let whole = encrypted(OLD);
        let bytes = URL_SAFE_NO_PAD.decode(whole.body()).unwrap();
        let read = |bytes: &[u8]| {
            let body = URL_SAFE_NO_PAD.encode(bytes);
            Ciphertext::new(whole.key().clone(), &body).map(|ciphertext| by(OLD).decrypt(ADA, &ciphertext))
        };
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(read(&changed), Some(Err(Undecipherable::NotAuthentic)), "{at}");
            let cut = read(&bytes[..at]);
            assert!(cut.is_none_or(|cut| cut == Err(Undecipherable::NotAuthentic)), "{at}");
        }
        let odd = Ciphertext::new(whole.key().clone(), "a").unwrap();
        assert_eq!(by(OLD).decrypt(ADA, &odd), Err(Undecipherable::NotAuthentic));
    }

    #[test]
    fn another_key_reads_nothing_even_under_the_name_of_the_right_one() {
        let old = encrypted(OLD);
        assert_eq!(by(NEW).decrypt(ADA, &old), Err(Undecipherable::UnknownKey));
        assert!(by(OLD).knows(old.key()) && !by(NEW).knows(old.key()));
        let renamed = Ciphertext::new(by(NEW).newest().unwrap().clone(), old.body()).unwrap();
        assert_eq!(by(NEW).decrypt(ADA, &renamed), Err(Undecipherable::NotAuthentic));
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let both = by(&format!("{NEW},{OLD}"));
        assert_eq!(both.decrypt(ADA, &encrypted(OLD)).as_deref(), Ok(VALUE));
        let renewed = both.encrypt(ADA, VALUE).unwrap().unwrap();
        assert_eq!(by(NEW).decrypt(ADA, &renewed).as_deref(), Ok(VALUE));
    }

    #[test]
    fn behind_plain_keys_only_decrypt() {
        let leaving = by(&format!("plain,{OLD}"));
        assert_eq!((leaving.newest(), leaving.encrypt(ADA, VALUE)), (None, Ok(None)));
        assert_eq!(leaving.decrypt(ADA, &encrypted(OLD)).as_deref(), Ok(VALUE));
    }

    #[test]
    fn what_is_no_list_of_keys_is_refused_with_its_place() {
        let short = |position, length| InvalidEncryptionKeys::TooShort { position, length };
        for (text, reason) in [
            (String::new(), short(1, 0)),
            (OLD[1..].to_owned(), short(1, 31)),
            (format!("{OLD},"), short(2, 0)),
            (format!("{OLD},plain"), short(2, 5)),
            (format!("plain,plain,{OLD}"), short(2, 5)),
            (format!("{OLD},{NEW}, {OLD} "), InvalidEncryptionKeys::Repeated { position: 3 }),
            ("plain".to_owned(), InvalidEncryptionKeys::PlainAlone),
        ] {
            assert_eq!(EncryptionKeys::parse(&text).unwrap_err(), reason, "{text:?}");
        }
    }

    #[test]
    fn keys_are_known_by_the_same_name_for_ever_and_do_not_print_themselves() {
        let keys = EncryptionKeys::parse(&format!(" {OLD}\n")).unwrap();
        assert_eq!(format!("{keys:?}"), "EncryptionKeys(…)");
        // Computed with Python's hmac and hashlib: another derivation could read nothing that is there.
        assert_eq!(AesFieldCipher::new(&keys).unwrap().newest().unwrap().as_str(), "v1:ef23ecbf");
    }
}
