//! A folder for each test, and the questions tests ask.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use subtle_local_postgres::{Binaries, Cluster, Durability, Options, stop};

const POLL: Duration = Duration::from_millis(2);

/// A folder that all users reach. Dropping it stops the cluster inside and removes it.
pub(crate) struct Scratch {
    pub(crate) root: PathBuf,
    /// Held while the cluster inside is one that is used again.
    slot: Option<File>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = PathBuf::from(format!("/tmp/subtle-lp-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        DirBuilder::new().mode(0o755).create(&root).unwrap();
        Self { root, slot: None }
    }

    /// One with a cluster of its own that has run before, and holds nothing.
    pub(crate) fn with_cluster() -> Self {
        let scratch = Self::new();
        Self::fill(&scratch.dir());
        scratch
    }

    /// The same for the helpers' test databases: to them this is the target folder.
    pub(crate) fn with_test_cluster() -> Self {
        let scratch = Self::new();
        Self::fill(&scratch.test_cluster());
        scratch
    }

    /// One with a cluster that other tests have used before, and left who knows what in: for tests that do not look.
    pub(crate) fn with_used_cluster() -> Self {
        let mut scratch = Self::new();
        let (slot, lock) = (0..).find_map(free_slot).unwrap();
        symlink(&slot, scratch.dir()).unwrap();
        symlink(&slot, scratch.test_cluster()).unwrap();
        scratch.slot = Some(lock);
        scratch
    }

    /// Makes the folder a copy of a cluster that is made once, for `initdb` takes longer than all else here.
    fn fill(dir: &Path) {
        let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster");
        let lock = File::create(made.with_added_extension("lock")).unwrap();
        lock.lock().unwrap();
        Cluster::start(&Options::new(&made, Durability::Throwaway)).unwrap().stop().unwrap();
        copy(&made, dir);
    }

    /// Where the helpers' test databases are.
    pub(crate) fn test_cluster(&self) -> PathBuf {
        self.root.join("test-postgres")
    }

    /// Where the test's cluster is.
    pub(crate) fn dir(&self) -> PathBuf {
        self.root.join("cluster")
    }

    pub(crate) fn options(&self) -> Options {
        Options::new(self.dir(), Durability::Throwaway)
    }

    pub(crate) fn start(&self) -> Cluster {
        Cluster::start(&self.options()).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for dir in [self.dir(), self.test_cluster()] {
            let _ = stop(&dir);
        }
        let begin = Instant::now();
        // An `initdb` that was orphaned on purpose may still be writing.
        while fs::remove_dir_all(&self.root).is_err() && begin.elapsed() < Duration::from_secs(10) {
            thread::sleep(POLL);
        }
    }
}

/// The folder of that number and its lock, unless another test has it.
fn free_slot(number: u32) -> Option<(PathBuf, File)> {
    let slot = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{number}"));
    let lock = File::create(slot.with_added_extension("lock")).unwrap();
    lock.try_lock().ok()?;
    let _ = stop(&slot);
    if !slot.join("data/PG_VERSION").exists() {
        Cluster::start(&Options::new(&slot, Durability::Throwaway)).unwrap().stop().unwrap();
    }
    Some((slot, lock))
}

/// Copies by a process of its own: while this one has a program open for writing, a child of another thread may have it too, and
/// then nobody can run it.
pub(crate) fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        thread::sleep(POLL);
    }
}

/// What a query answers: rows as lines, fields parted by `|`.
#[track_caller]
pub(crate) fn query(url: &str, sql: &str) -> String {
    let psql = Binaries::find().unwrap().program("psql");
    let output = Command::new(psql).args(["-X", "-q", "-A", "-t", "-d", url, "-c", sql]).output().unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Sends a signal to a process, or to a process group when the id is negative.
#[track_caller]
pub(crate) fn signal(name: &str, pid: i32) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap();
    assert!(status.success(), "kill -{name} {pid}");
}

pub(crate) fn exists(pid: i32) -> bool {
    Command::new("sh").args(["-c", &format!("kill -0 {pid} 2>/dev/null")]).status().unwrap().success()
}

pub(crate) fn is_root(scratch: &Scratch) -> bool {
    owner(&scratch.root) == 0
}

pub(crate) fn owner(path: &Path) -> u32 {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap())
}
