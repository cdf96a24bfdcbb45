//! Which database is meant, as `subtle` would find it.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, path};

use subtle_local_postgres::{Cluster, Durability, Options};

use super::url::DatabaseUrl;
use crate::failure::{Failure, Outcome};
use crate::workspace;

/// The names that `subtle` gives to folder and database.
const FOLDER: &str = "postgres";
const DATABASE: &str = "subtle";
/// What `subtle` takes for "no `DATABASE_URL`", and a `subtle.toml` does not override.
const EMBEDDED: &str = "embedded";

const ROOT: u32 = 0;

/// Where the database is.
#[derive(Debug)]
pub(crate) enum Place {
    /// In a private PostgreSQL.
    Private(Private),
    /// Where `DATABASE_URL` says.
    Given(DatabaseUrl),
}

#[derive(Debug)]
pub(crate) struct Private {
    /// An absolute path: that of the checkout, wherever in it we were called, or `SUBTLE_DATA_DIR`.
    data_dir: PathBuf,
}

/// A database that can be reached. Dropping it leaves the private PostgreSQL, and stops that if nobody else uses it.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: DatabaseUrl,
    cluster: Option<Cluster>,
}

impl Place {
    pub(crate) fn find() -> Outcome<Self> {
        if let Some(url) = env::var_os("DATABASE_URL").filter(|url| url != EMBEDDED) {
            let url = url.to_str().ok_or_else(|| Failure::new("DATABASE_URL is not UTF-8"))?;
            return Ok(Self::Given(DatabaseUrl::parse(url)?));
        }
        let data_dir = match env::var_os("SUBTLE_DATA_DIR") {
            Some(given) => path::absolute(given).map_err(Failure::when("use SUBTLE_DATA_DIR"))?,
            None => workspace::root().join(".subtle"),
        };
        Ok(Self::Private(Private { data_dir }))
    }

    /// Refuses to do `what` to a database that may be somebody else's.
    pub(crate) fn must_be_local(&self, what: &str) -> Outcome {
        match self {
            Self::Given(url) if !url.is_local() => Err(Failure::new(format!(
                "will not {what}: DATABASE_URL is not clearly on this machine (a unix socket or a loopback address)"
            ))),
            Self::Private(_) | Self::Given(_) => Ok(()),
        }
    }

    /// Starts the private PostgreSQL, or joins it.
    pub(crate) fn open(&self) -> Outcome<Database> {
        match self {
            Self::Given(url) => Ok(Database { url: url.clone(), cluster: None }),
            Self::Private(private) => private.open(),
        }
    }

    /// Makes a command of `subtle` use the same database.
    pub(crate) fn settings<'c>(&self, subtle: &'c mut Command) -> &'c mut Command {
        match self {
            Self::Given(url) => subtle.env("DATABASE_URL", url.given()),
            Self::Private(private) => {
                subtle.env("DATABASE_URL", EMBEDDED).env("SUBTLE_DATA_DIR", &private.data_dir)
            }
        }
    }

    /// For messages, without a password.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Given(url) => url.described(),
            Self::Private(private) => format!("{DATABASE} in {}", private.folder().display()),
        }
    }
}

impl Private {
    /// The cluster's.
    pub(crate) fn folder(&self) -> PathBuf {
        self.data_dir.join(FOLDER)
    }

    fn open(&self) -> Outcome<Database> {
        let made = prepare(&self.data_dir);
        made.map_err(Failure::when(format_args!("make the folder {}", self.data_dir.display())))?;
        let cluster = Cluster::start(&Options::new(self.folder(), Durability::Durable))?;
        cluster.ensure_database(DATABASE)?;
        let url = DatabaseUrl::parse(&cluster.url(DATABASE))?;
        Ok(Database { url, cluster: Some(cluster) })
    }
}

/// As `subtle` makes it: for us alone, but root's may be passed through by the account that runs PostgreSQL instead.
fn prepare(data_dir: &Path) -> io::Result<()> {
    if let Some(parent) = data_dir.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(data_dir) {
        Ok(()) if fs::metadata(data_dir)?.uid() == ROOT => {
            fs::set_permissions(data_dir, Permissions::from_mode(0o711))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    }
}

impl Database {
    /// Leaves the private PostgreSQL: what dropping does, but this tells the error.
    pub(crate) fn close(self) -> Outcome {
        Ok(self.cluster.map_or(Ok(()), Cluster::stop)?)
    }

    /// Leaves it running until it is stopped.
    pub(crate) fn leave_running(self) -> Outcome {
        Ok(self.cluster.map_or(Ok(()), Cluster::leave_running)?)
    }
}
