use async_trait::async_trait;

use crate::password::{Password, PasswordAttempt, PasswordHash};
use crate::throttle::RetryAfter;

/// More passwords wait to be hashed than the hasher takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are waiting to be hashed")]
pub struct HasherBusy {
    /// When to come back.
    pub retry_after: RetryAfter,
}

/// Slow hashing, away from the threads that serve requests.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Hashes a password at the configured cost.
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HasherBusy>;
    /// Whether the attempt is the password of `hash`.
    async fn verify(&self, attempt: &PasswordAttempt, hash: &PasswordHash) -> Result<bool, HasherBusy>;
    /// Takes as long as [`PasswordHasher::verify`] against a hash of the configured cost: for addresses without an account.
    async fn verify_nothing(&self, attempt: &PasswordAttempt) -> Result<(), HasherBusy>;
    /// Whether `hash` was made at a lower cost than configured.
    fn is_outdated(&self, hash: &PasswordHash) -> bool;
}
