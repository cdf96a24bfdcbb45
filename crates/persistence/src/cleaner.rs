//! Takes away what is long dead, in small batches that nobody waits for: what somebody else has locked is left for the next time.
//!
//! The statements go by time and not by user, unlike all others on growing tables: they run beside the requests, not in them.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use diesel::sql_types::{BigInt, Integer, Timestamptz};
use diesel::{select, sql_query};
use diesel_async::RunQueryDsl;
use subtle_domain::Timestamp;
use subtle_domain::ports::{Clock, StoreError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::pool::Database;

/// How many rows one statement takes away at most.
const BATCH: i64 = 500;
/// How many accounts a range of the user list has when it was cut off; at twice as many it is cut again. Half of one is skipped for a page far
/// behind the first, which are few enough even where each lies in another place of the table.
const RANGE: i32 = 256;
/// How often a cut is tried again while somebody writes accounts, and how long it waits before.
const BUSY_TRIES: u32 = 500;
const BUSY_PAUSE: Duration = Duration::from_millis(10);

diesel::define_sql_function! {
    /// Cuts ranges of the user list that have more than twice so many accounts, some at a time; whether there were any, if nobody was
    /// writing accounts.
    fn cut_user_range(size: Integer) -> Nullable<Bool>;
}

/// Rows that are taken away so long after their end.
struct Dead {
    what: &'static str,
    table: &'static str,
    /// What tells their end. There is an index on it.
    end: &'static str,
    /// What else must be so.
    only: &'static str,
    after: TimeDelta,
}

const DEAD: [Dead; 11] = [
    Dead {
        what: "sessions that expired",
        table: "sessions",
        end: "expires_at",
        only: "true",
        after: TimeDelta::days(7),
    },
    Dead {
        what: "sessions that were ended",
        table: "sessions",
        end: "revoked_at",
        only: "true",
        after: TimeDelta::days(7),
    },
    Dead {
        what: "refresh tokens of another service",
        table: "imported_refresh_tokens",
        end: "expires_at",
        only: "true",
        after: TimeDelta::days(7),
    },
    Dead {
        what: "bridge tokens",
        table: "bridge_tokens",
        end: "expires_at",
        only: "true",
        after: subtle_domain::bridge::MEMORY,
    },
    Dead {
        what: "tokens of letters",
        table: "one_time_tokens",
        end: "expires_at",
        only: "true",
        after: TimeDelta::zero(),
    },
    Dead {
        what: "letters that were given up",
        table: "mail_outbox",
        end: "due_at",
        only: "state = 'failed'",
        after: TimeDelta::days(30),
    },
    Dead {
        what: "second factors that nobody confirmed",
        table: "second_factors",
        end: "created_at",
        only: "confirmed_at IS NULL",
        after: TimeDelta::days(1),
    },
    Dead {
        what: "idempotency keys",
        table: "idempotency_keys",
        end: "created_at",
        only: "true",
        after: TimeDelta::days(3),
    },
    Dead {
        what: "holds",
        table: "usage_reservations",
        end: "expires_at",
        only: "true",
        after: TimeDelta::days(35),
    },
    Dead {
        what: "days on which somebody was active",
        table: "active_users",
        end: "day",
        only: "true",
        after: TimeDelta::days(3),
    },
    Dead {
        what: "counts of who was active",
        table: "active_user_counts",
        end: "day",
        only: "true",
        after: TimeDelta::days(3),
    },
];

impl Dead {
    /// Takes a batch away by where its rows lie, so that keys of one column and of two are one case.
    fn statement(&self) -> String {
        let Self { table, end, only, .. } = self;
        format!(
            "DELETE FROM {table} WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM {table} WHERE {end} < $1 AND {only} ORDER BY {end} LIMIT $2 FOR UPDATE SKIP LOCKED
             ))"
        )
    }
}

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
        let events = self.sync_retention.map(|after| Dead {
            what: "events in sync logs",
            table: "sync_logs",
            end: "created_at",
            only: "true",
            after,
        });
        for dead in DEAD.into_iter().chain(events) {
            let (delete, what) = (dead.statement(), dead.what);
            let mut rows = 0;
            loop {
                let batch = repeatable!(self.database, connection => sql_query(delete.as_str())
                    .bind::<Timestamptz, _>(now - dead.after)
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
        self.cut_ranges().await?;
        Ok(all)
    }

    /// Cuts ranges of the user list that have grown large. While somebody writes accounts none can be cut: it waits a little for those
    /// who do, and leaves the rest to the next time.
    async fn cut_ranges(&self) -> Result<(), StoreError> {
        let (mut times, mut patience) = (0_u32, BUSY_TRIES);
        loop {
            let cut: Option<bool> = repeatable!(self.database, connection => select(cut_user_range(RANGE)).get_result(connection))?;
            match cut {
                Some(true) => times += 1,
                Some(false) => break,
                None if patience == 0 => break,
                None => {
                    patience -= 1;
                    sleep(BUSY_PAUSE).await;
                }
            }
        }
        if times > 0 {
            tracing::info!(times, "ranges of the user list were cut");
        }
        Ok(())
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
