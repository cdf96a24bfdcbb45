//! The statement that reads a page of the list.
//!
//! It goes along the index of the order, leaves out what is skipped, and only what is left is read in full and counted. What differs from
//! page to page stands in `SELECT`s without a table, where PostgreSQL does not look when it plans: so it plans once.

use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use subtle_domain::Timestamp;
use subtle_domain::directory::{UserQuery, UserSort, UserSortKey};
use subtle_domain::user::{Role, SubscriptionTier};

use super::search::Search;
use crate::user_row::UserRow;

/// Whom a list is of, as conditions: ` AND …`.
pub(super) struct Whom {
    tier: Option<&'static str>,
    role: Option<&'static str>,
    search: Option<Search>,
}

/// Where a page starts: so many behind a place.
pub(super) struct Start {
    pub(super) place: Place,
    pub(super) skip: i64,
}

pub(super) enum Place {
    /// The begin of the list.
    Begin,
    /// Behind an account: what it is ordered by, and its identifier.
    Behind(Key, String),
    /// A range's low end near the page, for PostgreSQL to find out: so many accounts are looked at behind it, at most. Not for a search.
    Landmark(i64),
}

pub(super) enum Key {
    Time(Timestamp),
    Text(String),
}

/// How many there are on all pages: triggers count them, but what is searched for nobody has counted.
pub(super) struct Total<'a>(pub(super) &'a Whom);

/// The statement.
pub(super) struct Page<'a> {
    whom: &'a Whom,
    start: &'a Start,
    sort: UserSort,
    size: i64,
    columns: AsSelect<UserRow, Pg>,
    total: Total<'a>,
}

/// An account in the list.
#[derive(Queryable)]
pub(super) struct Listed {
    pub(super) row: UserRow,
    /// The text that it is ordered by, if it is one.
    pub(super) key: Option<String>,
    /// How many there are on all pages.
    pub(super) total: i64,
    /// Its rows in the growing tables.
    pub(super) activity: i64,
    pub(super) usage: i64,
}

impl Whom {
    pub(super) fn of(query: &UserQuery, search: Option<Search>) -> Self {
        Self { tier: query.tier.map(SubscriptionTier::as_str), role: query.role.map(Role::as_str), search }
    }

    pub(super) fn is_searched_for(&self) -> bool {
        self.search.is_some()
    }

    pub(super) fn is_everybody(&self) -> bool {
        self.tier.is_none() && self.role.is_none()
    }
}

impl QueryFragment<Pg> for Whom {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // In the text, of which there are few: how rare they are says how to find them.
        if let Some(tier) = self.tier {
            out.push_sql(&format!(" AND subscription_tier = '{tier}'"));
        }
        if let Some(role) = self.role {
            out.push_sql(&format!(" AND role = '{role}'"));
        }
        if let Some(search) = &self.search {
            out.push_sql(" AND ");
            search.walk_ast(out.reborrow())?;
        }
        Ok(())
    }
}

impl QueryFragment<Pg> for Total<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        if self.0.is_searched_for() {
            out.push_sql("SELECT count(*) FROM users WHERE deleted_at IS NULL");
            return self.0.walk_ast(out);
        }
        out.push_sql("SELECT coalesce(sum(accounts), 0) FROM user_range_counts WHERE sort = 'createdAt/wide' AND subscription_tier = ");
        out.push_bind_param::<Text, _>(self.0.tier.unwrap_or_default())?;
        out.push_sql(" AND role = ");
        out.push_bind_param::<Text, _>(self.0.role.unwrap_or_default())
    }
}

impl<'a> Page<'a> {
    /// Of so many accounts, and one more that tells that there are more.
    pub(super) fn new(whom: &'a Whom, start: &'a Start, sort: UserSort, size: u32) -> Self {
        Self { whom, start, sort, size: size.into(), columns: UserRow::as_select(), total: Total(whom) }
    }

    /// How many accounts are looked at at most, rounded up to a power of four: PostgreSQL plans by what stands in the text, and few
    /// texts are to be planned.
    fn reach(&self) -> i64 {
        let needed = match self.start.place {
            Place::Landmark(near) => near,
            Place::Begin | Place::Behind(..) => self.start.skip.saturating_add(self.size).saturating_add(1),
        };
        let mut reach = 64_i64;
        while reach < needed {
            reach = reach.saturating_mul(4);
        }
        reach
    }

    /// The landmark, and the accounts that the page is a part of, up to the end of a `WHERE`: those of the table, or, in a search, what was found,
    /// which is read only once for page and total.
    fn push_accounts<'b>(&'b self, order: &Order, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if let Place::Landmark(_) = self.start.place {
            out.push_sql(&format!(
                "landmark AS MATERIALIZED (SELECT * FROM user_landmark('{}', {}, ",
                order.name, self.sort.descending
            ));
            out.push_bind_param::<Text, _>(self.whom.tier.unwrap_or_default())?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(self.whom.role.unwrap_or_default())?;
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(&self.start.skip)?;
            out.push_sql(")), ");
        }
        let key = order.key;
        if self.whom.is_searched_for() {
            out.push_sql(&format!(
                "found AS MATERIALIZED (SELECT id, {key} AS sort_key FROM users WHERE deleted_at IS NULL"
            ));
            self.whom.walk_ast(out.reborrow())?;
            out.push_sql("), page AS MATERIALIZED (SELECT users.*, sort_key FROM (SELECT * FROM (SELECT * FROM found AS users WHERE true");
            return Ok(());
        }
        out.push_sql(&format!(
            "page AS MATERIALIZED (SELECT * FROM (SELECT *, {key} AS sort_key FROM users WHERE deleted_at IS NULL"
        ));
        self.whom.walk_ast(out.reborrow())
    }

    /// What comes behind the place: ` AND …`.
    fn push_start<'b>(&'b self, order: &Order, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let comparison = match (&self.start.place, self.sort.descending) {
            (Place::Begin, _) => return Ok(()),
            (_, true) => "<",
            (Place::Behind(..), false) => ">",
            (Place::Landmark(_), false) => ">=",
        };
        let key = if self.whom.is_searched_for() { "sort_key" } else { order.key };
        let id = if order.by_id { ", users.id" } else { "" };
        out.push_sql(&format!(" AND ({key}{id}) {comparison} ("));
        match &self.start.place {
            Place::Begin => {}
            Place::Landmark(_) => out.push_sql(order.low),
            Place::Behind(key, id) => {
                match key {
                    Key::Time(time) => out.push_bind_param::<Timestamptz, _>(time)?,
                    Key::Text(text) => out.push_bind_param::<Text, _>(text)?,
                }
                if order.by_id {
                    out.push_sql(", ");
                    out.push_bind_param::<Text, _>(id)?;
                }
            }
        }
        out.push_sql(")");
        Ok(())
    }
}

impl QueryFragment<Pg> for Page<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        let order = Order::of(self.sort.key);
        let by = order.by(self.sort.descending);
        out.push_sql("WITH ");
        self.push_accounts(&order, &mut out)?;
        self.push_start(&order, &mut out)?;
        out.push_sql(&format!("{by} LIMIT {}) AS users{by} LIMIT (SELECT 1 + ", self.reach()));
        out.push_bind_param::<BigInt, _>(&self.size)?;
        out.push_sql(") OFFSET (SELECT ");
        out.push_bind_param::<BigInt, _>(&self.start.skip)?;
        if let Place::Landmark(_) = self.start.place {
            out.push_sql(" - skipped FROM landmark");
        }
        if self.whom.is_searched_for() {
            out.push_sql(")) AS near JOIN users USING (id)) SELECT ");
        } else {
            out.push_sql(")) SELECT ");
        }
        self.columns.walk_ast(out.reborrow())?;
        out.push_sql(&format!(", {}, (", order.key_if_text));
        match self.start.place {
            _ if self.whom.is_searched_for() => out.push_sql("SELECT count(*) FROM found"),
            Place::Landmark(_) => out.push_sql("SELECT total FROM landmark"),
            Place::Begin | Place::Behind(..) => self.total.walk_ast(out.reborrow())?,
        }
        // Not of the one behind the page, who may have more than all on it.
        out.push_sql(&format!(
            "), coalesce(activity, 0), coalesce(usage, 0)
            FROM page AS users LEFT JOIN count_user_rows(ARRAY(SELECT id FROM page AS users{by} LIMIT (SELECT "
        ));
        out.push_bind_param::<BigInt, _>(&self.size)?;
        out.push_sql(&format!("))) ON user_id = users.id{by}"));
        Ok(())
    }
}

impl Query for Total<'_> {
    type SqlType = BigInt;
}

impl Query for Page<'_> {
    type SqlType = (SqlTypeOf<AsSelect<UserRow, Pg>>, Nullable<Text>, BigInt, BigInt, BigInt);
}

impl QueryId for Total<'_> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryId for Page<'_> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

/// What a list is ordered by.
struct Order {
    /// What its ranges are called.
    name: &'static str,
    /// As its index has it: written in another way, it would be sorted anew for each page.
    key: &'static str,
    /// The text, if it is one. PostgreSQL tells it, whose lower case is not Rust's.
    key_if_text: &'static str,
    /// A landmark's key, and its identifier where that counts.
    low: &'static str,
    /// Whether accounts can share a key, and are in the order of their identifiers then.
    by_id: bool,
}

impl Order {
    fn of(key: UserSortKey) -> Self {
        match key {
            UserSortKey::CreatedAt => Self {
                name: "createdAt",
                key: "users.created_at",
                key_if_text: "NULL",
                low: "(SELECT low_time FROM landmark), (SELECT low_id FROM landmark)",
                by_id: true,
            },
            UserSortKey::Email => Self {
                name: "email",
                key: "lower(users.email)",
                key_if_text: "sort_key",
                low: "SELECT low_text FROM landmark",
                by_id: false,
            },
            UserSortKey::FullName => Self {
                name: "fullName",
                key: "left(coalesce(lower(users.full_name), ''), 200)",
                key_if_text: "sort_key",
                low: "(SELECT low_text FROM landmark), (SELECT low_id FROM landmark)",
                by_id: true,
            },
        }
    }

    fn by(&self, descending: bool) -> String {
        let direction = if descending { "DESC" } else { "ASC" };
        let id = if self.by_id { format!(", users.id {direction}") } else { String::new() };
        format!(" ORDER BY sort_key {direction}{id}")
    }
}
