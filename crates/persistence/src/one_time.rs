//! What is kept of tokens in letters.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::{OneTimeTokenId, UserId};
use subtle_domain::one_time::{OneTimeRecord, Purpose};
use subtle_domain::ports::{OneTimeRecords, OneTimeRepository, StoreError};
use subtle_domain::token::TokenDigest;

use crate::error::corrupt;
use crate::pool::Database;
use crate::schema::one_time_tokens;
use crate::unit_of_work::PgUnitOfWork;

/// What is kept of tokens in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgOneTimeRecords {
    database: Database,
}

impl PgOneTimeRecords {
    /// In `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = one_time_tokens, check_for_backend(diesel::pg::Pg))]
pub(crate) struct OneTimeRow {
    user_id: String,
    purpose: String,
    id: String,
    digest: String,
    salt: Vec<u8>,
    email: String,
    created_at: Timestamp,
    expires_at: Timestamp,
}

impl TryFrom<OneTimeRow> for OneTimeRecord {
    type Error = StoreError;

    fn try_from(row: OneTimeRow) -> Result<Self, StoreError> {
        let unfit = |column| corrupt("one_time_tokens", column);
        Ok(Self {
            id: OneTimeTokenId::try_from(row.id).map_err(|_invalid| unfit("id"))?,
            user_id: UserId::try_from(row.user_id).map_err(|_invalid| unfit("user_id"))?,
            purpose: Purpose::parse(&row.purpose).ok_or_else(|| unfit("purpose"))?,
            digest: TokenDigest::new(row.digest),
            salt: row.salt,
            email: EmailAddress::from_stored(row.email),
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

#[async_trait]
impl OneTimeRecords for PgOneTimeRecords {
    async fn find(&self, digest: &TokenDigest) -> Result<Option<OneTimeRecord>, StoreError> {
        let row: Option<OneTimeRow> = repeatable!(self.database, connection => one_time_tokens::table
            .filter(one_time_tokens::digest.eq(digest.expose()))
            .select(OneTimeRow::as_select())
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(OneTimeRecord::try_from).transpose()
    }
}

#[async_trait]
impl OneTimeRepository for PgUnitOfWork {
    async fn put(&mut self, record: &OneTimeRecord, unless_after: Timestamp) -> Result<bool, StoreError> {
        use one_time_tokens::{created_at, digest, email, expires_at, id, purpose, salt, user_id};
        let put = step!(self, connection => {
            let upsert = diesel::insert_into(one_time_tokens::table)
                .values((
                    user_id.eq(record.user_id.as_str()),
                    purpose.eq(record.purpose.as_str()),
                    id.eq(record.id.as_str()),
                    digest.eq(record.digest.expose()),
                    salt.eq(&record.salt),
                    email.eq(record.email.as_str()),
                    created_at.eq(record.created_at),
                    expires_at.eq(record.expires_at),
                ))
                .on_conflict((user_id, purpose))
                .do_update()
                .set((
                    id.eq(excluded(id)),
                    digest.eq(excluded(digest)),
                    salt.eq(excluded(salt)),
                    email.eq(excluded(email)),
                    created_at.eq(excluded(created_at)),
                    expires_at.eq(excluded(expires_at)),
                ));
            // By its full name, as `QueryDsl` has a method of this name for queries.
            diesel::query_dsl::methods::FilterDsl::filter(upsert, created_at.le(unless_after))
                .execute(connection)
        })?;
        Ok(put == 1)
    }

    async fn spend(&mut self, record: &OneTimeRecord) -> Result<bool, StoreError> {
        let spent = step!(self, connection => diesel::delete(one_time_tokens::table)
            .filter(one_time_tokens::user_id.eq(record.user_id.as_str()))
            .filter(one_time_tokens::purpose.eq(record.purpose.as_str()))
            .filter(one_time_tokens::digest.eq(record.digest.expose()))
            .execute(connection))?;
        Ok(spent == 1)
    }

    async fn void(&mut self, user: &UserId, purpose: Option<Purpose>) -> Result<(), StoreError> {
        let purposes = purpose.map_or(Purpose::ALL.to_vec(), |purpose| vec![purpose]);
        step!(self, connection => diesel::delete(one_time_tokens::table)
            .filter(one_time_tokens::user_id.eq(user.as_str()))
            .filter(one_time_tokens::purpose.eq_any(purposes.into_iter().map(Purpose::as_str)))
            .execute(connection))?;
        Ok(())
    }
}
