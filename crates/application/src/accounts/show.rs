use subtle_domain::ports::StoreError;
use subtle_domain::user::User;

use crate::Ports;
use crate::sessions::Caller;

/// Shows the caller their account; `None` if it can't be used any more.
pub async fn show_profile(ports: &Ports, caller: &Caller) -> Result<Option<User>, StoreError> {
    let user = ports.accounts.find(&caller.user_id).await?;
    Ok(user.filter(User::is_active))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, NOW, ada, caller};

    #[tokio::test]
    async fn people_see_themselves() {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_find().withf(|id| id.as_str() == "ada").returning(|_| Ok(Some(ada())));
        assert_eq!(show_profile(&mocks.ports(), &caller()).await.unwrap(), Some(ada()));
    }

    #[tokio::test]
    async fn a_disabled_or_erased_account_shows_nothing() {
        for user in [User { disabled_at: Some(NOW), ..ada() }, User { deleted_at: Some(NOW), ..ada() }] {
            let mut mocks = test_ports::Mocks::default();
            mocks.accounts.expect_find().return_once(|_| Ok(Some(user)));
            assert_eq!(show_profile(&mocks.ports(), &caller()).await.unwrap(), None);
        }
    }
}
