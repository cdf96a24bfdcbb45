//! A connection in use, and what becomes of it.
//!
//! It goes back to the pool only when its last statement is known to be over, but for a read's `COMMIT`, behind which whatever comes next
//! waits its turn. Dropped in any other way, by an error in the middle or a future that nobody awaits any more, it is closed, so that
//! PostgreSQL rolls back at once and no later caller meets an open transaction or waits behind somebody else's statement.
//!
//! A statement that a broken connection has spoilt is tried once more where that can do no harm. One that an outdated plan has spoilt
//! was never run, and is tried again a few times: migrations come in rows.

use std::time::Duration;

use deadpool::managed::Object;
use diesel::QueryResult;
use diesel::result::Error;
use diesel_async::AsyncPgConnection;
use subtle_domain::ports::StoreError;

use crate::error::{Fault, store_error};
use crate::pool::{Connector, Mute};

/// A connection that is closed when this is dropped, unless it was given back.
pub(crate) struct Lease {
    object: Option<Object<Connector>>,
    patience: Duration,
}

impl Lease {
    pub(crate) fn new(object: Object<Connector>, patience: Duration) -> Self {
        Self { object: Some(object), patience }
    }

    /// The connection; an error once it has been closed.
    pub(crate) fn connection(&mut self) -> QueryResult<&mut AsyncPgConnection> {
        let link = self.object.as_mut().ok_or(Error::BrokenTransactionManager)?;
        Ok(link.connection())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.object.is_none()
    }

    /// How long an answer may take.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Gives the connection back for others to use.
    pub(crate) fn give_back(mut self) {
        drop(self.object.take());
    }

    /// Closes the connection. Those that are as old are not used any more if they may share its fate.
    pub(crate) fn close(&mut self, shared_fate: bool) {
        let Some(object) = self.object.take() else { return };
        if let Some(pool) = Object::pool(&object).filter(|_| shared_fate) {
            pool.manager().outdate(&object);
        }
        drop(Object::take(object));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.close(false);
    }
}

/// Whether a statement may be sent again when its connection broke and nobody knows whether it was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It reads, or it leaves the same behind however often it runs.
    Harmless,
    /// It must not.
    Never,
}

/// How often a statement meets a migration before its caller is told.
const STALE_PLANS: u32 = 5;

/// One statement's tries.
pub(crate) struct Tries {
    repeat: Repeat,
    broken: u32,
    stale: u32,
}

impl Tries {
    pub(crate) fn new(repeat: Repeat) -> Self {
        Self { repeat, broken: 0, stale: 0 }
    }

    /// Decides what becomes of a statement's connection, and of its outcome: `None` asks for another try. No outcome is a server
    /// that did not answer.
    pub(crate) fn conclude<T>(
        &mut self,
        mut lease: Lease,
        outcome: Option<QueryResult<T>>,
    ) -> Option<Result<T, StoreError>> {
        let error = match outcome {
            Some(Ok(value)) => {
                lease.give_back();
                return Some(Ok(value));
            }
            Some(Err(error)) => error,
            None => {
                lease.close(true);
                return Some(Err(StoreError::Unavailable(Box::new(Mute))));
            }
        };
        let fault = Fault::of(&error);
        let again = match fault {
            Fault::StalePlan => {
                self.stale += 1;
                self.stale < STALE_PLANS
            }
            Fault::Broken => {
                self.broken += 1;
                self.broken < 2 && self.repeat == Repeat::Harmless
            }
            Fault::Refused | Fault::Again | Fault::Overload | Fault::Unfit | Fault::Defect => false,
        };
        if fault.spares_connection() {
            lease.give_back();
        } else {
            lease.close(matches!(fault, Fault::StalePlan | Fault::Broken));
        }
        (!again).then(|| Err(store_error(error)))
    }
}

/// Runs one statement on a connection of the pool: `repeatable!(database, connection => query(connection))`.
///
/// A macro because the future borrows the connection, and no closure that returns such a future can be shown to be `Send`.
macro_rules! statement {
    ($repeat:expr, $database:expr, $connection:ident => $query:expr) => {{
        let database: &$crate::pool::Database = &$database;
        let work = async {
            let mut tries = $crate::lease::Tries::new($repeat);
            loop {
                let mut lease = database.lease().await?;
                let patience = lease.patience();
                let $connection = lease.connection().map_err($crate::error::store_error)?;
                let span = statement_span!();
                let answer = tokio::time::timeout(patience, $query);
                let outcome = tracing::Instrument::instrument(answer, span.clone()).await.ok();
                $crate::traces::ended(&span, outcome.as_ref());
                if let Some(done) = tries.conclude(lease, outcome) {
                    break done;
                }
            }
        };
        database.in_time(work).await
    }};
}

/// A statement that reads, or that leaves the same behind however often it runs: tried again when its connection broke.
macro_rules! repeatable {
    ($($statement:tt)*) => { statement!($crate::lease::Repeat::Harmless, $($statement)*) };
}

/// A statement whose second run would tell or do something else: tried again only if it was never run.
macro_rules! once {
    ($($statement:tt)*) => { statement!($crate::lease::Repeat::Never, $($statement)*) };
}
