//! Reading over all accounts, for administrators.
//!
//! Growing tables are never joined to `users` row by row: what is counted in them is counted by a function, for the accounts of one page.

mod list;
mod page;
mod search;
mod stats;

use async_trait::async_trait;
use chrono::SecondsFormat;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::directory::{UserCursor, UserPage, UserQuery, UserRow, UserStats};
use subtle_domain::ids::UserId;
use subtle_domain::ports::{Directory, StoreError};

use self::page::Listed;
use crate::pool::Database;
use crate::prepared::Prepare;
use crate::schema::users;
use crate::user_row::UserRow as Row;

/// What one account has in the growing tables.
const COUNTS: &str = "SELECT activity, usage FROM count_user_rows(ARRAY[$1])";

#[derive(Default, QueryableByName)]
struct Counts {
    #[diesel(sql_type = BigInt)]
    activity: i64,
    #[diesel(sql_type = BigInt)]
    usage: i64,
}

/// Reads from a pool's database.
#[derive(Debug, Clone)]
pub struct PgDirectory {
    database: Database,
}

impl PgDirectory {
    /// Reads from `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Directory for PgDirectory {
    async fn page(&self, query: &UserQuery) -> Result<UserPage, StoreError> {
        let start = list::start(query)?;
        let (mut listed, total) =
            repeatable!(self.database, connection => list::read(query, &start, connection))?;
        let size = usize::try_from(query.page_size).unwrap_or(usize::MAX);
        let more = listed.len() > size;
        listed.truncate(size);
        let last_key = listed.last().and_then(|last| last.key.clone());
        let cipher = self.database.cipher();
        let users: Vec<UserRow> = listed
            .into_iter()
            .map(|Listed { row, activity, usage, .. }| {
                Ok(UserRow { user: row.read(cipher)?, activity, usage })
            })
            .collect::<Result<_, StoreError>>()?;
        let next = users.last().filter(|_| more).map(|UserRow { user: last, .. }| UserCursor {
            key: last_key.unwrap_or_else(|| last.created_at.to_rfc3339_opts(SecondsFormat::Millis, true)),
            id: last.id.clone(),
        });
        Ok(UserPage { users, total, next })
    }

    async fn row(&self, id: &UserId) -> Result<Option<UserRow>, StoreError> {
        let row = repeatable!(self.database, connection => users::table
            .find(id.as_str())
            .filter(users::deleted_at.is_null())
            .select(Row::as_select())
            .first(connection)
            .map(OptionalExtension::optional))?;
        let Some(user) = row.map(|row| row.read(self.database.cipher())).transpose()? else {
            return Ok(None);
        };
        let counts: Option<Counts> = repeatable!(self.database, connection => sql_query(COUNTS)
            .bind::<Text, _>(id.as_str())
            .prepared()
            .get_result(connection)
            .map(OptionalExtension::optional))?;
        let Counts { activity, usage } = counts.unwrap_or_default();
        Ok(Some(UserRow { user, activity, usage }))
    }

    async fn stats(&self, now: Timestamp) -> Result<UserStats, StoreError> {
        repeatable!(self.database, connection => stats::read(now, connection))
    }
}
