//! The log of usage: callers hand events over and wait; a few tasks write together what has gathered, and answer after the commit.
//!
//! A statement whose answer was lost is sent once more: the events keep their identifiers, so what its first run wrote is found and
//! not counted again, even without a key. A caller that gets an error all the same may send its events again under their keys.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use subtle_domain::ports::{NotRecorded, StoreError, UsageLog};
use subtle_domain::throttle::RetryAfter;
use subtle_domain::usage::{Recorded, UsageEvent};
use subtle_metrics::{Counter, Histogram};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::record::Batch;
use crate::pool::Database;
use crate::refusal::Shared;

/// How many events wait or are being written at most: some seconds of the busiest server.
const QUEUE: u32 = 20_000;
/// How many events are written by one statement, but for those that its last caller brings beyond.
const TOGETHER: usize = 5_000;
/// How many events another statement is worth while one is under way: each costs PostgreSQL as much as some six events.
const CROWD: usize = 16;
/// How long they wait to be as many: what is under way may be on a connection that answers no more.
const PATIENCE: Duration = Duration::from_millis(5);
/// How often a statement is run that was undone through no fault of its own.
const TRIES: u32 = 3;

/// The log takes nothing any more.
#[derive(Debug, thiserror::Error)]
#[error("the log of usage is closed")]
struct Closed;

/// Takes events and answers when they are written.
#[derive(Debug)]
pub struct PgUsageLog {
    queue: UnboundedSender<Submission>,
    room: Arc<Semaphore>,
    written: Arc<WrittenUsage>,
}

/// What the writers have done.
#[derive(Debug)]
pub struct WrittenUsage {
    /// How long each statement took, to its commit or failure, with the wait for a connection.
    pub took: Histogram,
    /// The events in those that were committed, duplicates too.
    pub events: Counter,
}

impl PgUsageLog {
    /// How many gather events and write them: while one waits for its commit, one runs its statement and one gathers.
    pub const WRITERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);

    /// A log into `database`, and the tasks that write it, each with a connection in use at a time. Must be called inside a Tokio
    /// runtime.
    pub fn start(database: Database, writers: NonZeroUsize) -> (Self, UsageWriters) {
        // Bounded by the room, which counts events: one caller brings one, another a thousand.
        let (queue, waiting) = mpsc::unbounded_channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let (stop, stopped) = watch::channel(());
        let took = Histogram::new(Histogram::ANSWERS);
        let written = Arc::new(WrittenUsage { took, events: Counter::default() });
        let under_way = Arc::new(watch::Sender::new(0));
        let writer = Writer { database, waiting, stopped, under_way, written: Arc::clone(&written) };
        let tasks = (0..writers.get()).map(|_| tokio::spawn(writer.clone().run())).collect();
        let room = Arc::new(Semaphore::new(QUEUE as usize));
        (Self { queue, room, written }, UsageWriters { stop, tasks })
    }

    /// How many events wait or are being written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        (QUEUE as usize).saturating_sub(self.room.available_permits())
    }

    /// What the writers have done since the start.
    #[must_use]
    pub fn written(&self) -> &WrittenUsage {
        &self.written
    }
}

#[async_trait]
impl UsageLog for PgUsageLog {
    async fn record(&self, events: Vec<UsageEvent>) -> Result<Vec<Recorded>, NotRecorded> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        // More at once than there is room for gets in when nothing else waits.
        let many = u32::try_from(events.len()).unwrap_or(QUEUE).min(QUEUE);
        let room = Arc::clone(&self.room).try_acquire_many_owned(many);
        let busy = |_full| NotRecorded::Busy(RetryAfter(Duration::from_secs(1)));
        let (answer, answered) = oneshot::channel();
        let submission = Submission { events, answer, _room: room.map_err(busy)? };
        let closed = || StoreError::Unavailable(Box::new(Closed));
        if self.queue.send(submission).is_err() {
            return Err(closed().into());
        }
        Ok(answered.await.unwrap_or_else(|_dropped| Err(closed()))?)
    }
}

/// The tasks behind a [`PgUsageLog`]. When this is dropped they write what they have, like [`UsageWriters::close`], but nobody
/// waits for them.
#[derive(Debug)]
#[must_use = "the log takes nothing more once this is dropped"]
pub struct UsageWriters {
    stop: watch::Sender<()>,
    tasks: Vec<JoinHandle<()>>,
}

impl UsageWriters {
    /// Takes no more events, writes those that were handed over before, answers, and ends. The caller decides how long to wait.
    pub async fn close(self) {
        drop(self.stop);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(error = &error as &dyn std::error::Error, "a writer of usage failed");
            }
        }
    }
}

/// What one caller handed over. Its room is given back when it is answered.
#[derive(Debug)]
struct Submission {
    events: Vec<UsageEvent>,
    answer: oneshot::Sender<Result<Vec<Recorded>, StoreError>>,
    _room: OwnedSemaphorePermit,
}

/// What became of an event. Several may have one failure in common.
type Outcome = Result<Recorded, Arc<StoreError>>;

/// A statement that is under way, until it is back or its writer has failed.
struct UnderWay<'a>(&'a watch::Sender<usize>);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|statements| *statements -= 1);
    }
}

#[derive(Clone)]
struct Writer {
    database: Database,
    waiting: Arc<Mutex<UnboundedReceiver<Submission>>>,
    stopped: watch::Receiver<()>,
    /// How many statements are under way. Only who holds what waits begins another.
    under_way: Arc<watch::Sender<usize>>,
    written: Arc<WrittenUsage>,
}

impl Writer {
    async fn run(mut self) {
        loop {
            let taken = self.take().await;
            if taken.is_empty() {
                return;
            }
            let events: Vec<_> = taken.iter().flat_map(|submission| &submission.events).collect();
            let under_way = UnderWay(&self.under_way);
            let outcomes = self.write(&events).await;
            drop(under_way);
            let away = outcomes.iter().find_map(unavailable);
            answer(taken, outcomes);
            if let Some(error) = away {
                self.turn_away(&error);
            }
        }
    }

    /// Tells those who wait what those were told whom they waited for. They have waited nearly as long, and if they were tried next
    /// they would be told after twice the time.
    fn turn_away(&self, error: &Arc<StoreError>) {
        // Whoever holds it takes what waits.
        let Ok(mut waiting) = self.waiting.try_lock() else { return };
        while let Ok(submission) = waiting.try_recv() {
            let _has_gone = submission.answer.send(Err(Shared::tell(Arc::clone(error))));
        }
    }

    /// Awaits a caller and takes those that wait behind it for the next statement; none when all is done.
    async fn take(&mut self) -> Vec<Submission> {
        let mut waiting = self.waiting.lock().await;
        let first = loop {
            tokio::select! {
                first = waiting.recv() => break first,
                // Only the end of the sender is ever told.
                _ = self.stopped.changed(), if !waiting.is_closed() => waiting.close(),
            }
        };
        let mut taken: Vec<_> = first.into_iter().collect();
        if taken.is_empty() {
            return taken;
        }
        let before = *self.under_way.borrow();
        let mut under_way = self.under_way.subscribe();
        let late = sleep(PATIENCE);
        tokio::pin!(late);
        let mut events = taken.iter().map(|submission| submission.events.len()).sum::<usize>();
        while events < TOGETHER {
            let next = match waiting.try_recv() {
                Ok(next) => Some(next),
                Err(_none) if events >= CROWD || before == 0 => None,
                Err(_none) => tokio::select! {
                    next = waiting.recv() => next,
                    // One came back: this one takes its place.
                    _ = under_way.wait_for(|statements| *statements < before) => None,
                    () = &mut late => None,
                },
            };
            let Some(next) = next else { break };
            events += next.events.len();
            taken.push(next);
        }
        self.under_way.send_modify(|statements| *statements += 1);
        taken
    }

    /// Writes events together, and in halves what the database refuses, until what it refuses is alone. Once it can't be reached
    /// nothing more is tried.
    async fn write(&self, events: &[&UsageEvent]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(events.len());
        let mut left = vec![events];
        let mut given_up: Option<Arc<StoreError>> = None;
        // Whether the next one was refused alone before.
        let mut alone = false;
        while let Some(part) = left.pop() {
            if let Some(error) = &given_up {
                outcomes.extend(part.iter().map(|_| Err(Arc::clone(error))));
                continue;
            }
            match self.insert_again(part).await {
                Ok(judged) => outcomes.extend(judged.into_iter().map(|one| one.map_err(Arc::new))),
                Err(StoreError::Conflict(_)) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    left.extend([second, first]);
                }
                // An account that was deleted under the first try is unknown to the second.
                Err(StoreError::Conflict(_)) if !alone => {
                    alone = true;
                    left.push(part);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        lost = part.len(),
                        "usage could not be written"
                    );
                    let spares_others = matches!(error, StoreError::Conflict(_));
                    let error = Arc::new(error);
                    outcomes.extend(part.iter().map(|_| Err(Arc::clone(&error))));
                    given_up = (!spares_others).then_some(error);
                }
            }
            alone = false;
        }
        outcomes
    }

    /// Tries again what the database has undone: two of us never wait for each other, but others delete accounts.
    async fn insert_again(
        &self,
        events: &[&UsageEvent],
    ) -> Result<Vec<Result<Recorded, StoreError>>, StoreError> {
        for _ in 1..TRIES {
            match self.insert(events).await {
                Err(StoreError::Again(_)) => {}
                done => return done,
            }
        }
        self.insert(events).await
    }

    async fn insert(&self, events: &[&UsageEvent]) -> Result<Vec<Result<Recorded, StoreError>>, StoreError> {
        let batch = Batch::of(events.iter().copied());
        let began = Instant::now();
        let written = repeatable!(self.database, connection => batch.write(connection));
        self.written.took.observe(began.elapsed());
        let written = written?;
        self.written.events.add(events.len());
        if !written.leaves_questions() {
            return Ok(written.judge(events, Ok(Vec::new())));
        }
        let earlier = repeatable!(self.database, connection => batch.earlier(&written, connection));
        // What was written stays written: only those are told of a failure who asked about something else.
        Ok(written.judge(events, earlier))
    }
}

/// Why an event was not written, if that was because the database could not be asked.
fn unavailable(outcome: &Outcome) -> Option<Arc<StoreError>> {
    outcome.as_ref().err().filter(|error| matches!(***error, StoreError::Unavailable(_))).cloned()
}

/// Gives each caller what became of its own, or why one of them was not written.
fn answer(taken: Vec<Submission>, outcomes: Vec<Outcome>) {
    let mut outcomes = outcomes.into_iter();
    for submission in taken {
        let own: Vec<_> = outcomes.by_ref().take(submission.events.len()).collect();
        let own = own.into_iter().collect::<Result<Vec<_>, _>>().map_err(Shared::tell);
        // A caller that has gone sends again under its keys.
        let _has_gone = submission.answer.send(own);
    }
}
