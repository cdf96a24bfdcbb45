//! The list of accounts: which, in what order, from where.

use chrono::DateTime;
use diesel::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use subtle_domain::directory::{PageStart, UserCursor, UserQuery, UserSortKey};
use subtle_domain::ports::StoreError;

use super::page::{Key, Listed, Page, Place, Start, Total, Whom};
use super::search::Search;
use crate::prepared::Prepare;

/// How many accounts are skipped one by one before it is worth a look where they lie; fewer where those between them are skipped too.
const FAR: i64 = 500;
const FAR_AMONG_OTHERS: i64 = 100;
/// How many are looked at behind a landmark: twice as many as the cleaner leaves in a range and the largest page, and, if that is too few,
/// as many as may come into one before it is cut.
const NEAR: [i64; 2] = [1_024, 16_384];

/// A query: whom it is of, and where its page starts.
struct List<'a> {
    query: &'a UserQuery,
    start: &'a Start,
    whom: Whom,
}

/// Where a query's page starts; a conflict if its cursor's key is no time where it ought to be one.
pub(super) fn start(query: &UserQuery) -> Result<Start, StoreError> {
    let UserCursor { key, id } = match &query.start {
        PageStart::Number(number) => {
            let before = i64::from(number.saturating_sub(1));
            return Ok(Start { place: Place::Begin, skip: before.saturating_mul(query.page_size.into()) });
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
    Ok(Start { place: Place::Behind(key, id.to_string()), skip: 0 })
}

/// The page's accounts, and one more if there is one; and how many there are on all pages.
pub(super) async fn read(
    query: &UserQuery,
    start: &Start,
    connection: &mut AsyncPgConnection,
) -> QueryResult<(Vec<Listed>, i64)> {
    let search = match &query.search {
        Some(text) => Some(Search::of(text, connection).await?),
        None => None,
    };
    List { query, start, whom: Whom::of(query, search) }.read(connection).await
}

impl List<'_> {
    async fn read(&self, connection: &mut AsyncPgConnection) -> QueryResult<(Vec<Listed>, i64)> {
        // How many are found depends on what is looked for, and with it the best way to find them: so a search is planned each time.
        if self.whom.is_searched_for() {
            let found = self.page(self.start).load(connection).await?;
            return self.with_total(found, connection).await;
        }
        if self.is_far() {
            for near in NEAR {
                let start = Start { place: Place::Landmark(near), skip: self.start.skip };
                let found: Vec<Listed> = self.page(&start).prepared().load(connection).await?;
                let (found, total) = self.with_total(found, connection).await?;
                // All there, unless more came into a range since it was cut, or the list descends by a text and nothing is cut off its begin.
                let expected = (total - self.start.skip).clamp(0, i64::from(self.query.page_size) + 1);
                if i64::try_from(found.len()).is_ok_and(|found| found == expected) {
                    return Ok((found, total));
                }
            }
        }
        let found = self.page(self.start).prepared().load(connection).await?;
        self.with_total(found, connection).await
    }

    async fn with_total(
        &self,
        found: Vec<Listed>,
        connection: &mut AsyncPgConnection,
    ) -> QueryResult<(Vec<Listed>, i64)> {
        let total = match found.as_slice() {
            [first, ..] => first.total,
            [] if self.whom.is_searched_for() => Total(&self.whom).get_result(connection).await?,
            [] => Total(&self.whom).prepared().get_result(connection).await?,
        };
        Ok((found, total))
    }

    fn is_far(&self) -> bool {
        self.start.skip >= if self.whom.is_everybody() { FAR } else { FAR_AMONG_OTHERS }
    }

    fn page<'b>(&'b self, start: &'b Start) -> Page<'b> {
        Page::new(&self.whom, start, self.query.sort, self.query.page_size)
    }
}
