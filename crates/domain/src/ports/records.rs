use async_trait::async_trait;

use super::StoreError;
use crate::Timestamp;
use crate::activity::{ActivityCursor, ActivityEntry, ActivitySummary, RecordedActivity, ReportedActivity};
use crate::audit::{AuditCursor, AuditEntry, AuditQuery, AuditedAct, RecordedAudit};
use crate::ids::UserId;

/// The activity timeline. Writing never makes a request wait.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait ActivityLog: Send + Sync {
    /// Hands an entry over, to be written with others within moments. Those of erased accounts are dropped.
    fn record(&self, entry: ActivityEntry);
}

/// Reading in a person's activity timeline.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Timelines: Send + Sync {
    /// Rows, newest first: at most `limit`, behind `after`.
    async fn activity(
        &self,
        user: &UserId,
        after: Option<ActivityCursor>,
        limit: u32,
    ) -> Result<Vec<RecordedActivity>, StoreError>;
    /// The figures, as of `now`.
    async fn summary(&self, user: &UserId, now: Timestamp) -> Result<ActivitySummary, StoreError>;
}

/// The activity timeline inside a unit of work: what other programs tell.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ActivityRepository: Send {
    /// Writes what is told of accounts that are there and not erased; for each, in their order, whether it was written.
    async fn report(&mut self, reported: &[ReportedActivity]) -> Result<Vec<bool>, StoreError>;
}

/// Reading in the audit trail.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// Rows, newest first: at most `limit`, behind `after`.
    async fn page(
        &self,
        query: &AuditQuery,
        after: Option<AuditCursor>,
        limit: u32,
    ) -> Result<Vec<RecordedAudit>, StoreError>;
    /// What was done to a person, newest first: at most `limit`, behind `after`.
    async fn acts_on(
        &self,
        user: &UserId,
        after: Option<AuditCursor>,
        limit: u32,
    ) -> Result<Vec<AuditedAct>, StoreError>;
}

/// Proves that rows of the audit trail, and the seals over them, are the server's own.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait AuditProof: Send + Sync {
    /// The MAC of a row, by the newest secret.
    fn mac(&self, row: &[u8]) -> Vec<u8>;
    /// Whether a row's MAC is ours, by any of the secrets.
    fn is_mac(&self, row: &[u8], mac: &[u8]) -> bool;
    /// SHA-256 of some bytes.
    fn hash(&self, bytes: &[u8]) -> Vec<u8>;
    /// A signature, by the newest secret.
    fn sign(&self, seal: &[u8]) -> Vec<u8>;
    /// Whether a signature is ours, by any of the secrets.
    fn is_signature(&self, seal: &[u8], signature: &[u8]) -> bool;
}

/// The audit trail, inside a unit of work: a privileged change and its entry commit together.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AuditLog: Send {
    /// Appends an entry.
    async fn append(&mut self, entry: &AuditEntry) -> Result<(), StoreError>;
}
