use subtle_domain::Timestamp;
use subtle_domain::ports::StoreError;
use subtle_domain::user::User;

use crate::Ports;
use crate::sessions::Caller;

/// Whether a second factor is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactorStatus {
    /// It is not.
    Off,
    /// It is.
    On {
        /// Since when.
        since: Timestamp,
        /// How many recovery codes there are for when the app is lost.
        codes_left: u32,
    },
}

/// Shows the caller whether a second factor is asked of them; `None` if the account can't be used any more.
pub async fn show_second_factor(
    ports: &Ports,
    caller: &Caller,
) -> Result<Option<SecondFactorStatus>, StoreError> {
    let user = ports.accounts.find(&caller.user_id).await?;
    let Some(user) = user.filter(User::is_active) else { return Ok(None) };
    let Some(since) = user.second_factor_at else { return Ok(Some(SecondFactorStatus::Off)) };
    let codes_left = ports.second_factors.codes_left(&user.id).await?;
    Ok(Some(SecondFactorStatus::On { since, codes_left }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, NOW, ada, ada_with_factor, caller};

    async fn ask(user: User) -> Option<SecondFactorStatus> {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_find().return_once(|_| Ok(Some(user)));
        mocks.second_factors.expect_codes_left().returning(|_| Ok(7));
        show_second_factor(&mocks.ports(), &caller()).await.unwrap()
    }

    #[tokio::test]
    async fn its_owner_sees_since_when_it_is_on_and_how_many_codes_are_left() {
        assert_eq!(ask(ada()).await, Some(SecondFactorStatus::Off));
        let on = SecondFactorStatus::On { since: NOW, codes_left: 7 };
        assert_eq!(ask(ada_with_factor()).await, Some(on));
        assert_eq!(ask(User { disabled_at: Some(NOW), ..ada_with_factor() }).await, None);
    }
}
