//! Accounts: who somebody is, what they pay for and what they may do.

use crate::Timestamp;
use crate::email::EmailAddress;
use crate::ids::UserId;
use crate::text::{AvatarUrl, FullName};

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name under which it is stored and sent.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The one of that name.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use vocabulary;

vocabulary! {
    /// What an account pays for. Never a right: see [`Role`].
    SubscriptionTier {
        /// Pays nothing.
        Free = "free",
        /// Pays for more.
        Pro = "pro",
        /// Pays by contract.
        Enterprise = "enterprise",
    }
}

vocabulary! {
    /// What an account may do.
    Role {
        /// Sees and changes what is their own.
        User = "user",
        /// Looks at others' accounts and writes notes on them.
        Support = "support",
        /// May do everything.
        Admin = "admin",
    }
}

impl Role {
    /// Whether this role may look at others' accounts.
    #[must_use]
    pub fn may_support(self) -> bool {
        match self {
            Self::User => false,
            Self::Support | Self::Admin => true,
        }
    }

    /// Whether this role may change others' accounts.
    #[must_use]
    pub fn may_administer(self) -> bool {
        match self {
            Self::User | Self::Support => false,
            Self::Admin => true,
        }
    }
}

/// Whether an account can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Active,
    /// An administrator has closed it for now.
    Disabled,
    /// The person was erased: what is left belongs to nobody.
    Erased,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Never changes.
    pub id: UserId,
    /// Unique among all accounts.
    pub email: EmailAddress,
    /// As they write it.
    pub full_name: Option<FullName>,
    /// Where their picture is.
    pub avatar_url: Option<AvatarUrl>,
    /// What they pay for.
    pub subscription_tier: SubscriptionTier,
    /// What they may do.
    pub role: Role,
    /// Whether they have shown that the address is theirs.
    pub email_verified: bool,
    /// Since when a second factor is asked for, if it is.
    pub second_factor_at: Option<Timestamp>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Since when it is closed, if it is.
    pub disabled_at: Option<Timestamp>,
    /// Since when the person is erased, if they are.
    pub deleted_at: Option<Timestamp>,
}

impl User {
    /// A new account: of the free tier, without rights, its address not verified.
    #[must_use]
    pub fn new(id: UserId, email: EmailAddress, now: Timestamp) -> Self {
        Self {
            id,
            email,
            full_name: None,
            avatar_url: None,
            subscription_tier: SubscriptionTier::Free,
            role: Role::User,
            email_verified: false,
            second_factor_at: None,
            created_at: now,
            updated_at: now,
            disabled_at: None,
            deleted_at: None,
        }
    }

    /// Whether the account can be used, or why not.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match (self.deleted_at, self.disabled_at) {
            (Some(_), _) => Standing::Erased,
            (None, Some(_)) => Standing::Disabled,
            (None, None) => Standing::Active,
        }
    }

    /// Whether the account can be used.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.standing() == Standing::Active
    }

    /// Whether the person was erased: what is left belongs to nobody.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.standing() == Standing::Erased
    }

    /// Changes what `change` names, and says whether anything is different now.
    pub fn apply(&mut self, change: UserChange, now: Timestamp) -> bool {
        let before = self.clone();
        if let Some(full_name) = change.profile.full_name {
            self.full_name = full_name;
        }
        if let Some(avatar_url) = change.profile.avatar_url {
            self.avatar_url = avatar_url;
        }
        self.subscription_tier = change.subscription_tier.unwrap_or(self.subscription_tier);
        self.role = change.role.unwrap_or(self.role);
        self.email_verified = change.email_verified.unwrap_or(self.email_verified);
        let changed = *self != before;
        if changed {
            self.updated_at = now;
        }
        changed
    }

    /// Takes the address as theirs: they have shown that they read what is sent there.
    pub fn verify_email(&mut self, now: Timestamp) {
        if !self.email_verified {
            self.email_verified = true;
            self.updated_at = now;
        }
    }

    /// Takes another address as theirs, shown likewise.
    pub fn move_to(&mut self, email: EmailAddress, now: Timestamp) {
        self.email = email;
        self.email_verified = true;
        self.updated_at = now;
    }

    /// Strips the account of the person: what is left is a tombstone to which ledger and usage stay attached.
    pub fn erase(&mut self, now: Timestamp) {
        self.email = EmailAddress::tombstone(&self.id);
        self.full_name = None;
        self.avatar_url = None;
        self.role = Role::User;
        self.email_verified = false;
        self.second_factor_at = None;
        self.updated_at = now;
        self.deleted_at = Some(now);
    }
}

/// What a person may change about themselves. The outer `None` leaves a field as it is, the inner one empties it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// Their name.
    pub full_name: Option<Option<FullName>>,
    /// Their picture.
    pub avatar_url: Option<Option<AvatarUrl>>,
}

/// What an administrator may change about an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    /// What the person could change themselves.
    pub profile: ProfileChange,
    /// What they pay for.
    pub subscription_tier: Option<SubscriptionTier>,
    /// What they may do.
    pub role: Option<Role>,
    /// Whether the address is taken as theirs.
    pub email_verified: Option<bool>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use chrono::TimeDelta;

    pub(crate) fn ada() -> User {
        let made = chrono::DateTime::from_timestamp_millis(1_700_000_000_000).unwrap();
        User {
            full_name: Some(FullName::parse("Ada").unwrap()),
            avatar_url: Some(AvatarUrl::parse("https://example.com/ada.png").unwrap()),
            ..User::new(UserId::parse("ada").unwrap(), EmailAddress::parse("ada@example.com").unwrap(), made)
        }
    }

    #[test]
    fn a_tier_is_never_a_right() {
        let rights = |role: Role| (role.may_support(), role.may_administer());
        assert_eq!(rights(Role::User), (false, false));
        assert_eq!(rights(Role::Support), (true, false));
        assert_eq!(rights(Role::Admin), (true, true));
    }

    #[test]
    fn an_erased_account_stays_erased_whatever_else_it_was() {
        let now = ada().created_at + TimeDelta::days(1);
        let mut user = ada();
        assert_eq!(user.standing(), Standing::Active);
        user.disabled_at = Some(now);
        assert_eq!(user.standing(), Standing::Disabled);
        user.erase(now);
        assert_eq!(user.standing(), Standing::Erased);
    }

    #[test]
    fn erasure_leaves_nothing_of_the_person() {
        let now = ada().created_at + TimeDelta::days(1);
        let mut user = User { role: Role::Admin, ..ada() };
        user.erase(now);
        assert_eq!(user.email.as_str(), "deleted+ada@erased.invalid");
        assert_eq!((user.full_name, user.avatar_url, user.role), (None, None, Role::User));
    }

    #[test]
    fn a_change_touches_what_it_names_and_tells_whether_it_did() {
        let now = ada().created_at + TimeDelta::days(1);
        let mut user = ada();
        assert!(!user.apply(UserChange::default(), now));
        assert_eq!(user, ada());
        let promotion = UserChange { role: Some(Role::Support), ..UserChange::default() };
        assert!(user.apply(promotion.clone(), now));
        assert_eq!(user, User { role: Role::Support, updated_at: now, ..ada() });
        assert!(!user.apply(promotion, now + TimeDelta::days(1)));
        assert_eq!(user.updated_at, now);
        let nameless = ProfileChange { full_name: Some(None), ..ProfileChange::default() };
        assert!(user.apply(UserChange { profile: nameless, ..UserChange::default() }, now));
        assert_eq!(user.full_name, None);
    }

    #[test]
    fn an_address_is_verified_once_and_a_new_one_comes_verified() {
        let later = |days| ada().created_at + TimeDelta::days(days);
        let mut user = ada();
        user.verify_email(later(1));
        user.verify_email(later(2));
        assert_eq!(user, User { email_verified: true, updated_at: later(1), ..ada() });
        let email = EmailAddress::parse("ada@new.example").unwrap();
        user.move_to(email.clone(), later(3));
        assert_eq!(user, User { email, email_verified: true, updated_at: later(3), ..ada() });
    }

    #[test]
    fn names_of_roles_and_tiers_match_one_to_one() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(*role));
        }
        for tier in SubscriptionTier::ALL {
            assert_eq!(SubscriptionTier::parse(tier.as_str()), Some(*tier));
        }
        assert_eq!(Role::parse("Admin"), None);
        assert_eq!(SubscriptionTier::parse(""), None);
    }
}
