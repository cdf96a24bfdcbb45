//! The list of accounts: which, in what order, from where.

use chrono::DateTime;
use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use subtle_domain::Timestamp;
use subtle_domain::directory::{PageStart, UserCursor, UserQuery, UserSort, UserSortKey};
use subtle_domain::ports::StoreError;
use subtle_domain::user::{Role, SubscriptionTier};

use crate::prepared::Prepare;
use crate::user_row::UserRow;

/// How many accounts are skipped one by one before it is worth a look where they lie.
const FAR: i64 = 1_000;
/// How many are looked at at most behind a place that was found so: a range of twice its width and the largest page.
const NEAR: i64 = 1_024;

/// A query: whom it is of, and where its page starts.
pub(super) struct List<'a> {
    query: &'a UserQuery,
    start: Start,
    whom: Whom,
}

/// Whom a list is of, as conditions: ` AND …`.
struct Whom {
    tier: Option<&'static str>,
    role: Option<&'static str>,
    /// What address or name is like.
    pattern: Option<String>,
}

/// Where a page starts: so many behind a place.
struct Start {
    place: Place,
    skip: i64,
}

enum Place {
    /// The begin of the list.
    Begin,
    /// Behind an account: what it is ordered by, and its identifier.
    Behind(Key, String),
    /// A range's low end near the page, for PostgreSQL to find out.
    Landmark,
}

enum Key {
    Time(Timestamp),
    Text(String),
}

impl Start {
    fn of(query: &UserQuery) -> Result<Self, StoreError> {
        let UserCursor { key, id } = match &query.start {
            PageStart::Number(number) => {
                let before = i64::from(number.saturating_sub(1));
                return Ok(Self::behind(before.saturating_mul(query.page_size.into())));
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
        Ok(Self { place: Place::Behind(key, id.to_string()), skip: 0 })
    }

    /// So many behind the begin.
    fn behind(skip: i64) -> Self {
        Self { place: Place::Begin, skip }
    }
}

impl<'a> List<'a> {
    /// Takes a query; a conflict if its cursor's key is no time where it ought to be one.
    pub(super) fn of(query: &'a UserQuery) -> Result<Self, StoreError> {
        let whom = Whom {
            tier: query.tier.map(SubscriptionTier::as_str),
            role: query.role.map(Role::as_str),
            pattern: query.search.as_deref().map(containing),
        };
        Ok(Self { query, start: Start::of(query)?, whom })
    }

    /// The page's accounts, and one more if there is one; and how many there are on all pages.
    pub(super) async fn read(&self, connection: &mut AsyncPgConnection) -> QueryResult<(Vec<Listed>, i64)> {
        if self.searches() {
            let found = self.page(&self.start).load(connection).await?;
            return self.with_total(found, connection).await;
        }
        if self.start.skip >= FAR {
            let start = Start { place: Place::Landmark, skip: self.start.skip };
            let page = self.page(&start);
            let found: Vec<Listed> = page.prepared().load(connection).await?;
            let (found, total) = self.with_total(found, connection).await?;
            // All there, unless the list descends and nothing is cut off its begin yet, or a range has grown large since it was cut.
            let expected = (total - self.start.skip).clamp(0, self.rows());
            if i64::try_from(found.len()).is_ok_and(|found| found == expected) {
                return Ok((found, total));
            }
        }
        let found = self.page(&self.start).prepared().load(connection).await?;
        self.with_total(found, connection).await
    }

    async fn with_total(
        &self,
        found: Vec<Listed>,
        connection: &mut AsyncPgConnection,
    ) -> QueryResult<(Vec<Listed>, i64)> {
        let total = match found.as_slice() {
            [first, ..] => first.total,
            [] if self.searches() => Total(&self.whom).get_result(connection).await?,
            [] => Total(&self.whom).prepared().get_result(connection).await?,
        };
        Ok((found, total))
    }

    /// How many a page holds, and one more.
    fn rows(&self) -> i64 {
        i64::from(self.query.page_size) + 1
    }

    /// How many are found depends on what is looked for, and with it the best way to find them: so a search is planned each time.
    fn searches(&self) -> bool {
        self.whom.pattern.is_some()
    }

    fn page<'b>(&'b self, start: &'b Start) -> Page<'b> {
        let columns = UserRow::as_select();
        Page { columns, total: Total(&self.whom), start, sort: self.query.sort, rows: self.rows() }
    }
}

impl QueryFragment<Pg> for Whom {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if let Some(tier) = self.tier {
            out.push_sql(" AND subscription_tier = ");
            out.push_bind_param::<Text, _>(tier)?;
        }
        if let Some(role) = self.role {
            out.push_sql(" AND role = ");
            out.push_bind_param::<Text, _>(role)?;
        }
        if let Some(pattern) = &self.pattern {
            out.push_sql(" AND (lower(email) LIKE lower(");
            out.push_bind_param::<Text, _>(pattern)?;
            out.push_sql(") OR lower(full_name) LIKE lower(");
            out.push_bind_param::<Text, _>(pattern)?;
            out.push_sql("))");
        }
        Ok(())
    }
}

/// How many there are on all pages: triggers count them, but what is searched for nobody has counted.
struct Total<'a>(&'a Whom);

impl QueryFragment<Pg> for Total<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if self.0.pattern.is_some() {
            out.push_sql("SELECT count(*) FROM users WHERE deleted_at IS NULL");
            return self.0.walk_ast(out);
        }
        out.push_sql("SELECT coalesce(sum(accounts), 0) FROM user_range_counts WHERE sort = 'createdAt/wide' AND subscription_tier = ");
        out.push_bind_param::<Text, _>(self.0.tier.unwrap_or_default())?;
        out.push_sql(" AND role = ");
        out.push_bind_param::<Text, _>(self.0.role.unwrap_or_default())
    }
}

impl QueryId for Total<'_> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Total<'_> {
    type SqlType = BigInt;
}

/// An account in the list.
#[derive(Queryable)]
pub(super) struct Listed {
    pub(super) row: UserRow,
    /// What it is ordered by, as cursors have it.
    pub(super) key: String,
    /// How many there are on all pages.
    total: i64,
    /// Its rows in the growing tables.
    pub(super) activity: i64,
    pub(super) usage: i64,
}

/// The statement of a page.
struct Page<'a> {
    columns: AsSelect<UserRow, Pg>,
    total: Total<'a>,
    start: &'a Start,
    sort: UserSort,
    rows: i64,
}

impl Page<'_> {
    /// How many accounts are looked at at most, rounded up to a power of four: PostgreSQL plans by what stands in the text, and few
    /// texts are to be planned.
    fn reach(&self) -> i64 {
        let needed = match self.start.place {
            Place::Landmark => NEAR,
            Place::Begin | Place::Behind(..) => self.start.skip.saturating_add(self.rows),
        };
        let mut reach = 64_i64;
        while reach < needed {
            reach = reach.saturating_mul(4);
        }
        reach
    }
}

impl QueryFragment<Pg> for Page<'_> {
    /// The innermost `SELECT` goes along the index of the order, the next leaves out what is skipped, and only what is left is read in full and
    /// counted. What differs from page to page stands in `SELECT`s without a table, where PostgreSQL does not look when it plans: so it
    /// plans once.
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        let Order { name, key, key_as_text, low, by_id } = Order::of(self.sort.key);
        let (direction, comparison) = match (self.sort.descending, &self.start.place) {
            (true, _) => ("DESC", "<"),
            (false, Place::Landmark) => ("ASC", ">="),
            (false, _) => ("ASC", ">"),
        };
        let (place, order) = if by_id {
            (format!("{key}, users.id"), format!(" ORDER BY sort_key {direction}, users.id {direction}"))
        } else {
            (key.to_owned(), format!(" ORDER BY sort_key {direction}"))
        };
        out.push_sql("WITH ");
        if let Place::Landmark = self.start.place {
            let whom = self.total.0;
            out.push_sql(&format!(
                "landmark AS MATERIALIZED (SELECT * FROM user_landmark('{name}', {}, ",
                self.sort.descending
            ));
            out.push_bind_param::<Text, _>(whom.tier.unwrap_or_default())?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(whom.role.unwrap_or_default())?;
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(&self.start.skip)?;
            out.push_sql(")), ");
        }
        out.push_sql(&format!(
            "page AS MATERIALIZED (SELECT * FROM (SELECT *, {key} AS sort_key FROM users WHERE deleted_at IS NULL"
        ));
        self.total.0.walk_ast(out.reborrow())?;
        match &self.start.place {
            Place::Begin => {}
            Place::Behind(at, id) => {
                out.push_sql(&format!(" AND ({place}) {comparison} ("));
                match at {
                    Key::Time(time) => out.push_bind_param::<Timestamptz, _>(time)?,
                    Key::Text(text) => out.push_bind_param::<Text, _>(text)?,
                }
                if by_id {
                    out.push_sql(", ");
                    out.push_bind_param::<Text, _>(id)?;
                }
                out.push_sql(")");
            }
            Place::Landmark => {
                out.push_sql(&format!(" AND ({place}) {comparison} ((SELECT {low} FROM landmark)"));
                if by_id {
                    out.push_sql(", (SELECT low_id FROM landmark)");
                }
                out.push_sql(")");
            }
        }
        out.push_sql(&format!("{order} LIMIT {}) AS users{order} LIMIT (SELECT ", self.reach()));
        out.push_bind_param::<BigInt, _>(&self.rows)?;
        out.push_sql(") OFFSET (SELECT ");
        out.push_bind_param::<BigInt, _>(&self.start.skip)?;
        if let Place::Landmark = self.start.place {
            out.push_sql(" - skipped FROM landmark");
        }
        out.push_sql(")) SELECT ");
        self.columns.walk_ast(out.reborrow())?;
        out.push_sql(&format!(", {key_as_text}, ("));
        match self.start.place {
            Place::Landmark => out.push_sql("SELECT total FROM landmark"),
            Place::Begin | Place::Behind(..) => self.total.walk_ast(out.reborrow())?,
        }
        out.push_sql("), coalesce(activity, 0), coalesce(usage, 0) FROM page AS users LEFT JOIN count_user_rows(ARRAY(SELECT id FROM page)) ON user_id = users.id");
        out.push_sql(&order);
        Ok(())
    }
}

impl QueryId for Page<'_> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Page<'_> {
    type SqlType = (SqlTypeOf<AsSelect<UserRow, Pg>>, Text, BigInt, BigInt, BigInt);
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

/// What a list is ordered by.
struct Order {
    /// What its ranges are called.
    name: &'static str,
    /// As its index has it: written in another way, it would be sorted anew for each page.
    key: &'static str,
    /// As cursors have it. PostgreSQL tells it, whose lower case is not Rust's.
    key_as_text: &'static str,
    /// What of a range's low end it is.
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
                key_as_text: r#"to_char(sort_key AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"#,
                low: "low_time",
                by_id: true,
            },
            UserSortKey::Email => Self {
                name: "email",
                key: "lower(users.email)",
                key_as_text: "sort_key",
                low: "low_text",
                by_id: false,
            },
            UserSortKey::FullName => Self {
                name: "fullName",
                key: "left(coalesce(lower(users.full_name), ''), 200)",
                key_as_text: "sort_key",
                low: "low_text",
                by_id: true,
            },
        }
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
