//! The server the test databases are on: one for each process, shared with the processes beside it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::{env, fs, thread};

use super::names::Names;
use crate::binaries::Binaries;
use crate::cluster::{Cluster, Durability, Options};
use crate::error::{Error, io_error};
use crate::{process, psql, url};

/// Many tests at a time, each with a pool of its own.
const MAX_CONNECTIONS: u16 = 400;
/// Drops databases, named one a line. One that is gone or in use by now is somebody else's concern.
const DROP: &str = "
\\set ON_ERROR_STOP off
SET client_min_messages = warning;
SELECT format('DROP DATABASE IF EXISTS %I', name) FROM regexp_split_to_table(:'names', '\\s+') AS name \\gexec
";

static SERVER: OnceLock<Server> = OnceLock::new();
/// Apart from [`SERVER`], for it is taken at exit, and statics are not dropped.
static CLUSTER: Mutex<Option<Cluster>> = Mutex::new(None);

#[derive(Debug, Clone)]
pub(super) struct Server {
    /// The URL of a database that is always there.
    url: String,
    binaries: Binaries,
    pub(super) names: Arc<Names>,
    /// For what processes share: the cluster and the locks.
    pub(super) folder: PathBuf,
}

impl Server {
    /// # Panics
    ///
    /// When there is no PostgreSQL.
    pub(super) fn shared() -> &'static Self {
        SERVER.get_or_init(|| {
            let server = Self::start().unwrap_or_else(|error| panic!("no PostgreSQL for the tests: {error}"));
            let sweeper = server.clone();
            // Beside the tests, for each database takes some 20 ms. What remains at the end is swept by the next test binary.
            thread::spawn(move || sweeper.sweep());
            server
        })
    }

    fn start() -> Result<Self, Error> {
        let folder = target_folder().join("test-postgres");
        match env::var_os("TEST_DATABASE_URL").and_then(|url| url.into_string().ok()) {
            Some(url) => {
                fs::create_dir_all(&folder).map_err(io_error("make", &folder))?;
                Ok(Self { url, binaries: Binaries::find()?, names: Arc::new(Names::new()), folder })
            }
            None => Self::embedded(folder),
        }
    }

    fn embedded(folder: PathBuf) -> Result<Self, Error> {
        let options =
            Options { max_connections: MAX_CONNECTIONS, ..Options::new(&folder, Durability::Throwaway) };
        let cluster = Cluster::start(&options)?;
        let server = Self {
            url: cluster.url("postgres"),
            binaries: cluster.binaries().clone(),
            names: Arc::new(Names::new()),
            folder,
        };
        if CLUSTER.lock().unwrap_or_else(PoisonError::into_inner).replace(cluster).is_none() {
            process::at_exit(leave);
        }
        Ok(server)
    }

    pub(super) fn psql(&self, variables: &[(&str, &str)], script: &str) -> Result<String, Error> {
        psql::run(&self.binaries, &self.url, variables, script)
    }

    pub(super) fn url(&self, database: &str) -> String {
        url::with_database(&self.url, database)
    }

    /// Drops the databases of processes that have ended.
    fn sweep(&self) -> Result<(), Error> {
        let names = self.psql(
            &[("prefix", self.names.prefix())],
            "SELECT datname FROM pg_database WHERE starts_with(datname, :'prefix');",
        )?;
        let orphans: Vec<&str> = names.lines().filter(|name| self.names.is_orphan(name)).collect();
        self.drop_databases(&orphans)
    }

    pub(super) fn drop_databases(&self, names: &[&str]) -> Result<(), Error> {
        if names.is_empty() {
            return Ok(());
        }
        self.psql(&[("names", &names.join(" "))], DROP).map(drop)
    }
}

extern "C" fn leave() {
    if let Ok(mut cluster) = CLUSTER.lock() {
        drop(cluster.take());
    }
}

/// Cargo marks its target folder, wherever the settings put it, and test binaries lie inside.
fn target_folder() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    let marked = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    marked.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), Path::to_path_buf)
}
