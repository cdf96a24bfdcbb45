//! Reading over all accounts, for administrators.
//!
//! Growing tables are never joined to `users` row by row: what is counted in them is counted for the accounts of one page, by a
//! statement of its own.

mod counts;
mod landmark;
mod list;
mod stats;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::directory::{UserCursor, UserPage, UserQuery, UserRow, UserStats};
use subtle_domain::ids::UserId;
use subtle_domain::ports::{Directory, StoreError};
use subtle_domain::user::User;

use self::counts::Counts;
use self::list::List;
use crate::pool::Database;
use crate::schema::users;
use crate::user_row::UserRow as Row;

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

    async fn counted(&self, accounts: Vec<User>) -> Result<Vec<UserRow>, StoreError> {
        let ids: Vec<&str> = accounts.iter().map(|user| user.id.as_str()).collect();
        let counts = repeatable!(self.database, connection => Counts::read(&ids, connection))?;
        Ok(accounts.into_iter().map(|user| counts.row(user)).collect())
    }
}

#[async_trait]
impl Directory for PgDirectory {
    async fn page(&self, query: &UserQuery) -> Result<UserPage, StoreError> {
        let list = List::of(query)?;
        let (rows, total) = repeatable!(self.database, connection => list.read(connection))?;
        let size = usize::try_from(query.page_size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        let mut accounts = Vec::with_capacity(rows.len());
        let mut last_key = None;
        for (row, key) in rows.into_iter().take(size) {
            accounts.push(row.read(self.database.cipher())?);
            last_key = Some(key);
        }
        let end = accounts.last().zip(last_key).filter(|_| more);
        let next = end.map(|(user, key)| UserCursor { key, id: user.id.clone() });
        Ok(UserPage { users: self.counted(accounts).await?, total, next })
    }

    async fn row(&self, id: &UserId) -> Result<Option<UserRow>, StoreError> {
        let row = repeatable!(self.database, connection => users::table
            .find(id.as_str())
            .filter(users::deleted_at.is_null())
            .select(Row::as_select())
            .first(connection)
            .map(OptionalExtension::optional))?;
        let account = row.map(|row| row.read(self.database.cipher())).transpose()?;
        let accounts: Vec<User> = account.into_iter().collect();
        Ok(self.counted(accounts).await?.pop())
    }

    async fn stats(&self, now: Timestamp) -> Result<UserStats, StoreError> {
        repeatable!(self.database, connection => stats::read(now, connection))
    }
}
