//! What can keep a private PostgreSQL from running.

use std::io;
use std::path::{Path, PathBuf};

/// Why the cluster could not be started, used or stopped. Each one is a sentence for the person at the terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no PostgreSQL in any of the usual places.
    #[error(
        "PostgreSQL is not installed: run `apt-get install postgresql` or `brew install postgresql@17`, \
         or set DATABASE_URL to a server that runs"
    )]
    NotInstalled,
    /// A program of PostgreSQL's clients is not there.
    #[error("{0} is not installed: run `apt-get install postgresql-client` or `brew install libpq`")]
    NoClient(&'static str),
    /// `$PG_BINDIR` is set, and wrong.
    #[error("PG_BINDIR is {0}, where `postgres`, `initdb` and `psql` are not all to be found")]
    WrongBindir(PathBuf),
    /// We are root, whom PostgreSQL refuses, and there is no way to be someone else.
    #[error(
        "PostgreSQL refuses to run as root: neither `postgres` nor `nobody` can reach {0}, and a user namespace \
         cannot be made here ({1}); run as another user, or choose another data folder"
    )]
    NoAccount(PathBuf, String),
    /// `initdb` failed.
    #[error("initdb could not make {folder}: {output}")]
    Initdb {
        /// The data folder that was to be.
        folder: PathBuf,
        /// What `initdb` said.
        output: String,
    },
    /// The data folder belongs to another major version.
    #[error(
        "{folder} was made by PostgreSQL {data}, but the programs in {programs} are version {server}: set PG_BINDIR to \
         those of version {data}, or move the folder away"
    )]
    OtherVersion {
        /// The data folder.
        folder: PathBuf,
        /// The major version that made it.
        data: String,
        /// The major version of the programs.
        server: String,
        /// The folder of the programs.
        programs: PathBuf,
    },
    /// The server ended before it was ready, or never was.
    #[error("PostgreSQL did not start ({reason}); the end of {log}:\n{tail}")]
    NotStarted {
        /// How it ended.
        reason: String,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The server did not obey a request to stop.
    #[error("PostgreSQL (process {0}) did not stop in time")]
    NotStopped(i32),
    /// The folder for the socket is there, but not ours alone.
    #[error("{0} is not a folder of ours alone (mode 0700): remove it")]
    Foreign(PathBuf),
    /// SQL that this crate ran failed.
    #[error("psql: {0}")]
    Psql(String),
    /// The template of the test databases could not be migrated.
    #[error("the migrations failed: {0}")]
    Migration(String),
    /// The operating system said no.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
}

/// Turns an [`io::Error`] into one that says what was tried, and on which path.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { action, path: path.to_owned(), source }
}
