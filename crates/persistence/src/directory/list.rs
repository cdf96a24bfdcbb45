//! The list of accounts: which, in what order, from where.

use chrono::DateTime;
use diesel::dsl::{count_star, sql};
use diesel::expression::SqlLiteral;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Record, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::future::join;
use subtle_domain::Timestamp;
use subtle_domain::directory::{PageStart, UserCursor, UserQuery, UserSort, UserSortKey};
use subtle_domain::ports::StoreError;

use super::totals;
use crate::schema::users;
use crate::user_row::{UserRow, lower};

diesel::define_sql_function! {
    /// PostgreSQL's `lower` of what may be missing.
    #[sql_name = "lower"]
    fn lower_if_any(text: Nullable<Text>) -> Nullable<Text>;
}

/// How many accounts are skipped one by one before it is worth a look where they lie.
const FAR: i64 = 200;

/// A page's query.
pub(super) struct List<'a> {
    query: &'a UserQuery,
    start: Start<'a>,
}

/// Where it starts: a cursor's key has the type of what it is compared with.
enum Start<'a> {
    Skip(i64),
    /// So many, from a landmark on.
    SkipFrom(Timestamp, i64),
    AfterTime(Timestamp, &'a str),
    AfterText(&'a str, &'a str),
}

impl<'a> Start<'a> {
    fn of(query: &'a UserQuery) -> Result<Self, StoreError> {
        match (&query.start, query.sort.key) {
            (PageStart::Number(number), _) => {
                let before = i64::from(number.saturating_sub(1));
                Ok(Self::Skip(before.saturating_mul(query.page_size.into())))
            }
            (PageStart::After(UserCursor { key, id }), UserSortKey::CreatedAt) => {
                let at = DateTime::parse_from_rfc3339(key);
                let at = at.map_err(|no_time| StoreError::Conflict(Box::new(no_time)))?;
                Ok(Self::AfterTime(at.to_utc(), id.as_str()))
            }
            (PageStart::After(UserCursor { key, id }), UserSortKey::Email | UserSortKey::FullName) => {
                Ok(Self::AfterText(key, id.as_str()))
            }
        }
    }
}

type Accounts<'a> = users::BoxedQuery<'a, Pg>;

impl<'a> List<'a> {
    /// Takes a query; a conflict if its cursor's key is no time where it ought to be one.
    pub(super) fn of(query: &'a UserQuery) -> Result<Self, StoreError> {
        Ok(Self { query, start: Start::of(query)? })
    }

    /// The page's accounts with their sort keys, and one more if there is one; and how many there are on all pages.
    pub(super) async fn read(
        &self,
        connection: &mut AsyncPgConnection,
    ) -> QueryResult<(Vec<(UserRow, String)>, i64)> {
        let (mut one, mut other) = (&*connection, &*connection);
        let nearer = self.landmark(&mut one).await?;
        let start = nearer.as_ref().unwrap_or(&self.start);
        let (rows, total) = join(self.page(start).load(&mut one), self.total(&mut other)).await;
        Ok((rows?, total?))
    }

    /// Where to begin to count instead of at the first, if a page lies far behind it.
    async fn landmark(&self, connection: &mut &AsyncPgConnection) -> QueryResult<Option<Start<'static>>> {
        let Start::Skip(rows) = self.start else { return Ok(None) };
        let UserQuery { sort, search, .. } = self.query;
        if rows < FAR || sort.key != UserSortKey::CreatedAt || search.is_some() {
            return Ok(None);
        }
        let landmark = totals::landmark(self.query, rows, connection).await?;
        Ok(landmark.map(|landmark| Start::SkipFrom(landmark.bound, rows - landmark.before)))
    }

    async fn total(&self, connection: &mut &AsyncPgConnection) -> QueryResult<i64> {
        match self.query.search {
            Some(_) => matching(self.query).select(count_star()).get_result(connection).await,
            None => totals::total(self.query, connection).await,
        }
    }

    /// The page is found by identifiers alone; only its own rows are then read in full.
    fn page(
        &self,
        start: &Start<'a>,
    ) -> users::BoxedQuery<'a, Pg, (diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<UserRow, Pg>>, Text)> {
        let sort = self.query.sort;
        users::table
            .filter(users::id.eq_any(self.ids(start)))
            .order(order(sort))
            .select((UserRow::as_select(), key_as_text(sort.key)))
            .into_boxed()
    }

    fn ids(&self, start: &Start<'a>) -> users::BoxedQuery<'a, Pg, Text> {
        let sort = self.query.sort;
        let list = starting(matching(self.query), start, sort);
        list.order(order(sort)).limit(i64::from(self.query.page_size) + 1).select(users::id)
    }
}

fn matching(query: &UserQuery) -> Accounts<'_> {
    let mut list = users::table.filter(users::deleted_at.is_null()).into_boxed();
    if let Some(tier) = query.tier {
        list = list.filter(users::subscription_tier.eq(tier.as_str()));
    }
    if let Some(role) = query.role {
        list = list.filter(users::role.eq(role.as_str()));
    }
    if let Some(part) = &query.search {
        let (pattern, same) = (containing(part), containing(part));
        let in_address = lower(users::email).like(lower(pattern));
        list = list.filter(in_address.or(lower_if_any(users::full_name).like(lower_if_any(same))));
    }
    list
}

/// The `LIKE` pattern of what contains `part`, each character of which stands for itself.
fn containing(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in part.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

fn starting<'a>(list: Accounts<'a>, start: &Start<'a>, sort: UserSort) -> Accounts<'a> {
    let (by_time, by_text) = (place::<Timestamptz>, place::<Text>);
    match (start, sort.descending) {
        (Start::Skip(rows), _) => list.offset(*rows),
        (Start::SkipFrom(from, rows), false) => list.filter(users::created_at.ge(*from)).offset(*rows),
        (Start::SkipFrom(until, rows), true) => list.filter(users::created_at.lt(*until)).offset(*rows),
        (Start::AfterTime(at, id), false) => list.filter(by_time(sort.key).gt((*at, *id))),
        (Start::AfterTime(at, id), true) => list.filter(by_time(sort.key).lt((*at, *id))),
        (Start::AfterText(key, id), false) => list.filter(by_text(sort.key).gt((*key, *id))),
        (Start::AfterText(key, id), true) => list.filter(by_text(sort.key).lt((*key, *id))),
    }
}

/// What the list is ordered by, as its index has it: written in another way, it would be sorted anew for each page.
fn key(key: UserSortKey) -> &'static str {
    match key {
        UserSortKey::CreatedAt => "users.created_at",
        UserSortKey::Email => "lower(users.email)",
        UserSortKey::FullName => "left(coalesce(lower(users.full_name), ''), 200)",
    }
}

/// An account's place in the list.
fn place<K: 'static>(sort: UserSortKey) -> SqlLiteral<Record<(K, Text)>> {
    sql(&format!("({}, users.id)", key(sort)))
}

fn order(sort: UserSort) -> SqlLiteral<Text> {
    let direction = if sort.descending { "DESC" } else { "ASC" };
    let key = key(sort.key);
    match sort.key {
        // Unique, so that nothing is left to order; its index knows no `id`.
        UserSortKey::Email => sql(&format!("{key} {direction}")),
        UserSortKey::CreatedAt | UserSortKey::FullName => {
            sql(&format!("{key} {direction}, users.id {direction}"))
        }
    }
}

/// The key as cursors have it. PostgreSQL tells it, whose lower case is not Rust's.
fn key_as_text(sort: UserSortKey) -> SqlLiteral<Text> {
    match sort {
        UserSortKey::CreatedAt => {
            sql(r#"to_char(users.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"#)
        }
        UserSortKey::Email | UserSortKey::FullName => sql(key(sort)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_character_of_a_search_stands_for_itself() {
        assert_eq!(containing("ada"), "%ada%");
        assert_eq!(containing(""), "%%");
        assert_eq!(containing(r"50%_\o/"), r"%50\%\_\\o/%");
    }
}
