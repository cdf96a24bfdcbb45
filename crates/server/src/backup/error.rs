//! Why there is no backup, or no restore. Whatever it is, the live database is as it was.

use std::io;
use std::path::{Path, PathBuf};

use subtle_domain::ports::StoreError;
use subtle_persistence::backup::SwapError;
use subtle_persistence::migrations::MigrateError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error("{} is there already: nothing was written", .0.display())]
    Exists(PathBuf),
    #[error("--keep goes with a folder to keep backups in, and {} is none", .0.display())]
    NoFolder(PathBuf),
    #[error("{} is not a whole backup ({why}): nothing was restored", path.display())]
    Damaged { path: PathBuf, why: &'static str },
    #[error("what was restored is not what was backed up:\n  {}", .0.join("\n  "))]
    Differs(Vec<String>),
    #[error("the backup is of a newer version of subtle, with migrations that this one does not know: {}", .0.join(", "))]
    Newer(Vec<String>),
    #[error(
        "database {database} holds {accounts} accounts: --force puts the backup in its place, and keeps it under another name"
    )]
    Occupied { database: String, accounts: i64 },
    #[error("{} is there already: another backup is being written there, or was broken off; then remove it", .0.display())]
    Draft(PathBuf),
    #[error("connected to the database is somebody whom this role may not send away ({}): stop what runs as that, or let a member of \
             pg_signal_backend or a superuser restore", .0.join(", "))]
    Stayers(Vec<String>),
    #[error("connected to the database are others that were not sent away in time ({}): stop what runs as that and restore again; what was \
             there is as it was", .0.join(", "))]
    InUse(Vec<String>),
    #[error(
        "{0} needs CREATEDB for a restore or --verify, which fill a database of their own: let a superuser run \
             `ALTER ROLE {0} CREATEDB`"
    )]
    NoCreateDb(String),
    #[error(
        "there is no role subtle_user on this server, and {0} may not make it: let a superuser run `CREATE ROLE subtle_user \
             NOLOGIN; GRANT subtle_user TO {0} WITH ADMIN OPTION`"
    )]
    NoUserRole(String),
    #[error("{role} does not own the database {database}: its owner or a superuser restores it")]
    NotOwner { role: String, database: String },
    #[error("{program} failed: {told}")]
    Program { program: &'static str, told: String },
    #[error(transparent)]
    NotInstalled(#[from] subtle_local_postgres::Error),
    #[error("the server refused")]
    Server(#[from] StoreError),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl From<SwapError> for BackupError {
    fn from(error: SwapError) -> Self {
        match error {
            SwapError::InUse(roles) => Self::InUse(roles),
            SwapError::Store(error) => Self::Server(error),
        }
    }
}

/// What an error of the operating system becomes.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { action, path, source }
}
