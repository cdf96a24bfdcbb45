use async_trait::async_trait;

use super::StoreError;
use crate::Timestamp;
use crate::inspection::DatabaseReport;

/// Whether the store answers.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Health: Send + Sync {
    /// Asks the store the least that can be asked.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// What the store tells of itself.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Inspection: Send + Sync {
    /// A look at it, at `now` by our clock.
    async fn look(&self, now: Timestamp) -> Result<DatabaseReport, StoreError>;
}
