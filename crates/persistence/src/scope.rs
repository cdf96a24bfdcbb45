//! What is done for one person is done as the role `subtle_user`, which sees rows of theirs alone: a second wall behind the queries.
//!
//! The role is taken on for one transaction, and in the same round trip as the statement that needs it. It is laid down in none that
//! anybody waits for: what a connection is sent is done in that order, so nothing that comes later can be done as the role.

use std::borrow::Cow;

use diesel::QueryResult;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use subtle_domain::ids::UserId;

use crate::pool::Database;
use crate::unit_of_work::PgUnitOfWork;

/// What goes before a statement and after it.
pub(crate) struct Scope {
    opening: Cow<'static, str>,
    closing: Closing,
}

/// What lays the role down.
enum Closing {
    /// Nothing depends on it: it is sent, and that is all.
    Sent(&'static str),
    /// What was written holds only after it.
    Awaited(&'static str),
}

impl Scope {
    /// Reads of one person. `SET` rather than `set_config()`, which would not reach the shards of a Citus cluster.
    pub(crate) fn of_reader(database: &Database, user: &UserId) -> Option<Self> {
        let opening = || format!("BEGIN READ ONLY; {}", become_user(user)).into();
        database.protects_rows().then(|| Self { opening: opening(), closing: Closing::Sent("COMMIT") })
    }

    /// Reads of several, one after the other, where the statement itself sets whose row it looks at: by `set_config()`, and then in a
    /// subquery that is `LATERAL`, takes the identifier from there, and ends with `OFFSET 0`, so that there is no other order to
    /// run it in. One that is wrong about this finds nothing.
    pub(crate) fn of_readers(database: &Database) -> Option<Self> {
        let opening =
            "BEGIN READ ONLY; SET LOCAL ROLE subtle_user; SET LOCAL plan_cache_mode = force_generic_plan"
                .into();
        database.protects_rows().then_some(Self { opening, closing: Closing::Sent("COMMIT") })
    }

    /// A statement that writes rows of one person, alone.
    pub(crate) fn of_writer(database: &Database, user: &UserId) -> Option<Self> {
        let opening = || format!("BEGIN; {}", become_user(user)).into();
        database.protects_rows().then(|| Self { opening: opening(), closing: Closing::Awaited("COMMIT") })
    }

    /// What is shown to members of `pg_read_all_stats`, to which `pg_monitor` belongs, and not to one that inherits nothing.
    pub(crate) const fn of_monitor() -> Self {
        let opening = Cow::Borrowed("BEGIN READ ONLY; SET LOCAL ROLE pg_read_all_stats");
        Self { opening, closing: Closing::Sent("COMMIT") }
    }

    /// A statement within a transaction of others.
    pub(crate) fn of_step(unit: &PgUnitOfWork, user: &UserId) -> Option<Self> {
        let closing = Closing::Sent("SET LOCAL ROLE NONE");
        unit.protects_rows().then(|| Self { opening: become_user(user).into(), closing })
    }

    /// Takes the role on.
    pub(crate) async fn open(&self, mut connection: &AsyncPgConnection) -> QueryResult<()> {
        connection.batch_execute(&self.opening).await
    }

    /// Lays the role down. Comes after the statement's own answer: one that is not prepared yet is sent in two steps, and must not be
    /// overtaken between them.
    pub(crate) async fn close(&self, mut connection: &AsyncPgConnection) -> QueryResult<()> {
        match self.closing {
            // It goes out when it is first polled, before there is anything to wait for.
            Closing::Sent(closing) => connection.batch_execute(closing).now_or_never().unwrap_or(Ok(())),
            Closing::Awaited(closing) => connection.batch_execute(closing).await,
        }
    }
}

fn become_user(user: &UserId) -> String {
    let id = user.as_str().replace('\'', "''");
    format!("SET LOCAL ROLE subtle_user; SET LOCAL app.current_user_id = '{id}'")
}

/// Sends a statement between the two parts of its scope, behind the first without a wait in between. Were the role refused, the
/// transaction would be broken, and the statement fail with it.
macro_rules! between {
    ($scope:expr, $whole:ident, $connection:ident => $query:expr) => {{
        let shared: &diesel_async::AsyncPgConnection = $whole;
        let mut worker = shared;
        let scope: Option<&$crate::scope::Scope> = $scope;
        let $connection = &mut worker;
        let opening = async {
            match scope {
                Some(scope) => scope.open(shared).await,
                None => Ok(()),
            }
        };
        // In this order: the first is sent before the second is looked at.
        let (opened, done) = futures_util::future::join(opening, $query).await;
        let closed = match scope {
            Some(scope) => scope.close(shared).await,
            None => Ok(()),
        };
        opened?;
        let done = done?;
        closed.map(|()| done)
    }};
}

/// A statement about rows of persons that is tried again when its connection broke: `scoped!(database, scope, connection =>
/// query(connection))`.
macro_rules! scoped {
    ($database:expr, $scope:expr, $connection:ident => $query:expr) => {{
        let scope: Option<$crate::scope::Scope> = $scope;
        repeatable!($database, whole => async { between!(scope.as_ref(), whole, $connection => $query) })
    }};
}

/// The same where a second run would tell or do something else.
macro_rules! scoped_once {
    ($database:expr, $scope:expr, $connection:ident => $query:expr) => {{
        let scope: Option<$crate::scope::Scope> = $scope;
        once!($database, whole => async { between!(scope.as_ref(), whole, $connection => $query) })
    }};
}

/// The same inside a unit of work, which may write: `step_as!(unit, user, connection => query(connection))`.
macro_rules! step_as {
    ($unit:expr, $user:expr, $connection:ident => $query:expr) => {{
        let unit: &mut $crate::unit_of_work::PgUnitOfWork = $unit;
        let scope = $crate::scope::Scope::of_step(unit, $user);
        step!(unit, whole => async { between!(scope.as_ref(), whole, $connection => $query) })
    }};
}
