//! Columns whose values may be kept encrypted, and how they look there.
//!
//! The columns stay what the seed made them, so that Prisma's client still reads and writes them. An encrypted address is
//! `enc:<ciphertext>`, an encrypted document `{"$enc": "<ciphertext>"}`: the whole value and nothing less. A plain document that has a
//! member `$enc` of its own is kept inside `{"$enc": {"plain": …}}`, so that it is never taken for something else.

mod renewal;
mod task;

use serde_json::Value;
use subtle_domain::encryption::{Ciphertext, KeyId, NotEncrypted, Place, Undecipherable};
use subtle_domain::ports::{FieldCipher, StoreError};

use crate::error::corrupt;
pub use renewal::{KeyStanding, KeyUse, PgEncryption};
pub use task::Reencryption;

/// A column whose values may be kept encrypted.
pub(crate) struct Column {
    table: &'static str,
    name: &'static str,
    form: Form,
}

/// A picture's address, of an account.
pub(crate) const AVATAR_URL: Column = Column { table: "users", name: "avatar_url", form: Form::Text };
/// What a bridge token hands over.
pub(crate) const SESSION_DATA: Column =
    Column { table: "bridge_tokens", name: "session_data", form: Form::Json };

impl Column {
    /// A value as it is to be kept in that row.
    pub(crate) fn keep(
        &self,
        cipher: &dyn FieldCipher,
        row: &str,
        value: &str,
    ) -> Result<String, StoreError> {
        let encrypted = cipher.encrypt(self.place(row), value);
        let encrypted = encrypted.map_err(|error| StoreError::Defect(Box::new(error)))?;
        Ok(encrypted.map_or_else(|| self.form.plain(value), |ciphertext| self.form.encrypted(&ciphertext)))
    }

    /// The value that is kept in that row. What can't be read is an error and never nothing, which the next write would make true.
    pub(crate) fn read(
        &self,
        cipher: &dyn FieldCipher,
        row: &str,
        kept: String,
    ) -> Result<String, StoreError> {
        let Some(ciphertext) = self.form.ciphertext(&kept) else { return Ok(self.form.value(kept)) };
        cipher.decrypt(self.place(row), &ciphertext).map_err(|error| {
            let Self { table, name, .. } = self;
            let key = ciphertext.key().as_str();
            tracing::error!(table, column = name, row, key, %error, "a value cannot be decrypted");
            corrupt(table, name)
        })
    }

    fn place<'a>(&self, row: &'a str) -> Place<'a> {
        Place { table: self.table, column: self.name, row }
    }
}

/// How values look.
#[derive(Debug, Clone, Copy)]
enum Form {
    Text,
    /// As PostgreSQL prints it, with a space behind each colon.
    Json,
}

impl Form {
    fn encrypted(self, ciphertext: &Ciphertext) -> String {
        match self {
            Self::Text => format!("enc:{ciphertext}"),
            Self::Json => format!("{{\"$enc\": \"{ciphertext}\"}}"),
        }
    }

    fn ciphertext(self, kept: &str) -> Option<Ciphertext> {
        let inside = match self {
            Self::Text => kept.strip_prefix("enc:"),
            Self::Json => kept.strip_prefix("{\"$enc\": \"").and_then(|rest| rest.strip_suffix("\"}")),
        };
        Ciphertext::parse(inside?)
    }

    /// A value that nobody encrypts, as it is to be kept. No address that the domain takes begins with `enc:`.
    fn plain(self, value: &str) -> String {
        let is_taken =
            |json: &str| serde_json::from_str::<Value>(json).is_ok_and(|parsed| parsed.get("$enc").is_some());
        match self {
            Self::Json if is_taken(value) => format!("{{\"$enc\": {{\"plain\": {value}}}}}"),
            Self::Json | Self::Text => value.to_owned(),
        }
    }

    /// What is kept, if it is not encrypted.
    fn value(self, kept: String) -> String {
        let inside = match self {
            Self::Text => None,
            Self::Json => {
                kept.strip_prefix("{\"$enc\": {\"plain\": ").and_then(|rest| rest.strip_suffix("}}"))
            }
        };
        // Another program may have written something that only begins and ends like this.
        let whole = inside.filter(|inside| serde_json::from_str::<Value>(inside).is_ok());
        whole.map(str::to_owned).unwrap_or(kept)
    }
}

/// Keeps values as they are.
pub(crate) struct NoKeys;

impl FieldCipher for NoKeys {
    fn newest(&self) -> Option<&KeyId> {
        None
    }

    fn knows(&self, _: &KeyId) -> bool {
        false
    }

    fn encrypt(&self, _: Place<'_>, _: &str) -> Result<Option<Ciphertext>, NotEncrypted> {
        Ok(None)
    }

    fn decrypt(&self, _: Place<'_>, _: &Ciphertext) -> Result<String, Undecipherable> {
        Err(Undecipherable::UnknownKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CIPHERTEXT: &str = "v1:1a2b3c4d:aB-_9";

    fn kept(form: Form) -> String {
        form.encrypted(&Ciphertext::parse(CIPHERTEXT).unwrap())
    }

    #[test]
    fn what_is_encrypted_has_a_form_of_its_own() {
        assert_eq!(kept(Form::Text), "enc:v1:1a2b3c4d:aB-_9");
        assert_eq!(kept(Form::Json), r#"{"$enc": "v1:1a2b3c4d:aB-_9"}"#);
        for form in [Form::Text, Form::Json] {
            assert_eq!(form.ciphertext(&kept(form)).unwrap().to_string(), CIPHERTEXT);
        }
    }

    #[test]
    fn anything_else_is_plain_and_read_as_it_is() {
        for text in
            ["https://example.com/enc:v1:1a2b3c4d:aB", "enc:", "enc:v1:1a2b3c4d", "ENC:v1:1a2b3c4d:aB", ""]
        {
            assert!(Form::Text.ciphertext(text).is_none(), "{text}");
            assert_eq!(Form::Text.value(text.to_owned()), text);
        }
        for json in [
            r#"{"$enc": "x"}"#,
            r#"{"$enc": "v1:1a2b3c4d:aB", "other": "v1:1a2b3c4d:aB"}"#,
            r#"["$enc"]"#,
            r#"{"$enc": {"plain": 1, "b": 2}}"#,
            r#"{"$enc": {"plain": 1}, "other": {"b": {}}}"#,
            "null",
        ] {
            assert!(Form::Json.ciphertext(json).is_none(), "{json}");
            assert_eq!(Form::Json.value(json.to_owned()), json);
        }
    }

    #[test]
    fn a_document_that_looks_encrypted_is_kept_so_that_it_does_not() {
        for json in [
            kept(Form::Json),
            r#"{ "\u0024enc":"v1:1a2b3c4d:aB"}"#.to_owned(),
            r#"{"$enc": {"plain": 1}}"#.to_owned(),
            r#"{"$enc": {"plain": 1}, "other": {"b": {}}}"#.to_owned(),
            r#"{"$enc": null}"#.to_owned(),
        ] {
            let plain = Form::Json.plain(&json);
            assert!(Form::Json.ciphertext(&plain).is_none(), "{plain}");
            assert_ne!(plain, json);
            assert_eq!(Form::Json.value(plain), json);
        }
        for json in ["7", r#"["$enc"]"#, r#"{"a": {"$enc": 1}}"#] {
            assert_eq!(Form::Json.plain(json), json);
        }
    }
}
