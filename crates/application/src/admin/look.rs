use subtle_domain::activity::ActivityCursor;
use subtle_domain::directory::{UserPage, UserQuery, UserRow, UserStats};
use subtle_domain::ids::UserId;
use subtle_domain::ports::StoreError;
use subtle_domain::user::Standing;

use super::Privileged;
use crate::Ports;
use crate::activity::{ActivityPage, page};

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

/// Shows a page of somebody's timeline; `None` if there is no such account, or no longer.
pub async fn list_user_activity(
    ports: &Ports,
    _by: &Privileged,
    id: &UserId,
    after: Option<ActivityCursor>,
    limit: u32,
) -> Result<Option<ActivityPage>, StoreError> {
    let user = ports.accounts.find(id).await?;
    if user.is_none_or(|user| user.standing() == Standing::Erased) {
        return Ok(None);
    }
    page(ports, id, after, limit).await.map(Some)
}

#[cfg(test)]
mod tests {
    use super::super::authorize::tests::grace;
    use super::*;
    use crate::test_ports::{self, NOW, ada};
    use subtle_domain::user::User;

    #[tokio::test]
    async fn the_timeline_of_an_erased_account_is_not_found() {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_find().returning(|_| Ok(Some(User { deleted_at: Some(NOW), ..ada() })));
        let shown = list_user_activity(&mocks.ports(), &grace(), &ada().id, None, 10).await.unwrap();
        assert_eq!(shown, None);
    }

    #[tokio::test]
    async fn the_timeline_of_a_disabled_account_is_shown() {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_find().returning(|_| Ok(Some(User { disabled_at: Some(NOW), ..ada() })));
        mocks.timelines.expect_activity().returning(|_, _, _| Ok(Vec::new()));
        let shown = list_user_activity(&mocks.ports(), &grace(), &ada().id, None, 10).await.unwrap();
        assert_eq!(shown, Some(ActivityPage { items: Vec::new(), next: None }));
    }
}
