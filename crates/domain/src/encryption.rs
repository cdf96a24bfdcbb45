//! Values that are kept encrypted: what they look like, and where they belong.

use std::fmt;

/// What a key is known by, and the form of what it encrypts: `v1:` and eight hexadecimal digits. It tells nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Box<str>);

impl KeyId {
    /// Takes `v`, the number of a form, a colon and eight hexadecimal digits in lower case; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (form, digits) = text.strip_prefix('v')?.split_once(':')?;
        let is_form = !form.is_empty() && form.bytes().all(|byte| byte.is_ascii_digit());
        let is_id = digits.len() == 8 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (is_form && is_id).then(|| Self(text.into()))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value that was encrypted: its key's identifier, a colon, and base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ciphertext {
    key: KeyId,
    body: Box<str>,
}

impl Ciphertext {
    /// What a key has made, in base64url without padding; `None` if it isn't that.
    #[must_use]
    pub fn new(key: KeyId, body: &str) -> Option<Self> {
        let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let fits = !body.is_empty() && body.bytes().all(in_alphabet);
        fits.then(|| Self { key, body: body.into() })
    }

    /// Takes one as it is written; `None` if the text is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (key, body) = text.rsplit_once(':')?;
        Self::new(KeyId::parse(key)?, body)
    }

    /// Under which key it is.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// What the key has made, in base64url without padding.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }
}

impl fmt::Display for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key, self.body)
    }
}

/// Where a value is kept. What was encrypted for one place is nothing at another, so values can't be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's identifier.
    pub row: &'a str,
}

/// Why a value can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undecipherable {
    /// Its key is not among ours.
    #[error("its key is not among encryption_keys")]
    UnknownKey,
    /// It is not what our key has made for this place: it was changed, cut or moved.
    #[error("it is not what was encrypted for this place")]
    NotAuthentic,
}

/// A value could not be encrypted: the cryptographic library failed, or it is far too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a value could not be encrypted")]
pub struct NotEncrypted;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_form_and_eight_digits() {
        for text in ["v1:00000000", "v12:1a2b3c4d"] {
            assert_eq!(KeyId::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "v1",
            "v1:",
            ":1a2b3c4d",
            "v:1a2b3c4d",
            "v1:1A2B3C4D",
            "v1:1a2b3c4",
            "v1:1a2b3c4de",
            "vx:1a2b3c4d",
        ] {
            assert_eq!(KeyId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_encrypted_is_written_as_it_is_read() {
        let text = "v1:1a2b3c4d:aB-_9";
        let ciphertext = Ciphertext::parse(text).unwrap();
        assert_eq!((ciphertext.key().as_str(), ciphertext.body()), ("v1:1a2b3c4d", "aB-_9"));
        assert_eq!(ciphertext.to_string(), text);
        for text in
            ["https://example.com", "v1:1a2b3c4d", "v1:1a2b3c4d:", "v1:1a2b3c4d:a=", "v1:1a2b3c4d:a:b", "aB"]
        {
            assert_eq!(Ciphertext::parse(text), None, "{text}");
        }
    }
}
