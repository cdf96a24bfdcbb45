//! Threads for slow work, fed by a bounded queue.

use std::collections::VecDeque;
use std::io;
#[cfg(target_os = "linux")]
use std::num::NonZeroU64;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use subtle_metrics::{Counter, Histogram};
use tokio::sync::oneshot;

/// As many wait as may.
#[derive(Debug)]
pub(super) struct Full {
    /// About how long it takes until all of them are done.
    pub(super) drained_in: Duration,
}

/// Threads that take work from one queue. They end when this is dropped; what still waits then is dropped with it.
pub(super) struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    took: Histogram,
    refused: Counter,
}

struct State {
    waiting: VecDeque<Box<dyn Job>>,
    running: usize,
    /// Most that may wait or run.
    most: usize,
    threads: u32,
    /// What a job takes: a moving average over the last few.
    mean: Duration,
    closed: bool,
}

trait Job: Send {
    fn is_wanted(&self) -> bool;
    fn run(self: Box<Self>);
}

struct Task<T, W> {
    work: W,
    answer: oneshot::Sender<T>,
}

impl<T: Send, W: FnOnce() -> T + Send> Job for Task<T, W> {
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn run(self: Box<Self>) {
        let Self { work, answer } = *self;
        // A caller that has gone meanwhile needs no answer.
        let _ = answer.send(work());
    }
}

impl Workers {
    /// Starts the threads. Beside what they work on, `queue` jobs may wait. A job is `expected` to take so long.
    pub(super) fn start(threads: NonZeroUsize, queue: usize, expected: Duration) -> io::Result<Self> {
        let state = State {
            waiting: VecDeque::new(),
            running: 0,
            most: threads.get().saturating_add(queue),
            threads: u32::try_from(threads.get()).unwrap_or(u32::MAX),
            mean: expected,
            closed: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            took: Histogram::new(Histogram::ANSWERS),
            refused: Counter::default(),
        });
        let mut workers = Self { shared, threads: Vec::new() };
        for number in 0..threads.get() {
            let shared = Arc::clone(&workers.shared);
            let thread = Builder::new().name(format!("password-{number}")).spawn(move || {
                step_back();
                shared.serve();
            })?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Queues work. The receiver fails if the work panics. Dropping it takes the work back, unless it has begun.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Full> {
        let (answer, receiver) = oneshot::channel();
        let mut state = self.shared.lock();
        if state.is_full() {
            state.waiting.retain(|job| job.is_wanted());
        }
        if state.is_full() {
            self.shared.refused.count();
            return Err(Full { drained_in: state.drained_in() });
        }
        state.waiting.push_back(Box::new(Task { work, answer }));
        drop(state);
        self.shared.changed.notify_one();
        Ok(receiver)
    }

    pub(super) fn waiting(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    pub(super) fn running(&self) -> usize {
        self.shared.lock().running
    }

    pub(super) fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Jobs that found no room.
    pub(super) fn refused(&self) -> u64 {
        self.shared.refused.get()
    }

    /// How long jobs took, without their wait.
    pub(super) fn took(&self) -> &Histogram {
        &self.shared.took
    }
}

/// Lets the calling thread's work wait for that of the threads that serve requests, where both want the processor. Linux keeps a
/// priority per thread; that the system refuses one is no reason not to hash.
fn step_back() {
    #[cfg(target_os = "linux")]
    {
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "the threads for passwords run at everybody's priority");
        }
        // Linux lets a thread sleep for up to 50 µs longer than it asked for, which is half a rest.
        if let Err(error) = rustix::thread::set_current_timer_slack(Some(NonZeroU64::MIN)) {
            tracing::debug!(%error, "the threads for passwords rest longer than they need to");
        }
    }
}

/// The niceness of the threads: a thirtieth of another thread's share, all of an idle processor.
#[cfg(target_os = "linux")]
const NICE: i32 = 15;

impl Drop for Workers {
    /// Does not wait for the threads: each ends after what it works on.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.waiting.clear();
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        while let Some(job) = self.next() {
            let began = Instant::now();
            // A job owns all it works on: whatever it leaves half done goes with it.
            if catch_unwind(AssertUnwindSafe(|| job.run())).is_err() {
                tracing::error!("work on a password panicked");
            }
            let took = began.elapsed();
            self.took.observe(took);
            self.lock().finish(took);
        }
    }

    /// Waits for a job that somebody still wants; `None` when there will be no more.
    fn next(&self) -> Option<Box<dyn Job>> {
        let mut state = self.lock();
        while !state.closed {
            match state.waiting.pop_front() {
                Some(job) if job.is_wanted() => {
                    state.running += 1;
                    return Some(job);
                }
                Some(_unwanted) => {}
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
        None
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.waiting.len() + self.running >= self.most
    }

    fn drained_in(&self) -> Duration {
        let jobs = u32::try_from(self.waiting.len() + self.running).unwrap_or(u32::MAX);
        self.mean.saturating_mul(jobs) / self.threads.max(1)
    }

    fn finish(&mut self, took: Duration) {
        self.running -= 1;
        self.mean = (self.mean.saturating_mul(7).saturating_add(took)) / 8;
    }
}

#[cfg(test)]
mod tests;
