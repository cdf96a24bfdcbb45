//! Passwords by bcrypt, on threads of their own behind a bounded queue.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use subtle_domain::password::{Password, PasswordAttempt, PasswordHash};
use subtle_domain::ports::{HasherBusy, PasswordHasher};
use subtle_domain::throttle::RetryAfter;
use subtle_metrics::Histogram;
use tracing::Instrument as _;

mod outcome;
mod rounds;
mod workers;

use crate::foreground::Foreground;
use rounds::Bcrypt;
use workers::{Full, Workers};

/// What is opened with this target is exported if traces are, and never logged.
const TRACES: &str = "traces";

/// How much work a hash is, and how many are worked on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HasherSettings {
    /// bcrypt's cost, 4 to 31: each step doubles the work.
    pub cost: u32,
    /// Threads that hash.
    pub threads: NonZeroUsize,
    /// Most passwords that may wait for a thread.
    pub queue: usize,
}

impl HasherSettings {
    /// Passwords that may wait for each thread, unless told otherwise: under 2 s of waiting at cost 10.
    const QUEUE_PER_THREAD: usize = 32;

    /// A thread for each processor, and a queue that they clear within seconds.
    #[must_use]
    pub fn of_cost(cost: u32) -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { cost, threads, queue: threads.get() * Self::QUEUE_PER_THREAD }
    }
}

/// Why there can be no hasher.
#[derive(Debug, thiserror::Error)]
pub enum UnfitHasher {
    /// bcrypt has no such cost.
    #[error("bcrypt's cost must be 4 to 31, not {0}")]
    Cost(u32),
    /// The system gave no threads.
    #[error("no threads for hashing passwords could be started")]
    Threads(#[source] std::io::Error),
}

/// Hashes and verifies passwords by bcrypt: `$2b$` out; `$2a$`, `$2b$` and `$2y$` verify.
///
/// Nothing runs on the caller's thread. When as many wait as may, the next is refused at once; a caller that goes away gives
/// its place up. The threads end when the hasher is dropped.
pub struct BcryptHasher {
    bcrypt: Arc<Bcrypt>,
    workers: Workers,
}

impl BcryptHasher {
    /// Starts the threads, which make room for the foreground while it is busy.
    pub fn new(settings: HasherSettings, foreground: Foreground) -> Result<Self, UnfitHasher> {
        let bcrypt = Bcrypt::new(settings.cost, foreground).ok_or(UnfitHasher::Cost(settings.cost))?;
        let expected = bcrypt.expected_time();
        let workers =
            Workers::start(settings.threads, settings.queue, expected).map_err(UnfitHasher::Threads)?;
        Ok(Self { bcrypt: Arc::new(bcrypt), workers })
    }

    /// Passwords that wait for a thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.workers.waiting()
    }

    /// Passwords that are being worked on.
    #[must_use]
    pub fn running(&self) -> usize {
        self.workers.running()
    }

    /// Threads that work on passwords.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.workers.threads()
    }

    /// Passwords that were refused because too many waited, since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.workers.refused()
    }

    /// How long passwords were worked on, without their wait.
    #[must_use]
    pub fn took(&self) -> &Histogram {
        self.workers.took()
    }

    /// bcrypt's rounds since the start, 2^cost for each computation: where the processors' time went.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.bcrypt.rounds()
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Bcrypt) -> T + Send + 'static,
    ) -> Result<T, HasherBusy> {
        let bcrypt = Arc::clone(&self.bcrypt);
        let answer =
            self.workers.submit(move || work(&bcrypt)).map_err(|Full { drained_in }| busy(drained_in))?;
        let span = tracing::debug_span!(target: TRACES, "bcrypt");
        // No answer: the work panicked, which its thread has logged.
        answer.instrument(span).await.or(Err(busy(Duration::ZERO)))
    }
}

fn busy(wait: Duration) -> HasherBusy {
    HasherBusy { retry_after: RetryAfter(wait) }
}

#[async_trait]
impl PasswordHasher for BcryptHasher {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HasherBusy> {
        let password = password.clone();
        self.run(move |bcrypt| bcrypt.hash(&password)).await?.ok_or(busy(Duration::ZERO))
    }

    async fn verify(&self, attempt: &PasswordAttempt, hash: &PasswordHash) -> Result<bool, HasherBusy> {
        let (attempt, hash) = (attempt.clone(), hash.clone());
        self.run(move |bcrypt| bcrypt.verify(&attempt, &hash)).await
    }

    async fn verify_nothing(&self, attempt: &PasswordAttempt) -> Result<(), HasherBusy> {
        let attempt = attempt.clone();
        self.run(move |bcrypt| bcrypt.verify_nothing(&attempt)).await
    }

    fn is_outdated(&self, hash: &PasswordHash) -> bool {
        hash.cost().is_some_and(|cost| cost < self.bcrypt.cost())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(cost: u32, threads: usize, queue: usize) -> BcryptHasher {
        let threads = NonZeroUsize::new(threads).unwrap();
        BcryptHasher::new(HasherSettings { cost, threads, queue }, Foreground::default()).unwrap()
    }

    #[tokio::test]
    async fn a_password_verifies_against_its_hash_and_another_does_not() {
        let hasher = hasher(4, 2, 8);
        let hash = hasher.hash(&Password::parse("tr0ub4d8").unwrap()).await.unwrap();
        assert!(hasher.verify(&PasswordAttempt::new("tr0ub4d8"), &hash).await.unwrap());
        assert!(!hasher.verify(&PasswordAttempt::new("tr0ub4d9"), &hash).await.unwrap());
        hasher.verify_nothing(&PasswordAttempt::new("tr0ub4d8")).await.unwrap();
    }

    #[tokio::test]
    async fn only_a_hash_of_a_lower_cost_is_outdated() {
        let hash = hasher(5, 1, 1).hash(&Password::parse("tr0ub4d8").unwrap()).await.unwrap();
        for (cost, outdated) in [(4, false), (5, false), (6, true)] {
            assert_eq!(hasher(cost, 1, 1).is_outdated(&hash), outdated, "{cost}");
        }
        assert!(!hasher(6, 1, 1).is_outdated(&PasswordHash::tombstone()));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_takes_more_when_it_is_cleared() {
        let hasher = hasher(4, 1, 0);
        let (release, held) = hasher.workers.hold();
        let attempt = PasswordAttempt::new("tr0ub4d8");
        let refused = hasher.verify_nothing(&attempt).await.unwrap_err();
        assert!((1..=2).contains(&refused.retry_after.seconds()), "{refused:?}");
        assert_eq!((hasher.waiting(), hasher.rounds(), hasher.refused()), (0, 0, 1));
        drop(release);
        held.await.unwrap();
        while hasher.running() > 0 {
            tokio::task::yield_now().await;
        }
        hasher.verify_nothing(&attempt).await.unwrap();
        assert_eq!((hasher.threads(), hasher.refused()), (1, 1));
    }

    #[tokio::test]
    async fn what_was_worked_on_is_timed() {
        let hasher = hasher(4, 1, 1);
        hasher.hash(&Password::parse("tr0ub4d8").unwrap()).await.unwrap();
        hasher.verify_nothing(&PasswordAttempt::new("tr0ub4d8")).await.unwrap();
        while hasher.running() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hasher.took().count(), 2);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_is_not_worked_for() {
        let hasher = hasher(4, 1, 1);
        let (release, held) = hasher.workers.hold();
        let attempt = PasswordAttempt::new("tr0ub4d8");
        tokio::select! {
            biased;
            _ = hasher.verify_nothing(&attempt) => unreachable!("the only thread is held"),
            () = std::future::ready(()) => assert_eq!(hasher.waiting(), 1),
        }
        drop(release);
        held.await.unwrap();
        hasher.verify_nothing(&attempt).await.unwrap();
        assert_eq!(hasher.rounds(), 1 << 4);
    }

    #[test]
    fn a_cost_that_bcrypt_does_not_have_is_refused() {
        for cost in [0, 3, 32, u32::MAX] {
            let refused =
                BcryptHasher::new(HasherSettings::of_cost(cost), Foreground::default()).err().unwrap();
            assert_eq!(refused.to_string(), format!("bcrypt's cost must be 4 to 31, not {cost}"));
        }
    }
}
