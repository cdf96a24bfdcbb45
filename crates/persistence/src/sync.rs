//! Sync logs: reading, appending, and who is to be woken by it.
//!
//! An event's place is taken from its person's row in `sync_places`, which stays locked until the event is committed. So who sees an
//! event sees all before it, whichever replica wrote them and however long their transactions took. Rows without a place were written
//! by other programs; they are no part of the feed. Every statement carries the user's identifier.

mod signals;

use async_trait::async_trait;
use diesel::dsl::{max, sql};
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::ids::{SyncEventId, UserId};
use subtle_domain::ports::{StoreError, SyncEvents, SyncRepository};
use subtle_domain::session::ClientInfo;
use subtle_domain::sync::{EventName, Place, PlacedEvent, SyncEvent};
use subtle_domain::text::ErrorMessage;

use crate::error::corrupt;
use crate::pool::Database;
use crate::prepared::Prepare;
use crate::schema::{sync_logs, sync_places};
use crate::scope::Scope;
use crate::unit_of_work::PgUnitOfWork;

pub use signals::Signals;
pub(crate) use signals::Topic;

/// Where events are announced: the user's identifier.
pub(crate) const CHANNEL: &str = "subtle_sync";

/// Takes the next place and holds it, writes an event there, and announces it on commit: one statement, for others who append wait from its
/// beginning. The document travels as text: a parser of ours would not keep every number.
const APPEND: &str = "
    WITH taken AS (
        INSERT INTO sync_places (user_id, last) VALUES ($2, 1)
        ON CONFLICT (user_id) DO UPDATE SET last = sync_places.last + 1
        RETURNING last
    ), kept AS (
        INSERT INTO sync_logs
            (id, user_id, place, event_type, event_source, data, client_ip, user_agent, success, error_message, created_at)
        SELECT $1, $2, last, $3, $4, $5::jsonb, $6, $7, $8, $9, $10 FROM taken
        RETURNING place, data::text AS data
    )
    SELECT place, data, pg_notify($11, $2)::text FROM kept";

/// Sync logs in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgSyncEvents {
    database: Database,
}

impl PgSyncEvents {
    /// Those of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sync_logs)]
struct EventRow {
    id: String,
    user_id: String,
    event_type: String,
    event_source: String,
    // As PostgreSQL prints it.
    #[diesel(select_expression = sql::<Nullable<Text>>("data::text"))]
    #[diesel(select_expression_type = SqlLiteral<Nullable<Text>>)]
    data: Option<String>,
    client_ip: Option<String>,
    user_agent: Option<String>,
    success: bool,
    error_message: Option<String>,
    created_at: Timestamp,
    place: Option<i64>,
}

impl TryFrom<EventRow> for PlacedEvent {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let place = row.place.ok_or_else(|| corrupt("sync_logs", "place"))?;
        Ok(Self { place: Place::new(place), event: row.try_into()? })
    }
}

impl TryFrom<EventRow> for SyncEvent {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let unfit = |column| corrupt("sync_logs", column);
        Ok(Self {
            id: SyncEventId::try_from(row.id).map_err(|_invalid| unfit("id"))?,
            user_id: UserId::try_from(row.user_id).map_err(|_invalid| unfit("user_id"))?,
            event_type: EventName::from_stored(row.event_type),
            source: EventName::from_stored(row.event_source),
            data: row.data,
            success: row.success,
            error: row.error_message.map(ErrorMessage::from_stored),
            client: ClientInfo {
                // Only shown to people.
                ip_address: row.client_ip.and_then(|text| text.parse().ok()),
                user_agent: row.user_agent,
            },
            at: row.created_at,
        })
    }
}

#[async_trait]
impl SyncEvents for PgSyncEvents {
    async fn after(&self, user: &UserId, place: Place, limit: u32) -> Result<Vec<PlacedEvent>, StoreError> {
        let rows: Vec<EventRow> = scoped!(self.database, Scope::of_reader(&self.database, user), connection => sync_logs::table
            .filter(sync_logs::user_id.eq(user.as_str()))
            .filter(sync_logs::place.gt(place.number()))
            .order(sync_logs::place)
            .limit(limit.into())
            .select(EventRow::as_select())
            .prepared()
            .load(connection))?;
        rows.into_iter().map(PlacedEvent::try_from).collect()
    }

    async fn unplaced(
        &self,
        user: &UserId,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<SyncEvent>, StoreError> {
        let rows: Vec<EventRow> = scoped!(self.database, Scope::of_reader(&self.database, user), connection => sync_logs::table
            .filter(sync_logs::user_id.eq(user.as_str()))
            .filter(sync_logs::place.is_null())
            .filter(sync_logs::id.gt(after.as_deref().unwrap_or_default()))
            .order(sync_logs::id)
            .limit(limit.into())
            .select(EventRow::as_select())
            .load(connection))?;
        rows.into_iter().map(SyncEvent::try_from).collect()
    }

    async fn last(&self, user: &UserId) -> Result<Place, StoreError> {
        let last: Option<i64> = scoped!(self.database, Scope::of_reader(&self.database, user), connection => sync_places::table
            .filter(sync_places::user_id.eq(user.as_str()))
            .select(max(sync_places::last))
            .first(connection))?;
        Ok(last.map_or(Place::START, Place::new))
    }
}

/// What a statement that places an event tells of it.
#[derive(QueryableByName)]
struct Placed {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(sql_type = Nullable<Text>)]
    data: Option<String>,
}

#[async_trait]
impl SyncRepository for PgUnitOfWork {
    async fn append(&mut self, event: &SyncEvent) -> Result<PlacedEvent, StoreError> {
        let kept: Placed = step_as!(self, &event.user_id, connection => sql_query(APPEND)
            .bind::<Text, _>(event.id.as_str())
            .bind::<Text, _>(event.user_id.as_str())
            .bind::<Text, _>(event.event_type.as_str())
            .bind::<Text, _>(event.source.as_str())
            .bind::<Nullable<Text>, _>(event.data.as_deref())
            .bind::<Nullable<Text>, _>(event.client.ip_address.map(|address| address.to_string()))
            .bind::<Nullable<Text>, _>(event.client.user_agent.as_deref())
            .bind::<Bool, _>(event.success)
            .bind::<Nullable<Text>, _>(event.error.as_ref().map(ErrorMessage::as_str))
            .bind::<Timestamptz, _>(event.at)
            .bind::<Text, _>(CHANNEL).prepared()
            .get_result(connection))?;
        let event = SyncEvent { data: kept.data, ..event.clone() };
        Ok(PlacedEvent { place: Place::new(kept.place), event })
    }

    async fn find(&mut self, user: &UserId, id: &SyncEventId) -> Result<Option<PlacedEvent>, StoreError> {
        let row: Option<EventRow> = step_as!(self, user, connection => sync_logs::table
            .filter(sync_logs::user_id.eq(user.as_str()))
            .filter(sync_logs::id.eq(id.as_str()))
            .select(EventRow::as_select())
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(PlacedEvent::try_from).transpose()
    }
}
