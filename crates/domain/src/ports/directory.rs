use async_trait::async_trait;

use super::StoreError;
use crate::Timestamp;
use crate::directory::{UserPage, UserQuery, UserRow, UserStats};
use crate::ids::UserId;

/// Reading over all accounts, for administrators.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Directory: Send + Sync {
    /// A page of the list of accounts; erased ones are not in it.
    async fn page(&self, query: &UserQuery) -> Result<UserPage, StoreError>;
    /// One account with its counts; an erased one is not found.
    async fn row(&self, id: &UserId) -> Result<Option<UserRow>, StoreError>;
    /// The figures over all accounts, as of `now`.
    async fn stats(&self, now: Timestamp) -> Result<UserStats, StoreError>;
}
