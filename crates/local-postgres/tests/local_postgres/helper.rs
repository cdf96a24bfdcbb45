//! Another process that uses a cluster: this test binary once more, copied to where every user can run it.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Lines, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{path::PathBuf, thread};

use subtle_local_postgres::testing::{self, TestDatabase};
use subtle_local_postgres::{Cluster, Durability, Options};

use crate::scratch::{Scratch, copy, query};

const TASK: &str = "SUBTLE_HELPER_TASK";
const DIR: &str = "SUBTLE_HELPER_DIR";
/// Parts what the helper tells from what the test harness prints.
const TELLS: &str = "helper tells: ";

/// A process that has done its task, and waits until it is told to go.
pub(crate) struct Helper {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Kept, for the harness still prints its result.
    _stdout: Lines<BufReader<ChildStdout>>,
    /// What it told.
    pub(crate) told: String,
}

impl Helper {
    /// One that uses the cluster of the scratch folder, and tells the server's process id.
    pub(crate) fn holding(scratch: &Scratch) -> Self {
        Self::doing("hold", scratch, |command| command)
    }

    pub(crate) fn doing(
        task: &str,
        scratch: &Scratch,
        set_up: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let mut child = spawn(task, scratch, set_up);
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once(TELLS).map(|(_, told)| told.to_owned()));
        let told = told.unwrap_or_else(|| {
            let mut complaint = String::new();
            child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
            panic!("the helper failed: {complaint}")
        });
        Self { child, stdin, _stdout: lines, told }
    }

    pub(crate) fn server(&self) -> i32 {
        self.told.parse().unwrap()
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Tells it to go, and waits until it is gone.
    pub(crate) fn go(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }

    /// Ends it as if the power had failed.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until a signal has ended it.
    pub(crate) fn wait(mut self) {
        assert!(!self.child.wait().unwrap().success());
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn spawn(
    task: &str,
    scratch: &Scratch,
    set_up: impl FnOnce(&mut Command) -> &mut Command,
) -> Child {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // With this file the scratch folder is the target folder, to the helper's eyes.
    fs::write(scratch.root.join("CACHEDIR.TAG"), "").unwrap();
    let program = scratch.root.join(format!("helper{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    copy(&env::current_exe().unwrap(), &program);
    let mut command = Command::new(program);
    command.args(["--exact", "helper::does_its_task", "--nocapture"]);
    command.env(TASK, task).env(DIR, scratch.dir()).env_remove("TEST_DATABASE_URL").current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    set_up(&mut command).spawn().unwrap()
}

/// Where the other processes of the tests begin. Among the tests themselves, it has no task.
#[test]
fn does_its_task() {
    let Some(task) = env::var_os(TASK) else {
        return;
    };
    match task.to_str().unwrap() {
        "hold" => {
            let dir = PathBuf::from(env::var_os(DIR).unwrap());
            let cluster = Cluster::start(&Options::new(dir, Durability::Throwaway)).unwrap();
            tell(&cluster.pid().to_string());
            cluster.stop().unwrap();
        }
        "database" => tell(testing::empty_database().url()),
        "copies" => tell(&copies()),
        other => panic!("no such task: {other}"),
    }
}

/// Tells, and waits until told to go.
fn tell(what: &str) {
    println!("{TELLS}{what}");
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// Eight copies of one template and one of another at once: how often each was migrated, and how many rows each copy has after
/// one was added to it.
fn copies() -> String {
    static MIGRATED: AtomicU32 = AtomicU32::new(0);
    let copy = |fingerprint: &str| {
        let database = testing::database(fingerprint, |url| {
            MIGRATED.fetch_add(1, Ordering::Relaxed);
            query(url, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
            Ok(())
        });
        query(database.url(), "INSERT INTO t VALUES (2)");
        database
    };
    let databases: Vec<TestDatabase> = thread::scope(|scope| {
        let one = (0..8).map(|_| scope.spawn(|| copy("one"))).collect::<Vec<_>>();
        let other = scope.spawn(|| copy("other"));
        one.into_iter().chain([other]).map(|thread| thread.join().unwrap()).collect()
    });
    let rows = databases.iter().map(|database| query(database.url(), "SELECT count(*) FROM t"));
    format!("{} {}", MIGRATED.load(Ordering::Relaxed), rows.collect::<Vec<_>>().join(","))
}
