//! Where the master secrets come from.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

use subtle_security::{InvalidSecret, MasterSecrets};

use crate::data_dir::{self, DataDirError};
use crate::settings::Settings;

/// Why there are no secrets to start with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("secret and secret_file are both set: choose one")]
    Both,
    #[error(
        "no secret is set, and the database is on another machine: set SUBTLE_SECRET, to the same on every server; \
         `openssl rand -base64 32` makes one"
    )]
    Demanded,
    #[error("there is no secret in {}: set SUBTLE_SECRET, secret_file or data_dir as the servers have it", .0.display())]
    NotMade(PathBuf),
    #[error("{} holds no secret: {reason}; `openssl rand -base64 32` makes one", path.display())]
    Unfit { path: PathBuf, reason: InvalidSecret },
    #[error("{} can be read by others than its owner: run `chmod 600` on it", .0.display())]
    Exposed(PathBuf),
    #[error("cannot {action} the secret in {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    DataDir(#[from] DataDirError),
}

/// The secrets that the settings give or name; without, those of the data dir, made at the first start, if the database is ours
/// alone too.
pub(crate) fn find(settings: &Settings, local: bool) -> Result<MasterSecrets, SecretError> {
    match (&settings.secret, &settings.secret_file) {
        (Some(_), Some(_)) => Err(SecretError::Both),
        (Some(secret), None) => Ok(secret.clone()),
        (None, Some(path)) => read(path),
        (None, None) if local => kept(&settings.data_dir),
        (None, None) => Err(SecretError::Demanded),
    }
}

/// The same, where they must have been made before.
pub(crate) fn find_made(settings: &Settings) -> Result<MasterSecrets, SecretError> {
    let kept = settings.data_dir.join("secret");
    let is_given = settings.secret.is_some() || settings.secret_file.is_some();
    if !is_given && !kept.try_exists().map_err(failed("look for", &kept))? {
        return Err(SecretError::NotMade(kept));
    }
    find(settings, true)
}

fn read(path: &Path) -> Result<MasterSecrets, SecretError> {
    let text = fs::read_to_string(path).map_err(failed("read", path))?;
    MasterSecrets::parse(&text).map_err(|reason| SecretError::Unfit { path: path.to_owned(), reason })
}

/// The secret of a data dir. Whoever of several processes comes first makes it for all.
fn kept(data_dir: &Path) -> Result<MasterSecrets, SecretError> {
    data_dir::prepare(data_dir)?;
    let path = data_dir.join("secret");
    if !path.try_exists().map_err(failed("look for", &path))? {
        make(&path)?;
    }
    let mode = fs::metadata(&path).map_err(failed("look at", &path))?.mode();
    if mode & 0o077 != 0 {
        return Err(SecretError::Exposed(path));
    }
    read(&path)
}

/// A link, unlike a renamed file, takes no other's place: the first one stays, and it is whole from the beginning.
fn make(path: &Path) -> Result<(), SecretError> {
    let draft = path.with_extension(format!("{}.new", process::id()));
    let written = write_private(&draft).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    let removed = fs::remove_file(&draft);
    written.and(removed).map_err(failed("make", path))
}

fn write_private(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{}", MasterSecrets::generate().expose())?;
    file.sync_all()
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SecretError {
    move |source| SecretError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
