use async_trait::async_trait;

use super::StoreError;
use crate::Timestamp;
use crate::throttle::{Rate, RetryAfter};

/// Counts what may be done so often and no more, exactly and over all replicas: guesses, letters. What is counted under one key need not
/// exist.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Throttle: Send + Sync {
    /// Takes one from `key` before it is done, or says when the next may be.
    async fn take(
        &self,
        key: &str,
        rate: &Rate,
        now: Timestamp,
    ) -> Result<Result<(), RetryAfter>, StoreError>;
    /// Forgets what was taken: somebody knew the password, say.
    async fn clear(&self, key: &str) -> Result<(), StoreError>;
}

/// The same inside a unit of work: what is undone has taken nothing.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ThrottleRepository: Send {
    /// Takes one from `key`; `false` if the rate allows no more now.
    async fn take(&mut self, key: &str, rate: &Rate, now: Timestamp) -> Result<bool, StoreError>;
}
