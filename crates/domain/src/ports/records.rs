use async_trait::async_trait;

use super::StoreError;
use crate::activity::ActivityEntry;
use crate::audit::AuditEntry;

/// The activity timeline. Writing never makes a request wait.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait ActivityLog: Send + Sync {
    /// Hands an entry over, to be written with others within moments. Those of erased accounts are dropped.
    fn record(&self, entry: ActivityEntry);
}

/// The audit trail, inside a unit of work: a privileged change and its entry commit together.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AuditLog: Send {
    /// Appends an entry.
    async fn append(&mut self, entry: &AuditEntry) -> Result<(), StoreError>;
}
