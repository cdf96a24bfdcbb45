//! Sessions: single statements on the pool for the hot paths, and the same in bulk inside a unit of work.
//!
//! Whatever ends sessions says so on the channel [`CHANNEL`] with the same commit, so that no replica learns of it too early or
//! not at all. Every statement carries the user's identifier.

mod repository;
mod rotation;
mod rows;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz};
use diesel::{IntoSql, sql_query};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::password::PasswordHash;
use subtle_domain::ports::{Sessions, StoreError};
use subtle_domain::session::{Generation, RevocationReason, Session, SessionPolicy, SessionSummary};
use subtle_domain::token::TokenDigest;
use subtle_domain::user::User;

use crate::batcher::Batcher;
use crate::pool::Database;
use crate::prepared::Prepare;
use crate::schema::{sessions, users};
use crate::scope::Scope;
use crate::user_row::UserRow;
use rotation::{Rotation, rotate_all};
use rows::{Ended, NewRow, SessionRow, SummaryRow, ids, is_new_device};

/// Where revocations are announced: `s:<session id>` or `u:<user id>`.
pub(crate) const CHANNEL: &str = "subtle_revocations";

/// Ends one session.
const REVOKE: &str = "
WITH ended AS (
    UPDATE sessions SET revoked_at = $1, revoked_reason = $2
    WHERE user_id = $3 AND id = $4 AND revoked_at IS NULL
    RETURNING id
)
SELECT id, pg_notify('subtle_revocations', 's:' || id) FROM ended";

/// Ends all sessions of a user but one, or all. Those of another service that wait to be taken over end too.
const REVOKE_ALL_BUT: &str = "
WITH forgotten AS (
    DELETE FROM imported_refresh_tokens WHERE user_id = $3 AND taken_at IS NULL
), ended AS (
    UPDATE sessions SET revoked_at = $1, revoked_reason = $2
    WHERE user_id = $3 AND id IS DISTINCT FROM $4 AND revoked_at IS NULL
    RETURNING id
)
SELECT id, pg_notify('subtle_revocations', 's:' || id) FROM ended";

/// Ends the live sessions of a user but so many that were used last.
const SUPERSEDE: &str = "
WITH ended AS (
    UPDATE sessions SET revoked_at = $1, revoked_reason = $2
    WHERE user_id = $3 AND revoked_at IS NULL AND id IN (
        SELECT id FROM sessions
        WHERE user_id = $3 AND revoked_at IS NULL AND expires_at > $1 AND last_used_at > $4
        ORDER BY last_used_at DESC, id DESC OFFSET $5
    )
    RETURNING id
)
SELECT id, pg_notify('subtle_revocations', 's:' || id) FROM ended";

/// The statement that begins a session: one, on the pool or in a unit of work.
macro_rules! begin {
    ($row:ident, $verified:ident) => {
        users::table
            .filter(users::id.eq($row.user_id))
            .filter(users::password_hash.eq($verified.expose()))
            .filter(users::disabled_at.is_null().and(users::deleted_at.is_null()))
            .filter(users::second_factor_at.is_null().or($row.second_factor.into_sql::<Bool>()))
            .select((
                $row.id.into_sql::<Text>(),
                users::id,
                $row.refresh_token.into_sql::<Text>(),
                $row.expires_at.into_sql::<Timestamptz>(),
                $row.created_at.into_sql::<Timestamptz>(),
                $row.generation.into_sql::<Integer>(),
                $row.salt.into_sql::<Binary>(),
                $row.user_agent.into_sql::<Nullable<Text>>(),
                $row.ip_address.as_deref().into_sql::<Nullable<Text>>(),
                $row.last_used_at.into_sql::<Timestamptz>(),
                Some($row.authenticated_at).into_sql::<Nullable<Timestamptz>>(),
                $row.second_factor.into_sql::<Bool>(),
            ))
            .for_share()
            .insert_into(sessions::table)
            .into_columns((
                sessions::id,
                sessions::user_id,
                sessions::refresh_token,
                sessions::expires_at,
                sessions::created_at,
                sessions::generation,
                sessions::salt,
                sessions::user_agent,
                sessions::ip_address,
                sessions::last_used_at,
                sessions::authenticated_at,
                sessions::second_factor,
            ))
    };
}
use begin;

/// Sessions in PostgreSQL. Those that are exchanged at the same time are read together, and written together.
#[derive(Debug, Clone)]
pub struct PgSessions {
    database: Database,
    readers: Batcher<(UserId, SessionId), Option<(SessionRow, UserRow)>>,
    rotations: Batcher<Rotation, bool>,
}

impl PgSessions {
    /// Those of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        let readers = Batcher::new(database.clone(), |database, asked| find_all(database, asked).boxed());
        let rotations = Batcher::new(database.clone(), |database, steps| rotate_all(database, steps).boxed());
        Self { database, readers, rotations }
    }
}

/// What there is of each, in their order.
async fn find_all(
    database: Database,
    asked: Arc<[(UserId, SessionId)]>,
) -> Result<Vec<Option<(SessionRow, UserRow)>>, StoreError> {
    let (of, ids): (Vec<&str>, Vec<&str>) =
        asked.iter().map(|(user, session)| (user.as_str(), session.as_str())).unzip();
    let found: Vec<(SessionRow, UserRow)> = repeatable!(database, connection => sessions::table
        .inner_join(users::table)
        .filter(sessions::id.eq_any(&ids))
        .filter(sessions::user_id.eq_any(&of))
        .select((SessionRow::as_select(), UserRow::as_select()))
        .load(connection))?;
    let found: HashMap<String, _> = found.into_iter().map(|row| (row.0.id().to_owned(), row)).collect();
    // The same one may have been asked for twice.
    let of = |(user, session): &(UserId, SessionId)| {
        found.get(session.as_str()).filter(|(row, _)| row.is_of(user)).cloned()
    };
    Ok(asked.iter().map(of).collect())
}

#[async_trait]
impl Sessions for PgSessions {
    /// One statement. It waits for whoever is about to close the account, to change its password or to add a second factor, and
    /// sees what they did.
    async fn begin(&self, session: &Session, verified: &PasswordHash) -> Result<bool, StoreError> {
        let row = NewRow::from(session);
        let begun = once!(self.database, connection => begin!(row, verified).execute(connection))?;
        Ok(begun == 1)
    }

    async fn is_new_device(&self, session: &Session) -> Result<bool, StoreError> {
        repeatable!(self.database, connection =>
            diesel::select(is_new_device(session)).get_result(connection))
    }

    async fn find(&self, user: &UserId, session: &SessionId) -> Result<Option<(Session, User)>, StoreError> {
        let row = self.readers.ask((user.clone(), session.clone())).await?;
        row.map(|(session, user)| Ok((session.try_into()?, user.read(self.database.cipher())?))).transpose()
    }

    async fn rotate(
        &self,
        session: &Session,
        next: Generation,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let rotation = Rotation::new(session, next, digest, now);
        if self.rotations.ask(rotation).await? {
            return Ok(true);
        }
        // Somebody was faster, or holds the row. Alone it can wait until it knows.
        // Run twice, it tells the second time that somebody was faster: the caller reads again and finds that it was itself.
        let rotated = repeatable!(self.database, connection => diesel::update(sessions::table)
            .filter(sessions::id.eq(session.id.as_str()))
            .filter(sessions::user_id.eq(session.user_id.as_str()))
            .filter(sessions::generation.eq(session.generation.number()))
            .filter(sessions::revoked_at.is_null())
            .set((
                sessions::generation.eq(next.number()),
                sessions::refresh_token.eq(digest.expose()),
                sessions::last_used_at.eq(now),
            ))
            .execute(connection))?;
        Ok(rotated == 1)
    }

    async fn revoke(
        &self,
        user: &UserId,
        session: &SessionId,
        reason: RevocationReason,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let scope = Scope::of_writer(&self.database, user);
        let ended: Vec<Ended> = scoped_once!(self.database, scope, connection => sql_query(REVOKE)
            .bind::<Timestamptz, _>(now)
            .bind::<Text, _>(reason.as_str())
            .bind::<Text, _>(user.as_str())
            .bind::<Text, _>(session.as_str()).prepared()
            .load(connection))?;
        Ok(!ended.is_empty())
    }

    async fn authenticated(
        &self,
        user: &UserId,
        session: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let row: Option<SessionRow> = repeatable!(self.database, connection => diesel::update(sessions::table)
            .filter(sessions::id.eq(session.as_str()))
            .filter(sessions::user_id.eq(user.as_str()))
            .filter(sessions::revoked_at.is_null())
            .set(sessions::authenticated_at.eq(now))
            .returning(SessionRow::as_returning())
            .get_result(connection)
            .map(OptionalExtension::optional))?;
        row.map(Session::try_from).transpose()
    }

    async fn supersede(
        &self,
        user: &UserId,
        policy: &SessionPolicy,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let ended: Vec<Ended> = once!(self.database, connection => sql_query(SUPERSEDE)
            .bind::<Timestamptz, _>(now)
            .bind::<Text, _>(RevocationReason::Superseded.as_str())
            .bind::<Text, _>(user.as_str())
            .bind::<Timestamptz, _>(now - policy.idle)
            .bind::<BigInt, _>(i64::from(policy.most)).prepared()
            .load(connection))?;
        ids(ended)
    }

    async fn live(
        &self,
        user: &UserId,
        policy: &SessionPolicy,
        now: Timestamp,
        after: Option<(Timestamp, SessionId)>,
        limit: u32,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        let scope = Scope::of_reader(&self.database, user);
        let rows: Vec<SummaryRow> = scoped!(self.database, scope, connection => {
            let mut query = sessions::table
                .filter(sessions::user_id.eq(user.as_str()))
                .filter(sessions::revoked_at.is_null())
                .filter(sessions::expires_at.gt(now))
                .filter(sessions::last_used_at.gt(now - policy.idle))
                .order((sessions::last_used_at.desc(), sessions::id.desc()))
                .limit(limit.into())
                .select(SummaryRow::as_select())
                .into_boxed();
            if let Some((used, id)) = &after {
                let earlier = sessions::last_used_at.lt(*used);
                let tied = sessions::last_used_at.eq(*used).and(sessions::id.lt(id.as_str()));
                query = query.filter(earlier.or(tied));
            }
            query.load(connection)
        })?;
        rows.into_iter().map(SessionSummary::try_from).collect()
    }

    async fn begun(
        &self,
        user: &UserId,
        after: Option<(Timestamp, String)>,
        limit: u32,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        let scope = Scope::of_reader(&self.database, user);
        let rows: Vec<SummaryRow> = scoped!(self.database, scope, connection => {
            let mut page = sessions::table
                .filter(sessions::user_id.eq(user.as_str()))
                .order((sessions::created_at.desc(), sessions::id.desc()))
                .limit(limit.into())
                .select(SummaryRow::as_select())
                .into_boxed();
            if let Some((at, id)) = &after {
                let earlier = sessions::created_at.lt(*at);
                let tied = sessions::created_at.eq(*at).and(sessions::id.lt(id.as_str()));
                page = page.filter(earlier.or(tied));
            }
            page.load(connection)
        })?;
        rows.into_iter().map(SessionSummary::try_from).collect()
    }

    async fn revoke_others(
        &self,
        user: &UserId,
        keep: &SessionId,
        reason: RevocationReason,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let scope = Scope::of_writer(&self.database, user);
        let ended = scoped_once!(self.database, scope, connection => sql_query(REVOKE_ALL_BUT)
            .bind::<Timestamptz, _>(now)
            .bind::<Text, _>(reason.as_str())
            .bind::<Text, _>(user.as_str())
            .bind::<Nullable<Text>, _>(Some(keep.as_str())).prepared()
            .load(connection))?;
        ids(ended)
    }
}
