//! The list of accounts: which, in what order, from where.

use chrono::DateTime;
use diesel::dsl::{array, count_star, sql};
use diesel::expression::SqlLiteral;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Record, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::future::join;
use subtle_domain::Timestamp;
use subtle_domain::directory::{PageStart, UserCursor, UserQuery, UserSort, UserSortKey};
use subtle_domain::ports::StoreError;

use super::totals::{self, Landmark};
use crate::prepared::Prepare;
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
    start: Start,
}

/// Where a page starts: so many behind a place, or behind the begin of the list.
struct Start {
    place: Option<Place>,
    /// Whether a list that ascends has what is at the place itself; one that descends has not.
    takes_in: bool,
    skip: i64,
}

/// A place in the order of the list: what it is ordered by, and the account's identifier.
pub(super) struct Place {
    pub(super) key: Key,
    pub(super) id: String,
}

pub(super) enum Key {
    Time(Timestamp),
    Text(String),
}

impl Start {
    fn of(query: &UserQuery) -> Result<Self, StoreError> {
        let UserCursor { key, id } = match &query.start {
            PageStart::Number(number) => {
                let before = i64::from(number.saturating_sub(1));
                let skip = before.saturating_mul(query.page_size.into());
                return Ok(Self { place: None, takes_in: true, skip });
            }
            PageStart::After(cursor) => cursor,
        };
        let key = match query.sort.key {
            UserSortKey::CreatedAt => {
                let at = DateTime::parse_from_rfc3339(key);
                Key::Time(at.map_err(|no_time| StoreError::Conflict(Box::new(no_time)))?.to_utc())
            }
            UserSortKey::Email | UserSortKey::FullName => Key::Text(key.clone()),
        };
        Ok(Self { place: Some(Place { key, id: id.to_string() }), takes_in: false, skip: 0 })
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
        if self.is_far()
            && let Some(Landmark { place, before, total }) =
                totals::landmark(self.query, self.start.skip, &mut one).await?
        {
            let start = Start { place: Some(place), takes_in: true, skip: self.start.skip - before };
            return Ok((self.page(&start).prepared().load(&mut one).await?, total));
        }
        let page = async {
            let page = self.page(&self.start);
            match self.query.search {
                // How many are found depends on what is looked for, and with it the best way to find them.
                Some(_) => page.load(&mut one).await,
                None => page.prepared().load(&mut one).await,
            }
        };
        let (rows, total) = join(page, self.total(&mut other)).await;
        Ok((rows?, total?))
    }

    /// Whether a page lies so far behind the first that it is worth a look where to begin to count.
    fn is_far(&self) -> bool {
        self.start.skip >= FAR && self.query.search.is_none()
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
        start: &'a Start,
    ) -> users::BoxedQuery<'a, Pg, (diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<UserRow, Pg>>, Text)> {
        let sort = self.query.sort;
        users::table
            .filter(users::id.eq_any(array::<Text, _>(self.ids(start))))
            .order(order(sort))
            .select((UserRow::as_select(), key_as_text(sort.key)))
            .into_boxed()
    }

    fn ids(&self, start: &'a Start) -> users::BoxedQuery<'a, Pg, Text> {
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

fn starting<'a>(list: Accounts<'a>, start: &'a Start, sort: UserSort) -> Accounts<'a> {
    let list = match &start.place {
        None => list,
        Some(Place { key: Key::Time(time), id }) => {
            let (place, bound) = (place::<Timestamptz>(sort.key), (*time, id.as_str()));
            match (sort.descending, start.takes_in) {
                (false, false) => list.filter(place.gt(bound)),
                (false, true) => list.filter(place.ge(bound)),
                (true, _) => list.filter(place.lt(bound)),
            }
        }
        Some(Place { key: Key::Text(text), id }) => {
            let (place, bound) = (place::<Text>(sort.key), (text.as_str(), id.as_str()));
            match (sort.descending, start.takes_in) {
                (false, false) => list.filter(place.gt(bound)),
                (false, true) => list.filter(place.ge(bound)),
                (true, _) => list.filter(place.lt(bound)),
            }
        }
    };
    if start.skip > 0 { list.offset(start.skip) } else { list }
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
