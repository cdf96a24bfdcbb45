//! Takes away what is long dead, in small batches that nobody waits for: what somebody else has locked is left for the next time.
//!
//! The statements go by time and not by user, unlike all others on growing tables: they run beside the requests, not in them.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::RunQueryDsl;
use subtle_domain::Timestamp;
use subtle_domain::ports::{Clock, StoreError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::pool::Database;

/// How many rows one statement takes away at most.
const BATCH: i64 = 500;

/// What is taken away, how long after its end, and how.
const DEAD: [(&str, TimeDelta, &str); 6] = [
    (
        "sessions that expired",
        TimeDelta::days(7),
        "
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
        )",
    ),
    (
        "sessions that were ended",
        TimeDelta::days(7),
        "
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions WHERE revoked_at < $1 ORDER BY revoked_at LIMIT $2 FOR UPDATE SKIP LOCKED
        )",
    ),
    (
        "bridge tokens",
        TimeDelta::hours(1),
        "
        DELETE FROM bridge_tokens WHERE id IN (
            SELECT id FROM bridge_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
        )",
    ),
    (
        "second factors that nobody confirmed",
        TimeDelta::days(1),
        "
        DELETE FROM second_factors WHERE user_id IN (
            SELECT user_id FROM second_factors WHERE confirmed_at IS NULL AND created_at < $1
            LIMIT $2 FOR UPDATE SKIP LOCKED
        )",
    ),
    (
        "idempotency keys",
        TimeDelta::days(3),
        "
        DELETE FROM idempotency_keys kept USING (
            SELECT caller, key FROM idempotency_keys WHERE created_at < $1
            ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ) AS old
        WHERE kept.caller = old.caller AND kept.key = old.key",
    ),
    (
        "holds",
        TimeDelta::days(35),
        "
        DELETE FROM usage_reservations kept USING (
            SELECT user_id, id FROM usage_reservations WHERE expires_at < $1
            ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ) AS old
        WHERE kept.user_id = old.user_id AND kept.id = old.id",
    ),
];

/// Events of sync logs that are older than the operator keeps them.
const OLD_EVENTS: &str = "
    DELETE FROM sync_logs WHERE id IN (
        SELECT id FROM sync_logs WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
    )";

/// Takes away what is long dead.
#[derive(Debug, Clone)]
pub struct PgCleaner {
    database: Database,
    sync_retention: Option<TimeDelta>,
}

impl PgCleaner {
    /// From `database`; events of sync logs too, where they are not kept for ever.
    #[must_use]
    pub fn new(database: Database, sync_retention: Option<TimeDelta>) -> Self {
        Self { database, sync_retention }
    }

    /// Takes away all that is long dead at `now`, batch by batch; tells how many rows that were.
    pub async fn clean(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut all = 0;
        let events = self.sync_retention.map(|age| ("events in sync logs", age, OLD_EVENTS));
        for (what, age, delete) in DEAD.into_iter().chain(events) {
            let mut rows = 0;
            loop {
                let batch = repeatable!(self.database, connection => sql_query(delete)
                    .bind::<Timestamptz, _>(now - age)
                    .bind::<BigInt, _>(BATCH)
                    .execute(connection))?;
                rows += u64::try_from(batch).unwrap_or(u64::MAX);
                if i64::try_from(batch).is_ok_and(|batch| batch < BATCH) {
                    break;
                }
            }
            if rows > 0 {
                tracing::info!(rows, what, "cleaned up");
            }
            all += rows;
        }
        Ok(all)
    }
}

/// The task that cleans up every so often. When this is dropped the task ends with its batch.
#[derive(Debug)]
#[must_use = "nothing is cleaned up any more once this is dropped"]
pub struct Cleaning {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Cleaning {
    /// Cleans up now and every so often. Must be called inside a Tokio runtime.
    pub fn start(cleaner: PgCleaner, clock: Arc<dyn Clock>, every: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(run(cleaner, clock, every, stopped)) }
    }

    /// Ends it: a batch that is under way is undone.
    pub async fn close(self) {
        let _has_ended = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(error = &error as &dyn std::error::Error, "cleaning up failed");
        }
    }
}

async fn run(cleaner: PgCleaner, clock: Arc<dyn Clock>, every: Duration, mut stopped: oneshot::Receiver<()>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        loop {
            ticks.tick().await;
            if let Err(error) = cleaner.clean(clock.now()).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "what is long dead could not be cleaned up; trying again later");
            }
        }
    };
    tokio::select! {
        () = work => {}
        _ = &mut stopped => {}
    }
}
