use subtle_domain::directory::{UserPage, UserQuery, UserRow, UserStats};
use subtle_domain::ids::UserId;
use subtle_domain::ports::StoreError;

use super::Privileged;
use crate::Ports;

/// Shows a page of the list of accounts.
pub async fn list_users(ports: &Ports, _by: &Privileged, query: &UserQuery) -> Result<UserPage, StoreError> {
    ports.directory.page(query).await
}

/// Shows an account with its counts.
pub async fn show_user(ports: &Ports, _by: &Privileged, id: &UserId) -> Result<Option<UserRow>, StoreError> {
    ports.directory.row(id).await
}

/// Shows the figures over all accounts.
pub async fn show_stats(ports: &Ports, _by: &Privileged) -> Result<UserStats, StoreError> {
    ports.directory.stats(ports.clock.now()).await
}
