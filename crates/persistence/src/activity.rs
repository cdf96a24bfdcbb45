//! The activity timeline, written behind the requests' backs: they hand entries over, one task writes what has gathered.
//!
//! An entry is lost when the database can't be reached for longer than the writer is patient, or when more come than the queue
//! holds meanwhile: a timeline is worth no request's wait. What is lost is counted and logged.

mod columns;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use subtle_domain::activity::ActivityEntry;
use subtle_domain::ports::{ActivityLog, StoreError};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use self::columns::Columns;
use crate::pool::Database;

/// How many entries wait at most: some seconds of the busiest server.
const QUEUE: usize = 10_000;
/// How many are written by one statement.
const BATCH: usize = 500;
/// The pauses between tries while the database is unavailable. Then a batch is given up.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Takes entries and never waits.
#[derive(Debug)]
pub struct PgActivityLog {
    queue: Sender<ActivityEntry>,
    losses: Arc<Losses>,
}

impl PgActivityLog {
    /// A log into `database`, and the task that writes it. Must be called inside a Tokio runtime.
    pub fn start(database: Database) -> (Self, ActivityWriter) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let losses = Arc::new(Losses::default());
        let worker = Worker { database, losses: Arc::clone(&losses) };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(worker.run(waiting, stopped));
        (Self { queue, losses }, ActivityWriter { stop, task })
    }

    /// How many entries wait to be written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        QUEUE.saturating_sub(self.queue.capacity())
    }

    /// How many entries were lost since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.losses.entries.load(Ordering::Relaxed)
    }
}

impl ActivityLog for PgActivityLog {
    fn record(&self, entry: ActivityEntry) {
        if self.queue.try_send(entry).is_err() {
            self.losses.refuse();
        }
    }
}

/// The task behind a [`PgActivityLog`]. When this is dropped the task writes what it has, like [`ActivityWriter::close`], but
/// nobody waits for it.
#[derive(Debug)]
#[must_use = "the log takes nothing more once this is dropped"]
pub struct ActivityWriter {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl ActivityWriter {
    /// Takes no more entries, writes those that were handed over before, and ends. While the database is unavailable that may
    /// take long: the caller decides how long to wait.
    pub async fn close(self) {
        let _has_ended = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(error = &error as &dyn std::error::Error, "the activity log failed");
        }
    }
}

/// What never made it into the timeline.
#[derive(Debug, Default)]
struct Losses {
    entries: AtomicU64,
    overflowing: AtomicBool,
}

impl Losses {
    fn add(&self, entries: usize) {
        self.entries.fetch_add(u64::try_from(entries).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// An entry found no room. Tells of the first of many.
    fn refuse(&self) {
        self.add(1);
        if !self.overflowing.swap(true, Ordering::Relaxed) {
            tracing::warn!("the activity log is full or closed; entries are lost");
        }
    }

    /// The queue is empty again.
    fn relax(&self) {
        if self.overflowing.swap(false, Ordering::Relaxed) {
            let lost = self.entries.load(Ordering::Relaxed);
            tracing::info!(lost, "the activity log has room again");
        }
    }
}

struct Worker {
    database: Database,
    losses: Arc<Losses>,
}

impl Worker {
    async fn run(self, mut waiting: Receiver<ActivityEntry>, mut stopped: oneshot::Receiver<()>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let taken = tokio::select! {
                taken = waiting.recv_many(&mut batch, BATCH) => taken,
                _ = &mut stopped, if !waiting.is_closed() => { waiting.close(); continue; }
            };
            if taken == 0 {
                return;
            }
            self.write(&batch).await;
            batch.clear();
            if waiting.is_empty() {
                self.losses.relax();
            }
        }
    }

    /// Writes entries together; one by one once the database refuses them, so that only what it refuses is lost.
    async fn write(&self, mut left: &[ActivityEntry]) {
        let mut together = left.len();
        while !left.is_empty() {
            let (next, later) = left.split_at(together.min(left.len()));
            match self.insert_patiently(next).await {
                Ok(()) => left = later,
                Err(error @ (StoreError::Unavailable(_) | StoreError::Again(_))) => {
                    return self.give_up(left, &error);
                }
                Err(error) => {
                    if next.len() == 1 {
                        self.give_up(next, &error);
                        left = later;
                    }
                    together = 1;
                }
            }
        }
    }

    fn give_up(&self, entries: &[ActivityEntry], error: &StoreError) {
        self.losses.add(entries.len());
        let error = error as &dyn std::error::Error;
        tracing::warn!(error, lost = entries.len(), "entries of the activity log could not be written");
    }

    async fn insert_patiently(&self, entries: &[ActivityEntry]) -> Result<(), StoreError> {
        for pause in PAUSES {
            match self.insert(entries).await {
                Err(StoreError::Unavailable(_) | StoreError::Again(_)) => sleep(pause).await,
                done => return done,
            }
        }
        self.insert(entries).await
    }

    async fn insert(&self, entries: &[ActivityEntry]) -> Result<(), StoreError> {
        let columns = Columns::of(entries);
        repeatable!(self.database, connection => columns.insert(connection))?;
        repeatable!(self.database, connection => columns.take_back(connection))?;
        Ok(())
    }
}
