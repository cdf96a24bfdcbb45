//! Refresh tokens of Supabase Auth (`GoTrue`), which accounts bring along when they move here.
//!
//! There are three forms. The oldest is 128 random bits in base64url; the next, 12 letters and digits, 60 bits. The newest is base64url
//! without padding of: a zero byte | the session's UUID (16) | a counter, as in Go's `binary.AppendUvarint` | the first 16 bytes of an
//! HMAC-SHA-256 over all before it | the first 4 bytes of the SHA-256 over all before that. Its key and its last counter are in the
//! session's row, so that it can be computed there.
//!
//! Of 60 bits a plain hash could be searched through, all of a dump at once: what is kept is a MAC under a key of ours.

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle_domain::import::TokenSigner;
use subtle_domain::ports::ImportedTokens;
use subtle_domain::token::{RefreshToken, TokenDigest};

use crate::hex::hex;
use crate::secret::{Keys, MasterSecrets};

// What is MACed says what for, so that no MAC can be passed off as one of another kind.
const KEPT: &[u8] = b"subtle imported refresh token v1\0";

const OLDEST: usize = 22;
const SHORT: usize = 12;
/// A computed token's bytes, by the length of its counter.
const COMPUTED: std::ops::RangeInclusive<usize> = 38..=47;
const SIGNATURE: usize = 16;
const CHECKSUM: usize = 4;

/// Knows tokens by keys that are derived from the master secrets for nothing else.
pub struct MacImportedTokens {
    newest: hmac::Key,
    older: Vec<hmac::Key>,
}

impl MacImportedTokens {
    /// Takes the keys of all secrets: what is kept is by the newest, what is looked for may be by any.
    #[must_use]
    pub fn new(secrets: &MasterSecrets) -> Self {
        let key = |keys: &Keys| hmac::Key::new(hmac::HMAC_SHA256, &keys.imported_mac);
        Self { newest: key(secrets.newest()), older: secrets.older().iter().map(key).collect() }
    }
}

impl ImportedTokens for MacImportedTokens {
    fn digest(&self, token: &RefreshToken) -> TokenDigest {
        kept(&self.newest, token.expose())
    }

    fn digests(&self, token: &str) -> Vec<TokenDigest> {
        let keys = std::iter::once(&self.newest).chain(&self.older);
        if has_form(token) { keys.map(|key| kept(key, token)).collect() } else { Vec::new() }
    }

    fn compute(&self, session: &str, signer: &TokenSigner) -> Option<Vec<RefreshToken>> {
        let session = uuid(session)?;
        // Where the service encrypts its columns, this is a JSON document.
        let key = URL_SAFE_NO_PAD.decode(signer.key.expose()).ok()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        Some(signer.good().map(|counter| computed(&session, counter, &key)).collect())
    }
}

fn kept(key: &hmac::Key, token: &str) -> TokenDigest {
    TokenDigest::new(hex(hmac::sign(key, &[KEPT, token.as_bytes()].concat()).as_ref()))
}

fn has_form(token: &str) -> bool {
    match token.len() {
        SHORT => token.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
        OLDEST => token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
        length => length <= COMPUTED.end() * 4 / 3 + 1 && is_computed(token),
    }
}

fn is_computed(token: &str) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else { return false };
    let Some((signed, checksum)) = bytes.split_last_chunk::<CHECKSUM>() else { return false };
    let is_whole = constant_time::verify_slices_are_equal(&checksum_of(signed), checksum).is_ok();
    COMPUTED.contains(&bytes.len()) && bytes.first() == Some(&0) && is_whole
}

fn computed(session: &[u8; 16], counter: i64, key: &hmac::Key) -> RefreshToken {
    let mut bytes = vec![0];
    bytes.extend_from_slice(session);
    append_uvarint(&mut bytes, counter.unsigned_abs());
    let signature = hmac::sign(key, &bytes);
    bytes.extend(signature.as_ref().iter().take(SIGNATURE));
    let checksum = checksum_of(&bytes);
    bytes.extend(checksum);
    RefreshToken::new(URL_SAFE_NO_PAD.encode(bytes))
}

fn checksum_of(bytes: &[u8]) -> [u8; CHECKSUM] {
    let hash = digest::digest(&digest::SHA256, bytes);
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// Seven bits a byte, the lowest first; all but the last have their highest bit set.
fn append_uvarint(bytes: &mut Vec<u8>, mut number: u64) {
    while let [low, ..] = number.to_le_bytes()
        && number > 0x7f
    {
        bytes.push(low | 0x80);
        number >>= 7;
    }
    let [low, ..] = number.to_le_bytes();
    bytes.push(low);
}

/// A UUID's bytes, written in either case with its hyphens.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> =
        text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .filter_map(|pair| if let [high, low] = pair { Some(high << 4 | low) } else { None })
        .collect();
    if digits.len() == 32 { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use subtle_domain::token::ForeignSecret;

    const OLD: &str = "one-secret-of-thirty-two-bytes!!";
    const NEW: &str = "another-secret-of-more-than-thirty-two-bytes";
    const SESSION: &str = "6f1c4a52-9d3e-4b60-8f3b-0b8f4a0f8a11";
    /// The bytes 0 to 31.
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    /// Computed with Python's `hmac` and `hashlib`.
    const TOKENS: [(i64, &str); 5] = [
        (0, "AG8cSlKdPktgjzsLj0oPihEAqNMqLGrtJSSelJdIPfZMU5hLpME"),
        (127, "AG8cSlKdPktgjzsLj0oPihF_KMp9N9sLSghZlOU1UYsCejmRRjk"),
        (128, "AG8cSlKdPktgjzsLj0oPihGAAddyOCjCYFOp7IGetKlDSQ5C3G9h"),
        (300, "AG8cSlKdPktgjzsLj0oPihGsAiIBe4uS9qeZaysabAu8woR8ximH"),
        (i64::MAX, "AG8cSlKdPktgjzsLj0oPihH__________3_w-M4BlpsWTzL8fLhXMfUZ-s1pvw"),
    ];

    fn by(secrets: &str) -> MacImportedTokens {
        MacImportedTokens::new(&MasterSecrets::parse(secrets).unwrap())
    }

    fn computed(session: &str, key: &str, counter: i64) -> Option<Vec<String>> {
        let signer = TokenSigner { key: ForeignSecret::new(key), counter };
        let tokens = by(OLD).compute(session, &signer)?;
        Some(tokens.iter().map(|token| token.expose().to_owned()).collect())
    }

    #[test]
    fn computed_tokens_are_those_that_the_service_gave_out() {
        for (counter, token) in TOKENS {
            assert_eq!(computed(SESSION, KEY, counter).unwrap()[0], token, "{counter}");
        }
        assert_eq!(computed(SESSION, KEY, 128).unwrap(), [TOKENS[2].1, TOKENS[1].1]);
        assert_eq!(computed(SESSION, KEY, 0).unwrap(), [TOKENS[0].1]);
        assert_eq!(computed(&SESSION.to_uppercase(), KEY, 0).unwrap(), [TOKENS[0].1]);
    }

    #[test]
    fn a_key_that_is_encrypted_and_a_session_that_is_none_give_no_tokens() {
        let encrypted = r#"{"key_id":"k","alg":"aes-gcm-hkdf","data":"eA==","nonce":"AAAAAAAAAAAAAAAA"}"#;
        assert_eq!(computed(SESSION, encrypted, 0), None);
        for session in
            ["", "6f1c4a52", "6f1c4a52-9d3e-4b60-8f3b-0b8f4a0f8a1", "6f1c4a52-9d3e-4b60-8f3b-0b8f4a0f8a1g"]
        {
            assert_eq!(computed(session, KEY, 0), None, "{session}");
        }
    }

    #[test]
    fn a_token_is_found_again_after_a_rotation_of_the_secret() {
        for token in ["abcdefghij12", "Zm9vYmFyLWZvb2Jhci1mb2", TOKENS[3].1] {
            let kept = by(OLD).digest(&RefreshToken::new(token));
            assert_eq!(by(OLD).digests(token), std::slice::from_ref(&kept));
            let both = by(&format!("{NEW},{OLD}")).digests(token);
            assert_eq!((both.len(), &both[1]), (2, &kept));
            assert!(!by(NEW).digests(token).contains(&kept), "a dump must not tell which token it is of");
        }
    }

    #[test]
    fn what_has_not_the_form_of_a_token_is_looked_up_nowhere() {
        let of_another_version = URL_SAFE_NO_PAD.encode([1; 40]);
        let changed = TOKENS[0].1.replacen('A', "B", 1);
        let long = "a".repeat(10_000);
        for text in [
            "",
            "abcdefghij1",
            "ABCDEFGHIJ12",
            "abcdefghij1_",
            "Zm9vYmFyLWZvb2Jhci1mb=",
            &of_another_version,
            &changed,
            &long,
        ] {
            assert_eq!(by(OLD).digests(text), [], "{text:.50}");
        }
    }
}
