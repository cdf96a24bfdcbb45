use async_trait::async_trait;

use super::StoreError;
use crate::Timestamp;
use crate::activity::{ActivityCursor, ActivityEntry, ActivitySummary, RecordedActivity};
use crate::audit::AuditEntry;
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

/// The audit trail, inside a unit of work: a privileged change and its entry commit together.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AuditLog: Send {
    /// Appends an entry.
    async fn append(&mut self, entry: &AuditEntry) -> Result<(), StoreError>;
}
