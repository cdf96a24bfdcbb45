//! A running cluster, as the processes that share it see it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::binaries::Binaries;
use crate::error::{Error, io_error};
use crate::folders::{Folders, Lock};
use crate::initdb::initdb;
use crate::postmaster::{self, Postmaster};
use crate::{psql, url};

/// What the data is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It survives a crash of the machine: for `cargo run`.
    Durable,
    /// It may be lost at any time, and is made anew when the server does not start with it: for tests.
    Throwaway,
}

impl Durability {
    pub(crate) fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Durable => &["fsync=on"],
            Self::Throwaway => &[
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
                "autovacuum=off",
                "wal_level=minimal",
                "max_wal_senders=0",
            ],
        }
    }
}

/// How a cluster is to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// A folder for the cluster alone. It is made when it is not there; as root, it is given to whoever runs the server.
    pub dir: PathBuf,
    /// What the data is worth.
    pub durability: Durability,
    /// How many connections the server takes.
    pub max_connections: u16,
    /// The programs to use instead of those [`Binaries::find`] finds.
    pub binaries: Option<Binaries>,
}

impl Options {
    /// A hundred connections, the programs that are found.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, durability: Durability) -> Self {
        Self { dir: dir.into(), durability, max_connections: 100, binaries: None }
    }
}

/// A running server that this process uses. Dropping it leaves, and stops the server if no other process uses it.
#[derive(Debug)]
pub struct Cluster {
    folders: Folders,
    binaries: Binaries,
    postmaster: Postmaster,
    /// Held as long as we use the server.
    users: Option<Lock>,
}

impl Cluster {
    /// Joins the server that runs on the folder, or starts one: after `initdb` when the folder is new. Blocks until the server
    /// accepts connections.
    pub fn start(options: &Options) -> Result<Self, Error> {
        let binaries = options.binaries.clone().map_or_else(Binaries::find, Ok)?;
        let folders = Folders::prepare(&options.dir)?;
        let _gate = folders.gate()?;
        let postmaster = match postmaster::find(&folders)? {
            Some(postmaster) => postmaster,
            None => launch(&folders, &binaries, options)?,
        };
        let users = Some(folders.join()?);
        Ok(Self { folders, binaries, postmaster, users })
    }

    /// The URL of one of its databases, for libpq (`psql`, `pg_dump`) and tokio-postgres alike.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url::over_socket(&self.postmaster.sockets, database)
    }

    /// Creates a database unless it is there.
    pub fn ensure_database(&self, name: &str) -> Result<(), Error> {
        psql::ensure_database(&self.binaries, &self.url("postgres"), name)
    }

    /// The server's process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.postmaster.pid
    }

    /// The programs that go with it.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Where the server writes its log.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.folders.log
    }

    /// Leaves, and stops the server if no other process uses it: what dropping does, but this tells the error.
    pub fn stop(mut self) -> Result<(), Error> {
        self.leave()
    }

    /// Leaves, and lets the server run on until [`stop`], also when others come and go.
    pub fn leave_running(mut self) -> Result<(), Error> {
        let _gate = self.folders.gate()?;
        fs::write(&self.folders.keep, mark(&self.postmaster))
            .map_err(io_error("write", &self.folders.keep))?;
        self.users = None;
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Error> {
        if self.users.is_none() {
            return Ok(());
        }
        let _gate = self.folders.gate()?;
        self.users = None;
        stop_if_unused(&self.folders).map(drop)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Whoever wants to know calls `stop`. A server that runs on is joined by the next process.
        let _ = self.leave();
    }
}

/// What [`stop`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// A server, which it stopped.
    Now,
    /// No server.
    Before,
    /// A server that other processes use; the last of them will stop it.
    Later,
}

/// Stops a server that was left running.
pub fn stop(dir: &Path) -> Result<Stopped, Error> {
    let Some(folders) = Folders::open(dir)? else {
        return Ok(Stopped::Before);
    };
    let _gate = folders.gate()?;
    match fs::remove_file(&folders.keep) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("remove", &folders.keep)(error));
        }
        _ => {}
    }
    stop_if_unused(&folders)
}

/// The gate is held. The server may be another than the one we started: someone may have killed that.
fn stop_if_unused(folders: &Folders) -> Result<Stopped, Error> {
    let Some(postmaster) = postmaster::find(folders)? else {
        return Ok(Stopped::Before);
    };
    let kept = fs::read_to_string(&folders.keep).is_ok_and(|kept| kept == mark(&postmaster));
    if kept || !folders.is_unused()? {
        return Ok(Stopped::Later);
    }
    postmaster::shut_down(&folders.data, &postmaster)?;
    Ok(Stopped::Now)
}

/// Whether a server runs on the folder. Waits while one is being started or stopped.
pub fn is_running(dir: &Path) -> Result<bool, Error> {
    let Some(folders) = Folders::open(dir)? else {
        return Ok(false);
    };
    let _gate = folders.gate()?;
    Ok(postmaster::find(&folders)?.is_some())
}

/// Names this run of the server, so that a mark left by an earlier one means nothing.
fn mark(postmaster: &Postmaster) -> String {
    format!("{} {}\n", postmaster.pid, postmaster.started)
}

fn launch(folders: &Folders, binaries: &Binaries, options: &Options) -> Result<Postmaster, Error> {
    let account = Account::choose(folders, binaries)?;
    let start = || postmaster::launch(folders, account, binaries, options);
    let create = || initdb(folders, account, binaries, options.durability);
    if !folders.is_initialised() {
        create()?;
        return start();
    }
    match (start(), options.durability) {
        (Err(Error::NotStarted { .. }), Durability::Throwaway) => {
            create()?;
            start()
        }
        (Err(error @ Error::NotStarted { .. }), Durability::Durable) => {
            Err(explained(folders, binaries, error))
        }
        (outcome, _) => outcome,
    }
}

/// Asked only after a failure, for it takes another 10 ms: whether the data belongs to another major version.
fn explained(folders: &Folders, binaries: &Binaries, error: Error) -> Error {
    let data = fs::read_to_string(folders.data.join("PG_VERSION")).unwrap_or_default().trim().to_owned();
    let major = |version: String| version.chars().take_while(char::is_ascii_digit).collect::<String>();
    match binaries.version().map(major) {
        Ok(server) if !data.is_empty() && server != data => Error::OtherVersion {
            folder: folders.data.clone(),
            data,
            server,
            programs: binaries.folder().to_owned(),
        },
        _ => error,
    }
}
