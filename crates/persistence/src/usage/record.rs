//! The statement that writes usage, and what tells what became of each event.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bigdecimal::BigDecimal;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Numeric, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use subtle_domain::Timestamp;
use subtle_domain::ids::{UsageId, UserId};
use subtle_domain::money::Cost;
use subtle_domain::ports::StoreError;
use subtle_domain::text::{IdempotencyKey, Label};
use subtle_domain::usage::{Count, Recorded, Usage, UsageEvent};

use crate::error::corrupt;
use crate::prepared::Prepare;
use crate::refusal::Shared;
use crate::schema::user_usage_metrics;

/// Writes the events of accounts that are there, and adds them to the sums of their days; gives the positions of those of accounts
/// that are there, and whether they were written.
///
/// All rows come first and the sums after them, each in the order of their keys: so statements that run at once wait for each other
/// in one direction only. What is known under a key is left alone; of two events of one key the first is written.
const WRITE: &str = "
    WITH event AS (
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) WITH ORDINALITY
            AS event (id, user_id, request_count, total_tokens, total_cost, feature_type, idempotency_key,
                created_at, occurred_at_given, position)
    ), known AS (
        SELECT event.* FROM event JOIN users ON users.id = event.user_id WHERE users.deleted_at IS NULL
    ), written AS (
        INSERT INTO user_usage_metrics (id, user_id, request_count, total_tokens, total_cost, feature_type,
            idempotency_key, created_at, occurred_at_given)
        SELECT id, user_id, request_count, total_tokens, total_cost, feature_type,
            idempotency_key, created_at, occurred_at_given
        FROM known ORDER BY user_id, idempotency_key, position
        ON CONFLICT DO NOTHING
        RETURNING id, user_id, request_count, total_tokens, total_cost, feature_type, created_at
    ), summed AS (
        INSERT INTO usage_daily AS daily (user_id, day, feature_type, events, request_count, total_tokens, total_cost)
        SELECT user_id, (created_at AT TIME ZONE 'UTC')::date AS day, coalesce(feature_type, '') AS feature,
            count(*), sum(request_count), sum(total_tokens), sum(total_cost)
        FROM written
        GROUP BY user_id, day, feature
        ORDER BY user_id, day, feature
        ON CONFLICT (user_id, day, feature_type) DO UPDATE SET
            events = daily.events + excluded.events,
            request_count = daily.request_count + excluded.request_count,
            total_tokens = daily.total_tokens + excluded.total_tokens,
            total_cost = daily.total_cost + excluded.total_cost
    )
    SELECT position, id IN (SELECT id FROM written) AS written FROM known";

/// What is known under some users' keys, and some users' rows of some identifiers.
const EARLIER: &str = "
    SELECT m.id, m.user_id, m.request_count, m.total_tokens, m.total_cost, m.feature_type, m.idempotency_key,
        m.created_at, m.occurred_at_given
    FROM unnest($1, $2) AS asked (user_id, idempotency_key)
    JOIN user_usage_metrics m ON m.user_id = asked.user_id AND m.idempotency_key = asked.idempotency_key
    UNION ALL
    SELECT m.id, m.user_id, m.request_count, m.total_tokens, m.total_cost, m.feature_type, m.idempotency_key,
        m.created_at, m.occurred_at_given
    FROM unnest($3, $4) AS asked (user_id, id)
    JOIN user_usage_metrics m ON m.user_id = asked.user_id AND m.id = asked.id";

/// Events, column by column.
pub(super) struct Batch<'a> {
    ids: Vec<&'a str>,
    users: Vec<&'a str>,
    requests: Vec<i32>,
    tokens: Vec<i32>,
    costs: Vec<&'a BigDecimal>,
    features: Vec<Option<&'a str>>,
    keys: Vec<Option<&'a str>>,
    times: Vec<Timestamp>,
    times_given: Vec<bool>,
}

impl<'a> Batch<'a> {
    pub(super) fn of(events: impl Iterator<Item = &'a UsageEvent> + Clone) -> Self {
        Self {
            ids: events.clone().map(|event| event.id.as_str()).collect(),
            users: events.clone().map(|event| event.user_id.as_str()).collect(),
            requests: events.clone().map(|event| event.usage.requests.get()).collect(),
            tokens: events.clone().map(|event| event.usage.tokens.get()).collect(),
            costs: events.clone().map(|event| event.usage.cost.value()).collect(),
            features: events.clone().map(|event| event.feature.as_ref().map(Label::as_str)).collect(),
            keys: events.clone().map(|event| event.key.as_ref().map(IdempotencyKey::as_str)).collect(),
            times: events.clone().map(|event| event.at).collect(),
            times_given: events.map(|event| event.at_given).collect(),
        }
    }

    pub(super) async fn write(&self, connection: &mut AsyncPgConnection) -> QueryResult<Written> {
        let rows: Vec<WrittenRow> = sql_query(WRITE)
            .bind::<Array<Text>, _>(&self.ids)
            .bind::<Array<Text>, _>(&self.users)
            .bind::<Array<Integer>, _>(&self.requests)
            .bind::<Array<Integer>, _>(&self.tokens)
            .bind::<Array<Numeric>, _>(&self.costs)
            .bind::<Array<Nullable<Text>>, _>(&self.features)
            .bind::<Array<Nullable<Text>>, _>(&self.keys)
            .bind::<Array<Timestamptz>, _>(&self.times)
            .bind::<Array<Bool>, _>(&self.times_given)
            .prepared()
            .load(connection)
            .await?;
        let mut written = vec![None; self.ids.len()];
        for row in rows {
            let place = usize::try_from(row.position).ok().and_then(|position| position.checked_sub(1));
            if let Some(slot) = place.and_then(|place| written.get_mut(place)) {
                *slot = Some(row.written);
            }
        }
        Ok(Written(written))
    }

    /// The rows that were there before, in the way of those events that were left alone. Asked in a statement of its own, which sees
    /// what the others have committed meanwhile.
    pub(super) async fn earlier(
        &self,
        written: &Written,
        connection: &mut AsyncPgConnection,
    ) -> QueryResult<Vec<EventRow>> {
        let (mut keyed, mut unkeyed) = (HashSet::new(), HashSet::new());
        let events = self.users.iter().zip(&self.keys).zip(&self.ids).zip(&written.0);
        for (((user, key), id), _) in events.filter(|(_, written)| **written == Some(false)) {
            match key {
                Some(key) => keyed.insert((*user, *key)),
                None => unkeyed.insert((*user, *id)),
            };
        }
        let (key_users, keys): (Vec<_>, Vec<_>) = keyed.into_iter().unzip();
        let (id_users, ids): (Vec<_>, Vec<_>) = unkeyed.into_iter().unzip();
        sql_query(EARLIER)
            .bind::<Array<Text>, _>(key_users)
            .bind::<Array<Text>, _>(keys)
            .bind::<Array<Text>, _>(id_users)
            .bind::<Array<Text>, _>(ids)
            .prepared()
            .load(connection)
            .await
    }
}

#[derive(QueryableByName)]
struct WrittenRow {
    /// Counted from 1.
    #[diesel(sql_type = BigInt)]
    position: i64,
    #[diesel(sql_type = Bool)]
    written: bool,
}

/// Of each event, in their order, whether it was written; `None` where there is no such account.
pub(super) struct Written(Vec<Option<bool>>);

impl Written {
    /// Whether something was left alone, so that it must be looked at what was there before.
    pub(super) fn leaves_questions(&self) -> bool {
        self.0.contains(&Some(false))
    }

    /// Tells what became of each event. A look at what was there before that failed concerns only those that it was for.
    pub(super) fn judge(
        &self,
        events: &[&UsageEvent],
        earlier: Result<Vec<EventRow>, StoreError>,
    ) -> Vec<Result<Recorded, StoreError>> {
        let (earlier, failure) = match earlier {
            Ok(rows) => (rows, None),
            Err(error) => (Vec::new(), Some(Arc::new(error))),
        };
        let known: HashMap<_, _> = earlier.iter().map(|row| (row.known_as(), row)).collect();
        let look = |event: &UsageEvent| {
            if let Some(error) = &failure {
                return Err(Shared::tell(Arc::clone(error)));
            }
            let row = known.get(&known_as(event)).ok_or_else(|| StoreError::Again(Box::new(Vanished)))?;
            let known = UsageEvent::try_from((*row).clone())?;
            let (own, same) = (known.id == event.id, event.repeats(&known));
            match (own, same) {
                // The statement was sent twice: its first run was not in vain.
                (true, true) => Ok(Recorded::Accepted(known.id)),
                (false, true) => Ok(Recorded::Duplicate(known.id)),
                (_, false) if event.key.is_some() => Ok(Recorded::Conflict(known.id)),
                (_, false) => Err(StoreError::Conflict(Box::new(Taken))),
            }
        };
        let judge = |(event, written): (&&UsageEvent, &Option<bool>)| match written {
            None => Ok(Recorded::UnknownUser),
            Some(true) => Ok(Recorded::Accepted(event.id.clone())),
            Some(false) => look(event),
        };
        events.iter().zip(&self.0).map(judge).collect()
    }
}

/// What was in an event's way has been deleted since.
#[derive(Debug, thiserror::Error)]
#[error("a row of usage vanished while it was looked at")]
struct Vanished;

/// An event without a key has the identifier of another.
#[derive(Debug, thiserror::Error)]
#[error("the identifier of an event is that of another")]
struct Taken;

/// Under what an event or a row of a user is found: its key, or else its identifier.
#[derive(PartialEq, Eq, Hash)]
enum KnownAs<'a> {
    Key(&'a str, &'a str),
    Id(&'a str, &'a str),
}

fn known_as(event: &UsageEvent) -> KnownAs<'_> {
    let user = event.user_id.as_str();
    event.key.as_ref().map_or(KnownAs::Id(user, event.id.as_str()), |key| KnownAs::Key(user, key.as_str()))
}

/// A row as an event.
#[derive(Clone, QueryableByName, Queryable, Selectable)]
#[diesel(table_name = user_usage_metrics, check_for_backend(diesel::pg::Pg))]
pub(super) struct EventRow {
    id: String,
    user_id: String,
    request_count: i32,
    total_tokens: i32,
    total_cost: BigDecimal,
    feature_type: Option<String>,
    idempotency_key: Option<String>,
    created_at: Timestamp,
    occurred_at_given: bool,
}

impl EventRow {
    fn known_as(&self) -> KnownAs<'_> {
        let key = self.idempotency_key.as_deref();
        key.map_or(KnownAs::Id(&self.user_id, &self.id), |key| KnownAs::Key(&self.user_id, key))
    }
}

impl TryFrom<EventRow> for UsageEvent {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let unfit = |column| move || corrupt("user_usage_metrics", column);
        let key = row.idempotency_key.as_deref().map(IdempotencyKey::parse).transpose();
        Ok(Self {
            id: UsageId::try_from(row.id).ok().ok_or_else(unfit("id"))?,
            user_id: UserId::try_from(row.user_id).ok().ok_or_else(unfit("user_id"))?,
            usage: Usage {
                requests: Count::new(row.request_count.into()).ok().ok_or_else(unfit("request_count"))?,
                tokens: Count::new(row.total_tokens.into()).ok().ok_or_else(unfit("total_tokens"))?,
                cost: Cost::from_stored(row.total_cost),
            },
            feature: row.feature_type.map(Label::from_stored),
            key: key.ok().ok_or_else(unfit("idempotency_key"))?,
            at: row.created_at,
            at_given: row.occurred_at_given,
        })
    }
}

/// The row of an identifier.
pub(super) async fn find(
    user: &UserId,
    id: &UsageId,
    connection: &mut AsyncPgConnection,
) -> QueryResult<Option<EventRow>> {
    user_usage_metrics::table
        .filter(user_usage_metrics::user_id.eq(user.as_str()))
        .filter(user_usage_metrics::id.eq(id.as_str()))
        .select(EventRow::as_select())
        .first(connection)
        .await
        .optional()
}
