use serde::Deserialize;
use subtle_domain::directory::{PageStart, UserQuery, UserSort, UserSortKey};
use subtle_domain::user::{Role, SubscriptionTier};
use utoipa::IntoParams;

use super::change_request::{ROLES, TIERS};
use crate::cursor;
use crate::problem::{ApiError, FieldErrors};

/// Which accounts are wanted, in which order.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(in crate::routes) struct UserListQuery {
    /// The page's number; the first is 1. Not together with `cursor`.
    #[param(minimum = 1, maximum = 10_000_000, default = 1)]
    page: Option<u32>,
    /// Accounts a page: 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    page_size: Option<u32>,
    /// `nextCursor` of the page before.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
    /// Part of an address or a name, without regard to case.
    #[param(max_length = 200)]
    search: Option<String>,
    /// Only accounts of this tier: `free`, `pro` or `enterprise`.
    #[param(pattern = "^(free|pro|enterprise)$")]
    tier: Option<String>,
    /// Only accounts of this role: `user`, `support` or `admin`.
    #[param(pattern = "^(user|support|admin)$")]
    role: Option<String>,
    /// `createdAt`, `email` or `fullName`; with a `-` before it, the largest first.
    #[param(default = "-createdAt", pattern = "^-?(createdAt|email|fullName)$")]
    sort: Option<String>,
}

impl UserListQuery {
    pub(super) fn into_query(self) -> Result<UserQuery, ApiError> {
        let mut errors = FieldErrors::default();
        let page_size = self.page_size.unwrap_or(20);
        if !(1..=100).contains(&page_size) {
            errors.note("pageSize", "must be from 1 to 100");
        }
        let page = self.page.unwrap_or(1);
        if !(1..=10_000_000).contains(&page) {
            errors.note("page", "must be from 1 to 10000000");
        }
        if self.page.is_some() && self.cursor.is_some() {
            errors.note("page", "can't be given together with cursor");
        }
        if self.search.as_ref().is_some_and(|part| part.chars().nth(200).is_some()) {
            errors.note("search", "must be at most 200 characters");
        }
        let tier = self.tier.as_deref().map(|text| SubscriptionTier::parse(text).ok_or(TIERS)).transpose();
        let tier = errors.take("tier", tier).flatten();
        let role = self.role.as_deref().map(|text| Role::parse(text).ok_or(ROLES)).transpose();
        let role = errors.take("role", role).flatten();
        let sort = self.sort.as_deref().map_or(Ok(UserSort::default()), sort);
        let sort = errors.take("sort", sort).unwrap_or_default();
        let after = self.cursor.as_deref().map(|text| cursor::users(text, sort)).transpose();
        let after = errors.take("cursor", after).flatten();
        if !errors.is_empty() {
            return Err(errors.into());
        }
        let start = after.map_or(PageStart::Number(page), PageStart::After);
        let search = self.search.filter(|part| !part.is_empty());
        Ok(UserQuery { start, page_size, search, tier, role, sort })
    }
}

fn sort(text: &str) -> Result<UserSort, &'static str> {
    let (descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
    let key = UserSortKey::parse(name)
        .ok_or("must be createdAt, email or fullName, with or without a - before it")?;
    Ok(UserSort { key, descending })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(change: impl FnOnce(&mut UserListQuery)) -> Result<UserQuery, ApiError> {
        let mut query = UserListQuery::default();
        change(&mut query);
        query.into_query()
    }

    #[test]
    fn without_a_word_it_is_the_first_page_of_the_newest() {
        let query = asked(|_| {}).unwrap();
        assert_eq!(
            (query.start, query.page_size, query.sort),
            (PageStart::Number(1), 20, UserSort::default())
        );
    }

    #[test]
    fn every_order_has_its_name() {
        for (name, key, descending) in [
            ("createdAt", UserSortKey::CreatedAt, false),
            ("-email", UserSortKey::Email, true),
            ("fullName", UserSortKey::FullName, false),
        ] {
            let query = asked(|query| query.sort = Some(name.to_owned())).unwrap();
            assert_eq!(query.sort, UserSort { key, descending });
        }
    }

    #[test]
    fn unfit_wishes_are_refused() {
        assert!(asked(|query| query.page = Some(0)).is_err());
        assert!(asked(|query| query.page_size = Some(0)).is_err());
        assert!(asked(|query| query.page_size = Some(101)).is_err());
        assert!(asked(|query| query.tier = Some("gold".to_owned())).is_err());
        assert!(asked(|query| query.role = Some("root".to_owned())).is_err());
        assert!(asked(|query| query.sort = Some("password".to_owned())).is_err());
        assert!(asked(|query| query.cursor = Some("x".to_owned())).is_err());
        assert!(asked(|query| query.search = Some("x".repeat(201))).is_err());
    }
}
