use std::path::PathBuf;
use std::time::{Duration, Instant};

use subtle_local_postgres::{Cluster, Durability, Options};
use tokio::task::spawn_blocking;

use super::app::{connect, fresh_folder};
use super::process::kill;

const DATABASE: &str = "subtle";

/// A PostgreSQL of the test's own, to be mistreated. Gone when it is dropped.
pub(crate) struct OwnCluster {
    options: Options,
    cluster: Option<Cluster>,
    frozen: Vec<i32>,
}

impl OwnCluster {
    pub(crate) async fn start(durability: Durability) -> Self {
        let options = Options::new(fresh_folder("own-postgres"), durability);
        let mut own = Self { options, cluster: None, frozen: Vec::new() };
        own.start_again().await;
        let cluster = own.cluster.take().unwrap();
        let made = spawn_blocking(move || cluster.ensure_database(DATABASE).map(|()| cluster));
        own.cluster = Some(made.await.unwrap().unwrap());
        own
    }

    async fn start_again(&mut self) {
        let options = self.options.clone();
        let started = spawn_blocking(move || Cluster::start(&options).unwrap());
        self.cluster = Some(started.await.unwrap());
    }

    /// The URL of its empty database. The same after every start.
    pub(crate) fn url(&self) -> String {
        self.cluster.as_ref().unwrap().url(DATABASE)
    }

    fn pid(&self) -> i32 {
        self.cluster.as_ref().unwrap().pid()
    }

    /// Stops all its processes where they are: nothing is answered, no connection breaks.
    pub(crate) async fn freeze(&mut self) {
        let client = connect(&self.url()).await;
        // First the one that makes the others, so that there are no more of them.
        kill("STOP", &[self.pid()]);
        let rows = client.query("SELECT pid FROM pg_stat_activity", &[]).await.unwrap();
        self.frozen = rows.iter().map(|row| row.get(0)).chain([self.pid()]).collect();
        kill("STOP", &self.frozen);
    }

    pub(crate) fn thaw(&mut self) {
        kill("CONT", &self.frozen);
        self.frozen.clear();
    }

    /// What `pg_ctl restart -m immediate` does: no good-bye, and a recovery from the log.
    pub(crate) async fn crash_and_restart(&mut self) {
        let pid = self.pid();
        kill("QUIT", &[pid]);
        let deadline = Instant::now() + Duration::from_secs(20);
        while kill("0", &[pid]) {
            assert!(Instant::now() < deadline, "PostgreSQL does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let ended = self.cluster.take();
        spawn_blocking(move || drop(ended)).await.unwrap();
        self.start_again().await;
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        if !self.frozen.is_empty() {
            self.thaw();
        }
        drop(self.cluster.take());
        let folder: &PathBuf = &self.options.dir;
        let _left_for_cargo_clean = std::fs::remove_dir_all(folder);
    }
}
