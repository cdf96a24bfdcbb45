use async_trait::async_trait;

use super::StoreError;
use crate::idempotency::{Claim, Claimed};

/// Keys of repeated requests inside a unit of work: a key commits with the effect.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait IdempotencyKeys: Send {
    /// Takes a key for its caller, or tells what is known under it. Waits while another unit of work has it.
    async fn claim(&mut self, claim: &Claim) -> Result<Claimed, StoreError>;
    /// Keeps the answer to a request whose key was claimed in this unit of work.
    async fn keep(&mut self, claim: &Claim, answer: &str) -> Result<(), StoreError>;
}
