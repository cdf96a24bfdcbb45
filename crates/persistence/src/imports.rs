//! Accounts of another service: made in batches of a few statements each, and their sessions, that wait to be taken over.

use std::collections::HashSet;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, Bool, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::import::{ForeignIdentity, ImportedSession};
use subtle_domain::ports::{AlreadyThere, ImportRepository, Imports, NewImport, StoreError};
use subtle_domain::second_factor::Assurance;
use subtle_domain::token::TokenDigest;

use crate::error::corrupt;
use crate::pool::Database;
use crate::prepared::Prepare;
use crate::schema::{imported_identities, imported_refresh_tokens, users};
use crate::scope::Scope;
use crate::unit_of_work::PgUnitOfWork;
use crate::user_row::lower;
use crate::{second_factors, users as accounts};

const IDENTITIES: &str = "
    INSERT INTO imported_identities (user_id, provider, provider_id, created_at, last_sign_in_at)
    SELECT * FROM unnest($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING";

const TOKENS: &str = "
    INSERT INTO imported_refresh_tokens (user_id, digest, session_id, created_at, expires_at, not_after, second_factor)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT DO NOTHING";

/// What was imported into PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgImports {
    database: Database,
}

impl PgImports {
    /// Into `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = imported_refresh_tokens, check_for_backend(diesel::pg::Pg))]
struct SessionRow {
    user_id: String,
    session_id: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    not_after: Option<Timestamp>,
    second_factor: bool,
    taken_at: Option<Timestamp>,
}

impl TryFrom<SessionRow> for ImportedSession {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let unfit = |column| corrupt("imported_refresh_tokens", column);
        Ok(Self {
            id: SessionId::try_from(row.session_id).map_err(|_named_below| unfit("session_id"))?,
            user_id: UserId::try_from(row.user_id).map_err(|_named_below| unfit("user_id"))?,
            created_at: row.created_at,
            expires_at: row.expires_at,
            not_after: row.not_after,
            assurance: if row.second_factor { Assurance::SecondFactor } else { Assurance::Password },
            taken_at: row.taken_at,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = imported_identities, check_for_backend(diesel::pg::Pg))]
struct IdentityRow {
    provider: String,
    provider_id: String,
    created_at: Option<Timestamp>,
    last_sign_in_at: Option<Timestamp>,
}

impl From<IdentityRow> for ForeignIdentity {
    fn from(row: IdentityRow) -> Self {
        let IdentityRow { provider, provider_id, created_at, last_sign_in_at } = row;
        Self { provider, provider_id, created_at, last_sign_in_at }
    }
}

#[async_trait]
impl Imports for PgImports {
    async fn session(&self, digests: &[TokenDigest]) -> Result<Option<ImportedSession>, StoreError> {
        let digests: Vec<&str> = digests.iter().map(TokenDigest::expose).collect();
        let row: Option<SessionRow> = repeatable!(self.database, connection => imported_refresh_tokens::table
            .filter(imported_refresh_tokens::digest.eq_any(&digests))
            .select(SessionRow::as_select())
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(ImportedSession::try_from).transpose()
    }

    async fn forget(&self, user: &UserId, session: &SessionId) -> Result<(), StoreError> {
        repeatable!(self.database, connection => diesel::delete(imported_refresh_tokens::table)
            .filter(imported_refresh_tokens::user_id.eq(user.as_str()))
            .filter(imported_refresh_tokens::session_id.eq(session.as_str()))
            .filter(imported_refresh_tokens::taken_at.is_null())
            .execute(connection))?;
        Ok(())
    }

    async fn identities(&self, user: &UserId) -> Result<Vec<ForeignIdentity>, StoreError> {
        let rows: Vec<IdentityRow> = scoped!(self.database, Scope::of_reader(&self.database, user), connection => imported_identities::table
            .filter(imported_identities::user_id.eq(user.as_str()))
            .order((imported_identities::provider, imported_identities::provider_id))
            .select(IdentityRow::as_select())
            .load(connection))?;
        Ok(rows.into_iter().map(ForeignIdentity::from).collect())
    }
}

#[async_trait]
impl ImportRepository for PgUnitOfWork {
    async fn already_there(
        &mut self,
        ids: &[UserId],
        emails: &[EmailAddress],
    ) -> Result<AlreadyThere, StoreError> {
        let ids: Vec<&str> = ids.iter().map(UserId::as_str).collect();
        let emails: Vec<&str> = emails.iter().map(EmailAddress::as_str).collect();
        let ids: Vec<String> = step!(self, connection => users::table
            .filter(users::id.eq_any(&ids))
            .select(users::id)
            .load(connection))?;
        let emails: Vec<String> = step!(self, connection => users::table
            .filter(lower(users::email).eq_any(&emails))
            .select(lower(users::email))
            .load(connection))?;
        Ok(AlreadyThere {
            ids: user_ids(ids)?,
            emails: emails.into_iter().map(EmailAddress::from_stored).collect(),
        })
    }

    async fn add(&mut self, imports: &[NewImport]) -> Result<HashSet<UserId>, StoreError> {
        let new: Vec<_> = imports.iter().map(|import| &import.new).collect();
        let made = user_ids(accounts::add_all(self, &new).await?)?;
        let taken: Vec<_> = imports.iter().filter(|import| made.contains(&import.new.user.id)).collect();
        let factors: Vec<_> = taken.iter().filter_map(|import| import.factor.as_ref()).collect();
        second_factors::add_all(self, &factors).await?;
        add_identities(self, &taken).await?;
        add_tokens(self, &taken).await?;
        Ok(made)
    }

    async fn take(&mut self, session: &ImportedSession, now: Timestamp) -> Result<bool, StoreError> {
        let taken = step!(self, connection => diesel::update(imported_refresh_tokens::table)
            .filter(imported_refresh_tokens::user_id.eq(session.user_id.as_str()))
            .filter(imported_refresh_tokens::session_id.eq(session.id.as_str()))
            .filter(imported_refresh_tokens::taken_at.is_null())
            .set(imported_refresh_tokens::taken_at.eq(now))
            .execute(connection))?;
        Ok(taken > 0)
    }
}

fn user_ids(ids: Vec<String>) -> Result<HashSet<UserId>, StoreError> {
    let id = |id| UserId::try_from(id).map_err(|_named_below| corrupt("users", "id"));
    ids.into_iter().map(id).collect()
}

async fn add_identities(unit: &mut PgUnitOfWork, imports: &[&NewImport]) -> Result<(), StoreError> {
    let identities = |import: &&NewImport| import.identities.len();
    let users: Vec<&str> = imports
        .iter()
        .flat_map(|import| std::iter::repeat_n(import.new.user.id.as_str(), identities(import)))
        .collect();
    let rows: Vec<&ForeignIdentity> = imports.iter().flat_map(|import| &import.identities).collect();
    step!(unit, connection => sql_query(IDENTITIES)
        .bind::<Array<Text>, _>(users)
        .bind::<Array<Text>, _>(column(&rows, |row| row.provider.as_str()))
        .bind::<Array<Text>, _>(column(&rows, |row| row.provider_id.as_str()))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |row| row.created_at))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |row| row.last_sign_in_at)).prepared()
        .execute(connection))?;
    Ok(())
}

async fn add_tokens(unit: &mut PgUnitOfWork, imports: &[&NewImport]) -> Result<(), StoreError> {
    let mut rows: Vec<(&ImportedSession, &TokenDigest)> = Vec::new();
    for (session, digests) in imports.iter().flat_map(|import| &import.sessions) {
        rows.extend(digests.iter().map(|digest| (session, digest)));
    }
    let sessions: Vec<&ImportedSession> = column(&rows, |(session, _)| *session);
    step!(unit, connection => sql_query(TOKENS)
        .bind::<Array<Text>, _>(column(&sessions, |session| session.user_id.as_str()))
        .bind::<Array<Text>, _>(column(&rows, |(_, digest)| digest.expose()))
        .bind::<Array<Text>, _>(column(&sessions, |session| session.id.as_str()))
        .bind::<Array<Timestamptz>, _>(column(&sessions, |session| session.created_at))
        .bind::<Array<Timestamptz>, _>(column(&sessions, |session| session.expires_at))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(&sessions, |session| session.not_after))
        .bind::<Array<Bool>, _>(column(&sessions, |session| session.assurance == Assurance::SecondFactor)).prepared()
        .execute(connection))?;
    Ok(())
}

fn column<'a, R, T: 'a>(rows: &'a [R], cell: impl FnMut(&'a R) -> T) -> Vec<T> {
    rows.iter().map(cell).collect()
}
