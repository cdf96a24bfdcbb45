//! A PostgreSQL of the run's own, a filled database, a server, and people who are signed in.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use subtle_local_postgres::{Binaries, Cluster, Durability, Options, Stopped};

use crate::cpu::{Memory, Meter, memory};
use crate::database::Database;
use crate::fill::{self, Size};
use crate::interrupt;
use crate::people::{Person, sign_in};
use crate::plain::{self, expect};
use crate::progress::note;
use crate::server::{self, Server, Settings};
use crate::trouble::{Outcome, Trouble};

/// Whom the server and the references run as: neither superuser nor owner of anything.
pub(crate) const ROLE: &str = "subtle_bench";
/// Enough for pgbench beside the server.
const MAX_CONNECTIONS: u16 = 300;
/// How long a server is left alone before its memory is called that of an idle one.
const REST: std::time::Duration = std::time::Duration::from_secs(2);

/// What is asked of a stage.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// `subtle`, as it is released.
    pub(crate) program: PathBuf,
    pub(crate) size: Size,
    /// The server's `connection_limit`.
    pub(crate) pool: u16,
    /// Of bcrypt.
    pub(crate) cost: u32,
}

/// Dropped in this order.
pub(crate) struct Stage<'a> {
    pub(crate) server: Server,
    pub(crate) database: Database,
    pub(crate) postgres: &'a Postgres,
    /// What the database is called.
    name: String,
    pub(crate) wanted: Wanted,
    /// How other servers on the database are started.
    pub(crate) settings: Settings,
    /// Of the server before anything was asked of it.
    pub(crate) idle: Option<Memory>,
    /// Of an administrator.
    pub(crate) admin: Person,
}

/// A private cluster, gone when it is dropped.
pub(crate) struct Postgres {
    cluster: Option<Cluster>,
    /// All that the run writes.
    pub(crate) folder: PathBuf,
    pub(crate) pid: i32,
    /// Numbers the databases.
    made: AtomicU32,
}

impl Postgres {
    /// Starts one that keeps what it is told: with `fsync` on.
    pub(crate) fn start(folder: PathBuf) -> Outcome<Self> {
        let binaries = Binaries::find()?;
        for program in ["pgbench", "psql"] {
            if !binaries.program(program).is_file() {
                let there = binaries.folder().display();
                return Err(Trouble::new(format!(
                    "there is no {program} in {there}, and the references need it"
                )));
            }
        }
        let dir = folder.join("postgres");
        // One that a run left behind that was killed.
        if subtle_local_postgres::stop(&dir)? == Stopped::Later {
            return Err(Trouble::new(format!("another run is under way in {}", folder.display())));
        }
        let _perhaps_never_made = std::fs::remove_dir_all(&folder);
        interrupt::watch(&folder)?;
        let mut options = Options::new(dir, Durability::Durable);
        options.max_connections = MAX_CONNECTIONS;
        let cluster = Cluster::start(&options)?;
        interrupt::begun(cluster.pid());
        Ok(Self { pid: cluster.pid(), cluster: Some(cluster), folder, made: AtomicU32::new(0) })
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().unwrap()
    }

    /// Runs a statement outside of the databases that are measured.
    fn maintain(&self, sql: &str) -> Outcome {
        Database::connect(&self.cluster().url("postgres"))?.run(sql)
    }

    fn next_database(&self) -> Outcome<String> {
        let name = format!("bench{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.maintain(&format!("CREATE DATABASE {name}"))?;
        Ok(name)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.cluster.take());
        let _left_for_cargo_clean = std::fs::remove_dir_all(&self.folder);
    }
}

impl<'a> Stage<'a> {
    /// Makes a database, fills it and starts a server on it.
    pub(crate) fn set(postgres: &'a Postgres, wanted: Wanted) -> Outcome<Self> {
        let name = postgres.next_database()?;
        let url = postgres.cluster().url(&name);
        let data = postgres.folder.join(&name);
        note("migrations");
        server::run(&wanted.program, &url, &data, &["migrate", "--grant-to", ROLE])?;
        let database = Database::connect(&url)?;
        fill::fill(&database, wanted.size, wanted.cost)?;
        let url = format!("{}&connection_limit={}", as_role(&url), wanted.pool);
        let settings = Settings { program: wanted.program.clone(), url, data, cost: wanted.cost };
        let server = Server::start(&settings)?;
        std::thread::sleep(REST);
        let idle = memory(server.pid());
        let admin = sign_in(server.address(), &[fill::ADMIN.to_owned()])?;
        let admin = admin.into_iter().next().ok_or_else(|| Trouble::new("nobody is signed in"))?;
        Ok(Self { server, database, postgres, name, wanted, settings, idle, admin })
    }

    /// Ends the server and drops the database.
    pub(crate) fn strike(self) -> Outcome {
        let Self { server, database, postgres, name, .. } = self;
        drop(server);
        drop(database);
        postgres.maintain(&format!("DROP DATABASE {name} WITH (FORCE)"))
    }

    pub(crate) fn meter(&self) -> Meter {
        Meter { server: self.server.pid(), postmaster: self.postgres.pid }
    }

    /// Signs so many people in, spread over all.
    pub(crate) fn people(&self, count: u64) -> Outcome<Vec<Person>> {
        let users = self.wanted.size.users;
        let count = count.min(users);
        let emails: Vec<_> = (0..count).map(|number| fill::address(1 + number * (users / count))).collect();
        sign_in(self.server.address(), &emails)
    }

    /// A key with which usage may be told.
    pub(crate) fn service_key(&self) -> Outcome<String> {
        let body = json!({"name": "bench", "scopes": ["usage:write"]});
        let made = plain::post(self.server.address(), "/v1/admin/service-keys", &self.admin.access, &body);
        let made = expect(made, 201, "a service key")?;
        Ok(made["key"].as_str().unwrap_or_default().to_owned())
    }

    /// The database as the server's own role reaches it, without what is for the server's pool.
    pub(crate) fn url(&self) -> String {
        as_role(&self.postgres.cluster().url(&self.name))
    }

    pub(crate) fn scratch(&self) -> &Path {
        &self.postgres.folder
    }
}

/// The database as the server's own role reaches it.
fn as_role(url: &str) -> String {
    url.replacen("postgres://postgres@/", &format!("postgres://{ROLE}@/"), 1)
}
