//! Accounts, a statement at a time.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, Text};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::UserId;
use subtle_domain::password::PasswordHash;
use subtle_domain::ports::{Accounts, Credentials, StoreError};
use subtle_domain::text::FullName;
use subtle_domain::user::{ProfileChange, User};

use crate::batcher::Batcher;
use crate::encryption::AVATAR_URL;
use crate::pool::Database;
use crate::prepared::Prepare;
use crate::schema::users;
use crate::scope::Scope;
use crate::user_row::{CredentialsRow, UserRow, lower};

/// Accounts by their identifiers, each looked up as the person whose it is: [`Scope::of_readers`].
const FIND_ALL: &str = "
SELECT found.*
FROM unnest($1) AS asked (id)
CROSS JOIN LATERAL (SELECT set_config('app.current_user_id', asked.id, true) AS id) AS person
CROSS JOIN LATERAL (
    SELECT id, email, full_name, avatar_url, subscription_tier, email_verified, created_at, updated_at, role, disabled_at,
        deleted_at, second_factor_at
    FROM users WHERE users.id = person.id OFFSET 0
) AS found";

/// Accounts in PostgreSQL. Those who are read at the same time are read together.
#[derive(Debug, Clone)]
pub struct PgAccounts {
    database: Database,
    readers: Batcher<UserId, Option<UserRow>>,
}

impl PgAccounts {
    /// Those of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        let readers = Batcher::new(database.clone(), |database, ids| find_all(database, ids).boxed());
        Self { database, readers }
    }
}

/// What there is of each of `ids`, in their order.
async fn find_all(database: Database, ids: Arc<[UserId]>) -> Result<Vec<Option<UserRow>>, StoreError> {
    let texts: Vec<&str> = ids.iter().map(UserId::as_str).collect();
    let found: Vec<UserRow> = scoped!(database, Scope::of_readers(&database), connection => sql_query(FIND_ALL)
        .bind::<Array<Text>, _>(&texts).prepared()
        .load(connection))?;
    let found: HashMap<String, UserRow> = found.into_iter().map(|row| (row.id().to_owned(), row)).collect();
    // The same person may have asked twice.
    Ok(ids.iter().map(|id| found.get(id.as_str()).cloned()).collect())
}

#[async_trait]
impl Accounts for PgAccounts {
    async fn find(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let row = self.readers.ask(id.clone()).await?;
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
        let scope = Scope::of_writer(&self.database, id);
        let row = scoped!(self.database, scope, connection => diesel::update(users::table.find(id.as_str()))
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
