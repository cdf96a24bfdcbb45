//! Accounts, a statement at a time.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::UserId;
use subtle_domain::password::PasswordHash;
use subtle_domain::ports::{Accounts, Credentials, StoreError};
use subtle_domain::text::FullName;
use subtle_domain::user::{ProfileChange, User};

use crate::encryption::AVATAR_URL;
use crate::pool::Database;
use crate::schema::users;
use crate::user_row::{CredentialsRow, UserRow, lower};

/// Accounts in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgAccounts {
    database: Database,
}

impl PgAccounts {
    /// Those of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Accounts for PgAccounts {
    async fn find(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let row = scoped!(self.database, id, connection => users::table
            .find(id.as_str())
            .select(UserRow::as_select())
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(|row| row.read(self.database.cipher())).transpose()
    }

    async fn credentials_of_address(&self, email: &EmailAddress) -> Result<Option<Credentials>, StoreError> {
        let row = repeatable!(self.database, connection => users::table
            .filter(lower(users::email).eq(email.as_str()))
            .select(CredentialsRow::as_select())
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(|row| row.read(self.database.cipher())).transpose()
    }

    async fn credentials(&self, id: &UserId) -> Result<Option<Credentials>, StoreError> {
        let row = repeatable!(self.database, connection => users::table
            .find(id.as_str())
            .select(CredentialsRow::as_select())
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(|row| row.read(self.database.cipher())).transpose()
    }

    async fn change_profile(
        &self,
        id: &UserId,
        change: &ProfileChange,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        let full_name = change.full_name.as_ref().map(|name| name.as_ref().map(FullName::as_str));
        let kept = change.avatar_url.as_ref().map(|url| {
            let url = url.as_ref();
            url.map(|url| AVATAR_URL.keep(self.database.cipher(), id.as_str(), url.as_str())).transpose()
        });
        let avatar_url = kept.transpose()?;
        let changes = (
            full_name.map(|name| users::full_name.eq(name)),
            avatar_url.as_ref().map(|url| users::avatar_url.eq(url.as_deref())),
            users::updated_at.eq(now),
        );
        let row = repeatable!(self.database, connection => diesel::update(users::table.find(id.as_str()))
            .filter(users::disabled_at.is_null().and(users::deleted_at.is_null()))
            .set(changes)
            .returning(UserRow::as_returning())
            .get_result(connection)
            .map(OptionalExtension::optional))?;
        row.map(|row| row.read(self.database.cipher())).transpose()
    }

    async fn replace_hash(
        &self,
        id: &UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let changed = once!(self.database, connection => diesel::update(users::table.find(id.as_str()))
            .filter(users::password_hash.eq(from.expose()))
            .set(users::password_hash.eq(to.expose()))
            .execute(connection))?;
        Ok(changed == 1)
    }
}
