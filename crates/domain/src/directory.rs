//! What administrators look at: the list of accounts and the figures over all of them.

use crate::ids::UserId;
use crate::user::{Role, SubscriptionTier, User, vocabulary};

vocabulary! {
    /// By what the list of accounts is ordered; ties are ordered by identifier.
    UserSortKey {
        /// When the account was made.
        CreatedAt = "createdAt",
        /// Its address, without regard to case.
        Email = "email",
        /// Its name, without regard to case; the nameless come first.
        FullName = "fullName",
    }
}

/// The order of the list of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserSort {
    /// By what.
    pub key: UserSortKey,
    /// Whether the largest comes first.
    pub descending: bool,
}

impl Default for UserSort {
    fn default() -> Self {
        Self { key: UserSortKey::CreatedAt, descending: true }
    }
}

/// A place in the list: behind this account. Holds whatever is inserted or deleted meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCursor {
    /// The sort key's value there: an RFC 3339 time, or the lower-case text.
    pub key: String,
    /// The account there.
    pub id: UserId,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageStart {
    /// At the page of this number; the first is 1.
    Number(u32),
    /// Behind this place.
    After(UserCursor),
}

/// Which accounts are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserQuery {
    /// Where the page begins.
    pub start: PageStart,
    /// How many accounts a page has.
    pub page_size: u32,
    /// Part of an address or a name, without regard to case.
    pub search: Option<String>,
    /// Only those of this tier.
    pub tier: Option<SubscriptionTier>,
    /// Only those of this role.
    pub role: Option<Role>,
    /// In which order.
    pub sort: UserSort,
}

/// An account as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The account.
    pub user: User,
    /// Rows in its activity timeline.
    pub activity: i64,
    /// Rows of its usage.
    pub usage: i64,
}

/// A page of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPage {
    /// Its accounts.
    pub users: Vec<UserRow>,
    /// How many accounts match on all pages.
    pub total: i64,
    /// Where the next page begins, if there is more.
    pub next: Option<UserCursor>,
}

/// The figures over all accounts: the seed's four, and one that its second was by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserStats {
    /// Accounts that are not erased.
    pub total_users: i64,
    /// Those with activity since midnight UTC.
    pub active_users_today: i64,
    /// Those made within the last seven days, counted from midnight UTC.
    pub new_users_this_week: i64,
    /// Rows of usage.
    pub total_usage_metrics: i64,
    /// Those made since midnight UTC.
    pub new_users_today: i64,
}
