//! What is done for one person is done as the role `subtle_user`, which sees rows of theirs alone: a second wall behind the queries.
//!
//! The role is taken on for one transaction, and in the same round trip as the statement that needs it. `SET` rather than `set_config()`,
//! which would not reach the shards of a Citus cluster.

use subtle_domain::ids::UserId;

/// Takes the role on inside a transaction.
pub(crate) fn become_user(user: &UserId) -> String {
    let id = user.as_str().replace('\'', "''");
    format!("SET LOCAL ROLE subtle_user; SET LOCAL app.current_user_id = '{id}'")
}

/// Lays it down before the transaction is over.
pub(crate) const BECOME_ONESELF: &str = "SET LOCAL ROLE NONE";

/// A statement that reads rows of one person: `scoped!(database, user, connection => query(connection))`.
///
/// It is sent behind the beginning of its transaction without a wait in between. Were the role refused, the transaction would be
/// broken, and the statement fail with it.
macro_rules! scoped {
    ($database:expr, $user:expr, $connection:ident => $query:expr) => {{
        let scope = $database
            .protects_rows()
            .then(|| format!("BEGIN READ ONLY; {}", $crate::scope::become_user($user)));
        repeatable!($database, whole => async {
            let shared: &diesel_async::AsyncPgConnection = whole;
            let (mut opener, mut reader, mut closer) = (shared, shared, shared);
            let $connection = &mut reader;
            let opening = async {
                match &scope {
                    Some(scope) => diesel_async::SimpleAsyncConnection::batch_execute(&mut opener, scope).await,
                    None => Ok(()),
                }
            };
            // In this order: the first is sent before the second is looked at.
            let (opened, found) = futures_util::future::join(opening, $query).await;
            let closed = match &scope {
                Some(_) => diesel_async::SimpleAsyncConnection::batch_execute(&mut closer, "COMMIT").await,
                None => Ok(()),
            };
            opened?;
            let found = found?;
            closed.map(|()| found)
        })
    }};
}

/// The same for a statement inside a unit of work, which may write: `step_as!(unit, user, connection => query(connection))`.
macro_rules! step_as {
    ($unit:expr, $user:expr, $connection:ident => $query:expr) => {{
        let unit: &mut $crate::unit_of_work::PgUnitOfWork = $unit;
        let scope = unit.protects_rows().then(|| $crate::scope::become_user($user));
        step!(unit, whole => async {
            let shared: &diesel_async::AsyncPgConnection = whole;
            let (mut opener, mut worker, mut closer) = (shared, shared, shared);
            let $connection = &mut worker;
            let opening = async {
                match &scope {
                    Some(scope) => diesel_async::SimpleAsyncConnection::batch_execute(&mut opener, scope).await,
                    None => Ok(()),
                }
            };
            let (opened, done) = futures_util::future::join(opening, $query).await;
            opened?;
            let done = done?;
            if scope.is_some() {
                let oneself = $crate::scope::BECOME_ONESELF;
                diesel_async::SimpleAsyncConnection::batch_execute(&mut closer, oneself).await?;
            }
            Ok(done)
        })
    }};
}
