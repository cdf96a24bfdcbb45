use async_trait::async_trait;

use super::StoreError;

/// Whether the store answers.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Health: Send + Sync {
    /// Asks the store the least that can be asked.
    async fn ping(&self) -> Result<(), StoreError>;
}
