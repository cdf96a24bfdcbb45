use async_trait::async_trait;

use super::StoreError;
use crate::Timestamp;
use crate::throttle::{Rate, RetryAfter};

/// Counts guesses at one account's password, exactly and over all replicas.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait GuessLimiter: Send + Sync {
    /// Takes one guess at `account` before it is evaluated, or says when the next may be made. `account` need not exist.
    async fn take(
        &self,
        account: &str,
        rate: &Rate,
        now: Timestamp,
    ) -> Result<Result<(), RetryAfter>, StoreError>;
    /// Forgets the guesses at `account`: somebody knew the password.
    async fn clear(&self, account: &str) -> Result<(), StoreError>;
}
