use async_trait::async_trait;

use super::StoreError;
use crate::Timestamp;
use crate::activity::{ActivityCursor, ActivityEntry, ActivitySummary, RecordedActivity};
use crate::audit::{AuditCursor, AuditEntry, AuditQuery, AuditRow};
use crate::ids::{ActivityId, UserId};
use crate::text::Label;
use crate::timeline::{TimelineCursor, TimelineEntry};

/// The activity timeline. Writing never makes a request wait.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait ActivityLog: Send + Sync {
    /// Hands an entry over, to be written with others within moments. Those of erased accounts are dropped.
    fn record(&self, entry: ActivityEntry);
}

/// Something that another program tells of what happened on an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedActivity {
    /// Of the row that it becomes.
    pub id: ActivityId,
    /// On whose account.
    pub user_id: UserId,
    /// What happened.
    pub action: Label,
    /// A JSON document about it.
    pub data: Option<String>,
    /// When it was told.
    pub at: Timestamp,
}

/// Reading and writing people's activity timelines.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Timelines: Send + Sync {
    /// Writes what other programs tell, all of it in one statement: for each whether there is such an account.
    async fn report(&self, reported: &[ReportedActivity]) -> Result<Vec<bool>, StoreError>;
    /// All that is known about one person, newest first: at most `limit` entries behind `after`.
    async fn person(
        &self,
        user: &UserId,
        after: Option<TimelineCursor>,
        limit: u32,
    ) -> Result<Vec<TimelineEntry>, StoreError>;
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

/// Reading in the audit trail.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// Rows, newest first: at most `limit`, behind `after`.
    async fn rows(
        &self,
        query: &AuditQuery,
        after: Option<AuditCursor>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError>;
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
