//! Sessions inside a unit of work.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Bool, Integer, Nullable, Text, Timestamptz};
use diesel::{IntoSql, sql_query};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::password::PasswordHash;
use subtle_domain::ports::{SessionRepository, StoreError};
use subtle_domain::session::{RevocationReason, Session, SessionSummary};

use super::rows::{Ended, NewRow, SessionRow, SummaryRow, ids, is_new_device};
use super::{CHANNEL, REVOKE, REVOKE_ALL_BUT, begin};
use crate::prepared::Prepare;
use crate::schema::{imported_refresh_tokens, sessions, users};
use crate::unit_of_work::PgUnitOfWork;

diesel::define_sql_function! {
    /// Announces on a channel, at commit.
    fn pg_notify(channel: Text, payload: Text) -> Text;
}

#[async_trait]
impl SessionRepository for PgUnitOfWork {
    async fn add(&mut self, session: &Session) -> Result<(), StoreError> {
        step!(self, connection => diesel::insert_into(sessions::table)
            .values(NewRow::from(session))
            .execute(connection))?;
        Ok(())
    }

    async fn revoke(
        &mut self,
        user: &UserId,
        session: &SessionId,
        reason: RevocationReason,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let ended: Vec<Ended> = step_as!(self, user, connection => sql_query(REVOKE)
            .bind::<Timestamptz, _>(now)
            .bind::<Text, _>(reason.as_str())
            .bind::<Text, _>(user.as_str())
            .bind::<Text, _>(session.as_str()).prepared()
            .load(connection))?;
        Ok(!ended.is_empty())
    }

    async fn hold(&mut self, user: &UserId, id: &SessionId) -> Result<Option<SessionSummary>, StoreError> {
        let row: Option<SummaryRow> = step_as!(self, user, connection => sessions::table
            .filter(sessions::id.eq(id.as_str()))
            .filter(sessions::user_id.eq(user.as_str()))
            .select(SummaryRow::as_select())
            .for_share()
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(SessionSummary::try_from).transpose()
    }

    async fn begin(&mut self, session: &Session, verified: &PasswordHash) -> Result<bool, StoreError> {
        let row = NewRow::from(session);
        let begun = step!(self, connection => begin!(row, verified).execute(connection))?;
        Ok(begun == 1)
    }

    async fn raise(&mut self, user: &UserId, session: &SessionId) -> Result<Option<Session>, StoreError> {
        let row: Option<SessionRow> = step!(self, connection => diesel::update(sessions::table)
            .filter(sessions::id.eq(session.as_str()))
            .filter(sessions::user_id.eq(user.as_str()))
            .filter(sessions::revoked_at.is_null())
            .set(sessions::second_factor.eq(true))
            .returning(SessionRow::as_returning())
            .get_result(connection)
            .map(OptionalExtension::optional))?;
        row.map(Session::try_from).transpose()
    }

    async fn is_new_device(&mut self, session: &Session) -> Result<bool, StoreError> {
        step!(self, connection => diesel::select(is_new_device(session)).get_result(connection))
    }

    async fn revoke_all<'a>(
        &mut self,
        user: &UserId,
        keep: Option<&'a SessionId>,
        reason: RevocationReason,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let ended = step_as!(self, user, connection => sql_query(REVOKE_ALL_BUT)
            .bind::<Timestamptz, _>(now)
            .bind::<Text, _>(reason.as_str())
            .bind::<Text, _>(user.as_str())
            .bind::<Nullable<Text>, _>(keep.map(SessionId::as_str)).prepared()
            .load(connection))?;
        ids(ended)
    }

    async fn delete_all(&mut self, user: &UserId) -> Result<(), StoreError> {
        step!(self, connection => diesel::delete(sessions::table)
            .filter(sessions::user_id.eq(user.as_str()))
            .execute(connection))?;
        step!(self, connection => diesel::delete(imported_refresh_tokens::table)
            .filter(imported_refresh_tokens::user_id.eq(user.as_str()))
            .execute(connection))?;
        let payload = format!("u:{user}");
        step!(self, connection => diesel::select(pg_notify(CHANNEL, payload)).execute(connection))?;
        Ok(())
    }
}
