//! The keys that values of the database are encrypted with, and `subtle encryption`.

use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use subtle_domain::ports::StoreError;
use subtle_persistence::{Database, KeyStanding, KeyUse, PgEncryption};
use subtle_security::{AesFieldCipher, EncryptionKeys, InvalidEncryptionKeys, UnfitFieldCipher};

use crate::database::Home;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::wiring::WiringError;

/// Why values can't be encrypted or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncryptionError {
    #[error("encryption_keys and encryption_keys_file are both set: choose one")]
    Both,
    #[error("cannot read the encryption keys in {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} holds no encryption keys: {reason}", path.display())]
    Unfit { path: PathBuf, reason: InvalidEncryptionKeys },
    #[error(transparent)]
    Cipher(#[from] UnfitFieldCipher),
    #[error(
        "values of the database are encrypted under keys that encryption_keys does not have: {}; put those keys behind \
         the newest (`subtle encryption` counts the values)",
        .0.join(", ")
    )]
    Unknown(Vec<String>),
    #[error(
        "{0} values are not under the newest key yet; a server that runs with these keys brings them there"
    )]
    Left(i64),
    #[error("the keys in use cannot be looked up")]
    Store(#[source] StoreError),
}

/// A database with the keys that the settings give or name, if they do.
pub(crate) fn with_keys(settings: &Settings, database: Database) -> Result<Database, EncryptionError> {
    let keys = match (&settings.encryption_keys, &settings.encryption_keys_file) {
        (Some(_), Some(_)) => return Err(EncryptionError::Both),
        (Some(keys), None) => keys.clone(),
        (None, Some(path)) => read(path.clone())?,
        (None, None) => return Ok(database),
    };
    Ok(database.with_cipher(Arc::new(AesFieldCipher::new(&keys)?)))
}

fn read(path: PathBuf) -> Result<EncryptionKeys, EncryptionError> {
    match fs::read_to_string(&path) {
        Ok(text) => EncryptionKeys::parse(&text).map_err(|reason| EncryptionError::Unfit { path, reason }),
        Err(source) => Err(EncryptionError::Io { path, source }),
    }
}

/// Refuses a database that holds what can't be read: better no server than one that fails here and there.
pub(crate) async fn check(database: &Database) -> Result<(), EncryptionError> {
    let unknown = PgEncryption::new(database.clone()).unknown_keys().await.map_err(EncryptionError::Store)?;
    if unknown.is_empty() { Ok(()) } else { Err(EncryptionError::Unknown(unknown)) }
}

pub(crate) fn encryption(settings: &Settings, json: bool) -> Result<(), Failure> {
    let home = Home::open(settings)?;
    let runtime = crate::runtime()?;
    let _within = runtime.enter();
    let database = with_keys(settings, Database::new(home.options()?).map_err(WiringError::from)?)?;
    let uses = runtime.block_on(PgEncryption::new(database).in_use()).map_err(EncryptionError::Store)?;
    home.close()?;
    crate::print(&if json { json_of(&uses) } else { Table(&uses).to_string() })?;
    Ok(verdict(&uses)?)
}

/// Whether only the newest key is in use.
fn verdict(uses: &[KeyUse]) -> Result<(), EncryptionError> {
    let of = |standing| uses.iter().filter(move |used| used.standing == standing);
    let mut unknown: Vec<_> = of(KeyStanding::Unknown).map(|used| used.key.clone()).collect();
    unknown.dedup();
    let left: i64 = of(KeyStanding::Older).map(|used| used.rows).sum();
    match (unknown.is_empty(), left) {
        (false, _) => Err(EncryptionError::Unknown(unknown)),
        (true, 0) => Ok(()),
        (true, left) => Err(EncryptionError::Left(left)),
    }
}

/// The keys in use for people.
struct Table<'a>(&'a [KeyUse]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<28} {:<12} {:<8} {:>12}", "column", "key", "", "values")?;
        for used in self.0 {
            let KeyUse { column, key, standing, rows } = used;
            writeln!(f, "{column:<28} {key:<12} {:<8} {rows:>12}", word(*standing))?;
        }
        match verdict(self.0) {
            Ok(()) => writeln!(f, "\neverything is under the newest key: no other is needed"),
            Err(_) => Ok(()),
        }
    }
}

fn word(standing: KeyStanding) -> &'static str {
    match standing {
        KeyStanding::Newest => "newest",
        KeyStanding::Older => "older",
        KeyStanding::Unknown => "unknown",
    }
}

/// The keys in use for scripts, one a line.
fn json_of(uses: &[KeyUse]) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        column: &'a str,
        key: &'a str,
        standing: &'static str,
        values: i64,
    }
    let mut text = String::new();
    for KeyUse { column, key, standing, rows } in uses {
        let line = Line { column, key, standing: word(*standing), values: *rows };
        // A struct of numbers and text always has a JSON form, and a string takes all.
        let _infallible = writeln!(text, "{}", serde_json::to_string(&line).unwrap_or_default());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::process;

    use subtle_persistence::PoolOptions;

    use super::*;
    use crate::settings::Given;

    const KEY: &str = "a key of the tests with 32 bytes or more";

    fn settings(flags: &[(&'static str, &str)]) -> Settings {
        let flags: HashMap<_, _> = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Settings::read(&Given::gather(flags, None, []).unwrap()).unwrap()
    }

    fn used(key: &str, standing: KeyStanding, rows: i64) -> KeyUse {
        KeyUse { column: "users.avatar_url".to_owned(), key: key.to_owned(), standing, rows }
    }

    fn refusal(flags: &[(&'static str, &str)]) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _within = runtime.enter();
        let options = PoolOptions::from_url("postgres://u@127.0.0.1:1/db").unwrap();
        with_keys(&settings(flags), Database::new(options).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn two_places_for_the_keys_are_one_too_many() {
        let both = refusal(&[("encryption_keys", KEY), ("encryption_keys_file", "/nowhere")]);
        assert_eq!(both, "encryption_keys and encryption_keys_file are both set: choose one");
    }

    #[test]
    fn a_file_of_keys_is_read_and_its_faults_are_told_without_its_text() {
        let path = std::env::temp_dir().join(format!("subtle-encryption-keys-{}", process::id()));
        fs::write(&path, "hunter2").unwrap();
        let named = path.to_str().unwrap();
        let short = refusal(&[("encryption_keys_file", named)]);
        assert_eq!(
            short,
            format!("{named} holds no encryption keys: key 1 has 7 bytes; it needs at least 32")
        );
        fs::write(&path, format!("{KEY}\n")).unwrap();
        assert!(read(path.clone()).is_ok());
        fs::remove_file(&path).unwrap();
        assert_eq!(
            refusal(&[("encryption_keys_file", named)]),
            format!("cannot read the encryption keys in {named}")
        );
    }

    #[test]
    fn a_key_can_be_given_up_when_only_the_newest_is_in_use() {
        let newest = used("v1:00000001", KeyStanding::Newest, 7);
        assert!(verdict(&[]).is_ok() && verdict(std::slice::from_ref(&newest)).is_ok());
        assert!(Table(std::slice::from_ref(&newest)).to_string().contains("no other is needed"));
        let uses = [newest, used("plain", KeyStanding::Older, 2), used("v1:00000002", KeyStanding::Older, 3)];
        assert!(matches!(verdict(&uses), Err(EncryptionError::Left(5))));
        assert!(!Table(&uses).to_string().contains("no other is needed"));
        let unknown = [uses.as_slice(), &[used("v1:00000003", KeyStanding::Unknown, 1)]].concat();
        let told = verdict(&unknown).unwrap_err().to_string();
        assert!(told.contains("does not have: v1:00000003;"), "{told}");
        let first = json_of(&unknown).lines().next().unwrap().to_owned();
        assert_eq!(
            first,
            r#"{"column":"users.avatar_url","key":"v1:00000001","standing":"newest","values":7}"#
        );
    }
}
