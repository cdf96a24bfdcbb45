use subtle_domain::activity::ActivityAction;
use subtle_domain::ports::StoreError;
use subtle_domain::user::{ProfileChange, User};

use super::show_profile;
use crate::Ports;
use crate::again::again;
use crate::sessions::Caller;

/// Why a profile stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The account can't be used any more.
    #[error("the account is closed")]
    Closed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Changes what people may change about themselves.
pub async fn change_profile(
    ports: &Ports,
    caller: &Caller,
    change: ProfileChange,
) -> Result<User, ProfileError> {
    if change == ProfileChange::default() {
        return show_profile(ports, caller).await?.ok_or(ProfileError::Closed);
    }
    let now = ports.clock.now();
    let changed = again(|| ports.accounts.change_profile(&caller.user_id, &change, now)).await?;
    let user = changed.ok_or(ProfileError::Closed)?;
    ports.record(&user.id, ActivityAction::ProfileChanged, &caller.client, now);
    Ok(user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, ada, caller};

    #[tokio::test]
    async fn a_change_leaves_a_row_in_the_timeline() {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_change_profile().returning(|_, _, _| Ok(Some(ada())));
        mocks.expect_activity(&[ActivityAction::ProfileChanged]);
        change_profile(&mocks.ports(), &caller(), nameless()).await.unwrap();
    }

    fn nameless() -> ProfileChange {
        ProfileChange { full_name: Some(None), ..ProfileChange::default() }
    }

    #[tokio::test]
    async fn a_change_of_nothing_writes_nothing() {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_find().returning(|_| Ok(Some(ada())));
        let user = change_profile(&mocks.ports(), &caller(), ProfileChange::default()).await.unwrap();
        assert_eq!(user, ada());
    }

    #[tokio::test]
    async fn a_closed_account_changes_nothing() {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_change_profile().returning(|_, _, _| Ok(None));
        let refused = change_profile(&mocks.ports(), &caller(), nameless()).await;
        assert!(matches!(refused, Err(ProfileError::Closed)));
    }
}
