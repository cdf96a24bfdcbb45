use subtle_domain::ids::UserId;
use subtle_domain::ports::StoreError;
use subtle_domain::session::ClientInfo;
use subtle_domain::user::{Role, Standing};

use crate::Ports;
use crate::sessions::Caller;

/// What a privileged use case asks of who calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// Looking at others' accounts: support and administrators.
    Support,
    /// Changing others' accounts: administrators.
    Administer,
}

/// Somebody who has been found to hold a privilege. There is no other way to get one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privileged {
    user_id: UserId,
    client: ClientInfo,
}

impl Privileged {
    /// Who they are.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.user_id
    }

    /// Where they come from.
    #[must_use]
    pub fn client(&self) -> &ClientInfo {
        &self.client
    }
}

/// Why a privilege is not granted.
#[derive(Debug, thiserror::Error)]
pub enum Forbidden {
    /// The account can't be used any more.
    #[error("the account is closed")]
    Closed,
    /// Their role does not hold it. A tier never does.
    #[error("the role {0} may not do this")]
    Role(Role),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Asks the database whether the caller holds a privilege now, whatever their token says: a demotion counts at once
/// (ASVS 8.3.2).
pub async fn authorize(ports: &Ports, caller: Caller, privilege: Privilege) -> Result<Privileged, Forbidden> {
    let user = ports.accounts.find(&caller.user_id).await?;
    let user = user.filter(|user| user.standing() == Standing::Active).ok_or(Forbidden::Closed)?;
    let granted = match privilege {
        Privilege::Support => user.role.may_support(),
        Privilege::Administer => user.role.may_administer(),
    };
    if !granted {
        tracing::warn!(user = %user.id, role = %user.role, ?privilege, "a privilege was refused");
        return Err(Forbidden::Role(user.role));
    }
    Ok(Privileged { user_id: user.id, client: caller.client })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::test_ports::{self, NOW, ada, caller};
    use subtle_domain::user::{SubscriptionTier, User};

    pub(crate) fn grace() -> Privileged {
        Privileged { user_id: UserId::parse("grace").unwrap(), client: ClientInfo::default() }
    }

    async fn ask(user: User, privilege: Privilege) -> Result<Privileged, Forbidden> {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_find().return_once(|_| Ok(Some(user)));
        authorize(&mocks.ports(), caller(), privilege).await
    }

    #[tokio::test]
    async fn roles_hold_what_they_hold_and_an_enterprise_tier_holds_nothing() {
        use Privilege::{Administer, Support};
        for (role, privilege, granted) in [
            (Role::User, Support, false),
            (Role::User, Administer, false),
            (Role::Support, Support, true),
            (Role::Support, Administer, false),
            (Role::Admin, Support, true),
            (Role::Admin, Administer, true),
        ] {
            let user = User { role, subscription_tier: SubscriptionTier::Enterprise, ..ada() };
            assert_eq!(ask(user, privilege).await.is_ok(), granted, "{role} {privilege:?}");
        }
    }

    #[tokio::test]
    async fn a_closed_account_holds_no_privilege() {
        let disabled = User { role: Role::Admin, disabled_at: Some(NOW), ..ada() };
        assert!(matches!(ask(disabled, Privilege::Support).await, Err(Forbidden::Closed)));
    }
}
