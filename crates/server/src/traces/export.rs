//! The task that sends spans, a batch at a time. While the collector is away it waits, and the queue in front of it fills: no more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::endpoint::{Endpoint, PostError};
use super::span::{self, Span};
use super::{Outcomes, Traces};

/// How long a span waits for others.
const GATHER_FOR: Duration = Duration::from_secs(1);
/// How many spans are sent together: some hundred kilobytes.
const TOGETHER: usize = 512;
/// How long the collector may take for them.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is asked to take the same.
const TRIES: u32 = 3;
/// The first pause after it did not, doubled each time…
const PAUSE: Duration = Duration::from_secs(1);
/// …up to this. If the collector asks for another one it is between these.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the end of the process waits for the last ones.
const LAST: Duration = Duration::from_secs(2);

/// The task that sends spans. Dropped, it ends.
#[must_use = "no trace is sent any more once this is dropped"]
pub(crate) struct Exporting {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Exporting {
    /// Must be called inside a Tokio runtime.
    pub(crate) fn start(traces: Traces) -> Self {
        let Traces { endpoint, finished, outcomes } = traces;
        let (stop, stopping) = watch::channel(false);
        tracing::info!(%endpoint, "traces are sent");
        let exporter =
            Exporter { endpoint, finished, outcomes, stopping, batch: Vec::new(), tries: 0, failures: 0 };
        Self { stop, task: tokio::spawn(exporter.run()) }
    }

    /// Sends what there is and ends, within two seconds.
    pub(crate) async fn close(mut self) {
        self.stop.send_replace(true);
        if timeout(LAST, &mut self.task).await.is_err() {
            self.task.abort();
            tracing::warn!("the last traces could not be sent in time");
        }
    }
}

struct Exporter {
    endpoint: Endpoint,
    finished: Receiver<Span>,
    outcomes: Arc<Outcomes>,
    stopping: watch::Receiver<bool>,
    /// What is sent next.
    batch: Vec<Span>,
    /// How often that was tried.
    tries: u32,
    /// How often in a row nothing was taken.
    failures: u32,
}

impl Exporter {
    async fn run(mut self) {
        loop {
            if self.batch.is_empty() {
                self.gather().await;
            }
            if self.batch.is_empty() {
                return;
            }
            let is_last = *self.stopping.borrow();
            let sending = timeout(PATIENCE, self.endpoint.post(&span::body(&self.batch))).await;
            let Err(error) = sending.unwrap_or(Err(PostError::Mute)) else {
                self.taken();
                continue;
            };
            let pause = self.not_taken(&error);
            if is_last {
                return;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = stopped(&mut self.stopping) => {}
            }
        }
    }

    /// Waits for spans, and for some time for more. Without any, it is time to end.
    async fn gather(&mut self) {
        let Self { finished, batch, stopping, .. } = self;
        let gathering = async {
            finished.recv_many(batch, TOGETHER).await;
            let until = Instant::now() + GATHER_FOR;
            while batch.len() < TOGETHER
                && timeout_at(until, finished.recv_many(batch, TOGETHER - batch.len()))
                    .await
                    .is_ok_and(|more| more > 0)
            {}
        };
        tokio::select! {
            biased;
            () = stopped(stopping) => {}
            () = gathering => return,
        }
        while batch.len() < TOGETHER
            && let Ok(span) = finished.try_recv()
        {
            batch.push(span);
        }
    }

    fn taken(&mut self) {
        self.outcomes.exported.add(self.batch.len());
        self.batch.clear();
        self.tries = 0;
        if std::mem::take(&mut self.failures) > 0 {
            tracing::info!("traces are sent again");
        }
    }

    /// What follows from a refusal: how long to wait before anything is sent again.
    fn not_taken(&mut self, error: &PostError) -> Duration {
        if self.failures == 0 {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, endpoint = %self.endpoint, "traces cannot be sent; they are dropped until they can");
        }
        let pause = PAUSE.saturating_mul(1 << self.failures.min(5));
        self.failures = self.failures.saturating_add(1);
        self.tries += 1;
        if !error.may_pass() || self.tries >= TRIES {
            self.outcomes.failed.add(self.batch.len());
            self.batch.clear();
            self.tries = 0;
        }
        error.retry_after().unwrap_or(pause).clamp(PAUSE, LONGEST_PAUSE)
    }
}

/// Waits until it is time to end; it also is when nobody is left who could say so.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _told_or_gone = stopping.wait_for(|is_stopping| *is_stopping).await;
}
