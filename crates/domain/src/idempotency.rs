//! Repeated requests: what was done once under a key is not done again, and answered as the first time.

use crate::Timestamp;
use crate::text::IdempotencyKey;

/// A request under a key (the header `Idempotency-Key`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeatable {
    /// The key that the caller chose.
    pub key: IdempotencyKey,
    /// SHA-256 of what is asked: route and body.
    pub fingerprint: [u8; 32],
}

/// A key that is about to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose key it is: each caller has their own.
    pub caller: String,
    /// The request.
    pub request: Repeatable,
    /// When.
    pub at: Timestamp,
}

/// What is known under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Nothing yet: it is the caller's, until the unit of work ends.
    First,
    /// The same was asked before, and this was answered.
    Answered(String),
    /// Something else was asked under the key.
    Taken,
}
