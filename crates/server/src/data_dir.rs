//! The folder in which everything is kept that nobody told us to keep elsewhere.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why there is no data dir.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the folder {} (setting data_dir)", path.display())]
pub(crate) struct DataDirError {
    path: PathBuf,
    source: io::Error,
}

const ROOT: u32 = 0;

/// Makes the folder unless it is there; one that is there keeps its permissions.
///
/// It is for us alone. Only root's may be passed through, though not listed: PostgreSQL refuses to run as root, and the account
/// that runs it instead has to reach its own folder inside.
pub(crate) fn prepare(path: &Path) -> Result<(), DataDirError> {
    let failed = |source| DataDirError { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) if fs::metadata(path).map_err(failed)?.uid() == ROOT => {
            fs::set_permissions(path, Permissions::from_mode(0o711)).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        outcome => outcome.map_err(failed),
    }
}
