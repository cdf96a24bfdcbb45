use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use subtle_domain::ports::{Clock, StoreError};
use subtle_metrics::Counter;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::sealer::{PgAuditSealer, Unsealable};

/// How long the last seal may take.
const LAST_SEAL: Duration = Duration::from_secs(2);

/// The task that seals the audit trail as it grows. When this is dropped the task seals once more, like
/// [`AuditSealing::close`], but nobody waits for it.
#[derive(Debug)]
#[must_use = "nothing is sealed any more once this is dropped"]
pub struct AuditSealing {
    status: Arc<SealingStatus>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// How sealing goes at this server.
#[derive(Debug, Default)]
pub struct SealingStatus {
    /// The rows that it has sealed.
    pub sealed: Counter,
    /// How often it could not ask the database.
    pub failures: Counter,
    halted: AtomicBool,
}

impl SealingStatus {
    /// Whether the trail is not sealed any more until somebody has looked: [`Unsealable`] says why.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    fn note(&self, outcome: &Sealed) {
        match outcome {
            Ok(sealed) => {
                self.sealed.add(*sealed.as_ref().unwrap_or(&0));
                self.halted.store(sealed.is_err(), Ordering::Relaxed);
            }
            Err(_) => self.failures.count(),
        }
    }
}

/// What became of an attempt.
type Sealed = Result<Result<usize, Unsealable>, StoreError>;

impl AuditSealing {
    /// Seals every so often. Must be called inside a Tokio runtime.
    pub fn start(sealer: PgAuditSealer, clock: Arc<dyn Clock>, every: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        let status = Arc::new(SealingStatus::default());
        let task = tokio::spawn(run(sealer, clock, every, stopped, Arc::clone(&status)));
        Self { status, stop, task }
    }

    /// How it goes, to be asked at any time.
    #[must_use]
    pub fn status(&self) -> Arc<SealingStatus> {
        Arc::clone(&self.status)
    }

    /// Seals once more and ends, within two seconds or so. What is left then the next server seals.
    pub async fn close(self) {
        let _has_ended = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(error = &error as &dyn std::error::Error, "sealing the audit trail failed");
        }
    }
}

async fn run(
    mut sealer: PgAuditSealer,
    clock: Arc<dyn Clock>,
    every: Duration,
    mut stopped: oneshot::Receiver<()>,
    status: Arc<SealingStatus>,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = Trouble::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut stopped => break,
        }
        tokio::select! {
            outcome = sealer.seal(clock.now()) => {
                status.note(&outcome);
                trouble.note(&outcome);
            }
            // What is dropped here is rolled back.
            _ = &mut stopped => break,
        }
    }
    if let Ok(outcome) = timeout(LAST_SEAL, sealer.seal(clock.now())).await {
        trouble.note(&outcome);
    } else {
        tracing::warn!("the end of the audit trail could not be sealed in time; the next server does it");
    }
}

/// How long a failure that stays the same is not told again.
const TOLD_AGAIN: u32 = 150;

/// What keeps the sealer from its work, told when it begins, now and then while it lasts, and when it is over.
#[derive(Default)]
struct Trouble(u32);

impl Trouble {
    fn note(&mut self, outcome: &Sealed) {
        let is_new = self.0.is_multiple_of(TOLD_AGAIN);
        match outcome {
            Ok(Ok(_)) => {
                if std::mem::take(&mut self.0) > 0 {
                    tracing::info!("the audit trail is being sealed again");
                }
                return;
            }
            Ok(Err(why)) if is_new => {
                let error = why as &dyn std::error::Error;
                tracing::error!(error, "nothing is sealed any more: run `subtle audit verify`");
            }
            Err(error) if is_new => {
                let error = error as &dyn std::error::Error;
                tracing::warn!(error, "the audit trail cannot be sealed; trying again");
            }
            Ok(Err(_)) | Err(_) => {}
        }
        self.0 = self.0.saturating_add(1);
    }
}
