use std::cmp::Ordering;

use subtle_domain::ids::UserId;
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::session::ClientInfo;
use subtle_domain::user::{Role, User};

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
    privilege: Privilege,
    client: ClientInfo,
}

impl Privilege {
    /// Whether an account holds it: an active one, by its role. A tier never does.
    fn held_by(self, user: Option<User>) -> Result<User, Forbidden> {
        let user = user.filter(User::is_active).ok_or(Forbidden::Closed)?;
        let granted = match self {
            Self::Support => user.role.may_support(),
            Self::Administer => user.role.may_administer(),
        };
        if granted { Ok(user) } else { Err(Forbidden::Role(user.role)) }
    }
}

impl Privileged {
    /// Asks again, within a unit of work, whether they hold the privilege, and sees to it that they do until its end. Since the
    /// request was authorized its body had time to arrive, and others to act.
    pub(crate) async fn confirm(
        &self,
        unit: &mut dyn UnitOfWork,
    ) -> Result<Result<(), Forbidden>, StoreError> {
        let user = unit.users().lock(&self.user_id).await?;
        Ok(self.privilege.held_by(user).map(drop))
    }

    /// As [`Privileged::confirm`], and gives the account on which they act, locked too. Both in the order of their identifiers: two
    /// who act on each other wait for each other's turn.
    pub(crate) async fn confirm_on(
        &self,
        unit: &mut dyn UnitOfWork,
        subject: &UserId,
    ) -> Result<Result<Option<User>, Forbidden>, StoreError> {
        let users = unit.users();
        let (actor, subject) = match self.user_id.cmp(subject) {
            Ordering::Equal => {
                let both = users.lock(subject).await?;
                (both.clone(), both)
            }
            Ordering::Less => (users.lock(&self.user_id).await?, users.lock(subject).await?),
            Ordering::Greater => {
                let subject = users.lock(subject).await?;
                (users.lock(&self.user_id).await?, subject)
            }
        };
        Ok(self.privilege.held_by(actor).map(|_| subject))
    }

    /// Whose idempotency keys are theirs.
    pub(crate) fn caller(&self) -> String {
        format!("user:{}", self.user_id)
    }

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
    let found = ports.accounts.find(&caller.user_id).await?;
    match privilege.held_by(found) {
        Ok(user) => Ok(Privileged { user_id: user.id, privilege, client: caller.client }),
        Err(refused) => {
            tracing::warn!(user = %caller.user_id, ?privilege, "a privilege was refused: {refused}");
            Err(refused)
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::test_ports::{self, NOW, ada, caller};
    use subtle_domain::ports::MockUnit;
    use subtle_domain::user::SubscriptionTier;

    pub(crate) fn grace() -> Privileged {
        let client = ClientInfo::default();
        Privileged { user_id: UserId::parse("grace").unwrap(), privilege: Privilege::Administer, client }
    }

    /// A unit of work in which Grace has this role by now.
    pub(crate) fn unit_of_grace(role: Role) -> MockUnit {
        let mut unit = MockUnit::default();
        let now = User { id: grace().user_id().clone(), role, ..ada() };
        unit.users.expect_lock().withf(|id| id.as_str() == "grace").returning(move |_| Ok(Some(now.clone())));
        unit
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
