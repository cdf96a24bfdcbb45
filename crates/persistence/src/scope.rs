//! What is done for one person is done as the role `subtle_user`, which sees rows of theirs alone: a second wall behind the queries.
//!
//! The role is taken on for one transaction, and in the same round trip as the statement that needs it.

use std::borrow::Cow;

use subtle_domain::ids::UserId;

use crate::pool::Database;
use crate::unit_of_work::PgUnitOfWork;

/// What goes before a statement and after it.
pub(crate) struct Scope {
    pub(crate) opening: Cow<'static, str>,
    pub(crate) closing: &'static str,
}

impl Scope {
    /// Reads of one person. `SET` rather than `set_config()`, which would not reach the shards of a Citus cluster.
    pub(crate) fn of_reader(database: &Database, user: &UserId) -> Option<Self> {
        let opening = format!("BEGIN READ ONLY; {}", become_user(user)).into();
        database.protects_rows().then_some(Self { opening, closing: "COMMIT" })
    }

    /// Reads of several, one after the other, where the statement itself sets whose row it looks at: by `set_config()`, and then in a
    /// subquery that is `LATERAL`, takes the identifier from there, and ends with `OFFSET 0`, so that there is no other order to
    /// run it in. One that is wrong about this finds nothing.
    pub(crate) fn of_readers(database: &Database) -> Option<Self> {
        let opening =
            "BEGIN READ ONLY; SET LOCAL ROLE subtle_user; SET LOCAL plan_cache_mode = force_generic_plan"
                .into();
        database.protects_rows().then_some(Self { opening, closing: "COMMIT" })
    }

    /// A statement within a transaction of others.
    pub(crate) fn of_step(unit: &PgUnitOfWork, user: &UserId) -> Option<Self> {
        unit.protects_rows()
            .then(|| Self { opening: become_user(user).into(), closing: "SET LOCAL ROLE NONE" })
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
        let (mut opener, mut worker, mut closer) = (shared, shared, shared);
        let scope: Option<&$crate::scope::Scope> = $scope;
        let $connection = &mut worker;
        let opening = async {
            match scope {
                Some(scope) => {
                    diesel_async::SimpleAsyncConnection::batch_execute(&mut opener, &scope.opening).await
                }
                None => Ok(()),
            }
        };
        // In this order: the first is sent before the second is looked at.
        let (opened, done) = futures_util::future::join(opening, $query).await;
        let closed = match scope {
            Some(scope) => {
                diesel_async::SimpleAsyncConnection::batch_execute(&mut closer, scope.closing).await
            }
            None => Ok(()),
        };
        opened?;
        let done = done?;
        closed.map(|()| done)
    }};
}

/// A statement that reads rows of persons: `scoped!(database, scope, connection => query(connection))`.
macro_rules! scoped {
    ($database:expr, $scope:expr, $connection:ident => $query:expr) => {{
        let scope: Option<$crate::scope::Scope> = $scope;
        repeatable!($database, whole => async { between!(scope.as_ref(), whole, $connection => $query) })
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
