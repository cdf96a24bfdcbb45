//! Two servers, a proxy, a PostgreSQL on a small disk: what breaks.

use std::path::PathBuf;

use subtle_local_postgres::Durability;
use tokio::task::{block_in_place, spawn_blocking};

use crate::disk::SmallDisk;
use crate::proxy::Proxy;
use crate::support::app::{ROLE, migrate};
use crate::support::{OwnCluster, TestApp};

/// Dropped in this order.
pub(crate) struct Stage {
    pub(crate) app: TestApp,
    pub(crate) proxy: Proxy,
    pub(crate) cluster: OwnCluster,
    /// Or why there is none.
    pub(crate) disk: Result<SmallDisk, String>,
    /// The numbers of the servers that run.
    pub(crate) running: Vec<usize>,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let cluster = OwnCluster::start(Durability::Durable).await;
        let url = cluster.url();
        let socket = socket(&url);
        let disk = SmallDisk::mount(socket.parent().unwrap());
        if let Ok(disk) = &disk {
            disk.take_in(&of_database(&url, "postgres"), "subtle").await;
        }
        let migrated = url.clone();
        spawn_blocking(move || migrate(&migrated).unwrap()).await.unwrap();
        let proxy = Proxy::start(socket).await;
        let builder = TestApp::builder().on(format!("postgres://{ROLE}@{}/subtle", proxy.address)).servers(2);
        // Time for a load balancer to see that a server is about to end.
        let builder = builder.set("SUBTLE_STREAM_HEARTBEAT", "1s").set("SUBTLE_SHUTDOWN_DELAY", "2s");
        Self { app: builder.start().await, proxy, cluster, disk, running: vec![0, 1] }
    }

    /// The database, past the proxy and as its owner.
    pub(crate) fn direct_url(&self) -> String {
        self.cluster.url()
    }

    /// Where a server that runs has that path.
    pub(crate) fn url(&self, path: &str) -> String {
        self.app.url_of(self.running[0], path)
    }

    /// Where all servers are that run.
    pub(crate) fn servers(&self) -> Vec<String> {
        self.running.iter().map(|number| self.app.url_of(*number, "")).collect()
    }

    /// Begins one more server.
    pub(crate) fn begin_server(&mut self) {
        let number = block_in_place(|| self.app.add_server());
        self.running.push(number);
    }

    /// Runs a command on the database; what it prints, or that it failed and why.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        self.run_on(&self.direct_url(), arguments).await
    }

    /// Likewise, on the database of that URL.
    pub(crate) async fn run_on(&self, url: &str, arguments: &[&str]) -> Result<String, String> {
        let output = self.app.run_on(url, arguments).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        let said = text(&output.stderr);
        let line = said.lines().last().unwrap_or_default();
        Err(format!("`subtle {}`: {}: {line}", arguments.join(" "), output.status))
    }
}

/// The same server, another database.
pub(crate) fn of_database(url: &str, name: &str) -> String {
    url.replacen("@/subtle?", &format!("@/{name}?"), 1)
}

fn socket(url: &str) -> PathBuf {
    let config: tokio_postgres::Config = url.parse().unwrap();
    match (&config.get_hosts()[0], config.get_ports()[0]) {
        (tokio_postgres::config::Host::Unix(folder), port) => folder.join(format!(".s.PGSQL.{port}")),
        (tokio_postgres::config::Host::Tcp(name), _) => panic!("{name} is no socket"),
    }
}
