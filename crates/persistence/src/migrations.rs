//! Brings a database up to date, one migration after the other, each in a transaction of its own.
//!
//! Any number of processes may start at once: an advisory lock lets one migrate while the others wait and then find nothing left to
//! do. A statement waits for its locks a few seconds only, since all that comes after it on the table queues up behind it; the
//! migration is then undone and tried again. What fails leaves nothing behind, and the error names migration and statement.

mod adopt;
mod done;
mod grants;
mod made;
mod revert;
mod roles;
mod script;
mod split;
mod standing;

use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::migration::{Migration, MigrationVersion};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{Bool, Nullable, Text};
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::MigrationHarness;
use subtle_domain::Timestamp;

use crate::error::Fault;
use crate::options::{InvalidUrl, PoolOptions};
use crate::pool::{ConnectError, Connector};
pub use adopt::{AdoptError, Adopted, adopt};
pub use done::Done;
pub use grants::{check_rights, grant_again, grant_to, granted};
pub(crate) use made::indexes;
use revert::Loss;
use script::{SCRIPTS, Script, StatementFailed};
use standing::{Standing, standing};

/// Diesel's own connection to a database, driven by a thread that may block.
type Harness = AsyncConnectionWrapper<AsyncPgConnection>;

/// "subtle" in ASCII: the advisory lock that one who migrates holds.
const LOCK: &str = "SET lock_timeout = 0; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
                    SELECT pg_advisory_lock(126948000164965);";
/// For statements that don't set one of their own.
const WAIT_FOR_LOCKS: &str = "SET lock_timeout = '5s'";
/// How often a migration is tried that does not get its locks.
const TRIES: u32 = 12;
/// In between, so that what had queued up gets through.
const PAUSE: Duration = Duration::from_millis(500);

/// Why a database could not be migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The URL is none.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// It can't be reached.
    #[error("cannot reach the database that is to be migrated")]
    Connect(#[from] ConnectError),
    /// A statement failed. Nothing of its migration is left.
    #[error("migration {migration} failed at `{statement}`: {message}")]
    Statement {
        /// The migration's name.
        migration: String,
        /// The statement, shortened.
        statement: String,
        /// What the server said.
        message: String,
    },
    /// It was made by somebody else.
    #[error(
        "there is a table users here that no migration made: if Prisma made it, `subtle migrate --adopt` takes it over"
    )]
    Foreign,
    /// The last migration came from a newer version of this program, which alone knows the way back.
    #[error("migration {0} is not known to this version: revert it with the version that applied it")]
    Unknown(String),
    /// There is something in the tables that would go.
    #[error(
        "reverting {migration} drops {what}: `--force` does it in spite of that; back up before (`subtle backup`)"
    )]
    HoldsRows {
        /// The migration's name.
        migration: String,
        /// What would be lost.
        what: String,
    },
    /// The list of applied migrations could not be read or written.
    #[error("the list of applied migrations could not be read or written: {0}")]
    List(String),
    /// A role could not be made, or was not given what it needs.
    #[error("the role could not be given what it needs: {0}")]
    Grant(String),
    /// There is something to do that whoever asks may not do.
    #[error(
        "{pending} migrations are pending and {role} may not run them: let the owner run `subtle migrate`"
    )]
    NotAllowed {
        /// How many are to come.
        pending: usize,
        /// Who asks.
        role: String,
    },
    /// Who is to serve may not use all tables.
    #[error(
        "the role {role} may not do with {tables} what a server does: let the owner run `subtle migrate --grant-to {role}`"
    )]
    Lacks {
        /// Who is to serve.
        role: String,
        /// The tables.
        tables: String,
    },
    /// The process is shutting down.
    #[error("interrupted")]
    Interrupted,
}

impl From<Box<dyn std::error::Error + Send + Sync>> for MigrateError {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        match error.downcast::<StatementFailed>() {
            Ok(failed) => Self::Statement {
                message: failed.error.to_string(),
                migration: failed.migration,
                statement: failed.statement,
            },
            Err(error) => Self::List(error.to_string()),
        }
    }
}

/// What has become of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is in the database.
    Applied,
    /// It is still to come.
    Pending,
    /// It is in the database, but a newer version of this program put it there.
    Unknown,
}

/// A migration and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name; of one that isn't known, its version.
    pub name: String,
    /// What has become of it.
    pub state: State,
    /// When it was applied.
    pub at: Option<Timestamp>,
    /// By which role, if that is known.
    pub by: Option<String>,
}

/// Applies all that is missing, and names it. Where nothing is, whoever may read the database may do this.
pub async fn migrate(url: &str) -> Result<Vec<String>, MigrateError> {
    migrate_at(PoolOptions::from_url(url)?, |_| ()).await
}

/// The same, for a database that is reached otherwise than by a URL; tells of each step when it is done, also before one that fails. Who could
/// run the service in the database still can when this has ended well.
pub async fn migrate_at(
    options: PoolOptions,
    mut tell: impl FnMut(&Done) + Send + 'static,
) -> Result<Vec<String>, MigrateError> {
    let mut connection = Connector::new(options).connect().await?;
    let standing = standing(&mut connection).await.map_err(|error| MigrateError::List(error.to_string()))?;
    match standing {
        Standing::Done => Ok(Vec::new()),
        Standing::NotAllowed { pending, role } => Err(MigrateError::NotAllowed { pending, role }),
        Standing::Unread { role } => {
            Err(MigrateError::Lacks { role, tables: "__diesel_schema_migrations".to_owned() })
        }
        Standing::Behind => alone_on(connection, move |harness| up(harness, SCRIPTS, &mut tell)).await,
    }
}

/// Whether what is done for one person can be done as `subtle_user`, who sees rows of theirs alone.
pub async fn are_rows_protected(url: &str) -> Result<bool, MigrateError> {
    let mut connection = connect(url).await?;
    let found = holds(&mut connection, roles::ARE_ROWS_PROTECTED).await;
    found.map_err(|error| MigrateError::List(error.to_string()))
}

async fn holds(connection: &mut AsyncPgConnection, query: &str) -> QueryResult<bool> {
    Ok(diesel::sql_query(query).get_result::<Exists>(connection).await?.exists)
}

/// The versions of all migrations that this program knows.
pub fn versions() -> impl Iterator<Item = String> {
    SCRIPTS.iter().map(|script| script.version().to_string())
}

/// Reverts the last migration, and names it; `None` if there was none. One that made tables is left if they hold rows, or were there before
/// it was applied.
pub async fn revert_last(url: &str) -> Result<Option<String>, MigrateError> {
    alone(url, |harness| revert::down(harness, SCRIPTS, Loss::Refused)).await
}

/// Reverts the last migration, whatever goes with it.
pub async fn revert_last_with_its_rows(url: &str) -> Result<Option<String>, MigrateError> {
    alone(url, |harness| revert::down(harness, SCRIPTS, Loss::Accepted)).await
}

/// All migrations and what has become of them. Changes nothing.
pub async fn status(url: &str) -> Result<Vec<Step>, MigrateError> {
    let mut connection = connect(url).await?;
    let applied = applied(&mut connection).await.map_err(|error| MigrateError::List(error.to_string()))?;
    let step = |name: &str, state, row: Option<&Applied>| Step {
        name: name.to_owned(),
        state,
        at: row.map(|row| row.run_on.and_utc()),
        by: row.and_then(|row| row.run_by.clone()),
    };
    let known = SCRIPTS.iter().map(|script| {
        let row = applied.iter().find(|row| row.version == script.version());
        step(script.name, if row.is_some() { State::Applied } else { State::Pending }, row)
    });
    let foreign = applied.iter().filter(|row| SCRIPTS.iter().all(|script| script.version() != row.version));
    let unknown = foreign.map(|row| step(&row.version, State::Unknown, Some(row)));
    Ok(known.chain(unknown).collect())
}

/// A text that changes whenever a migration does: for the template databases of tests.
#[must_use]
pub fn fingerprint() -> String {
    SCRIPTS.iter().flat_map(|script| [script.name, script.up, script.down]).chain([BY_WHOM]).collect()
}

#[derive(QueryableByName)]
struct Exists {
    #[diesel(sql_type = Bool)]
    exists: bool,
}

/// A row of the list of applied migrations. The time is UTC, as everywhere.
#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
    #[diesel(sql_type = diesel::sql_types::Timestamp)]
    run_on: NaiveDateTime,
    #[diesel(sql_type = Nullable<Text>)]
    run_by: Option<String>,
}

/// Makes the list tell by whom, too. Of what was applied before, nobody knows.
const BY_WHOM: &str = "
    DO $$
    BEGIN
        IF NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = '__diesel_schema_migrations'::regclass AND attname = 'run_by' AND NOT attisdropped
        ) THEN
            ALTER TABLE __diesel_schema_migrations ADD COLUMN run_by TEXT;
            ALTER TABLE __diesel_schema_migrations ALTER COLUMN run_by SET DEFAULT session_user;
        END IF;
    END;
    $$";

/// What is applied, by a list that may be of a version before [`BY_WHOM`].
const APPLIED: &str = "
    SELECT version, run_on, to_jsonb(list) ->> 'run_by' AS run_by FROM __diesel_schema_migrations list
    ORDER BY version";

async fn applied(connection: &mut AsyncPgConnection) -> QueryResult<Vec<Applied>> {
    let list = diesel::sql_query("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS exists");
    if !list.get_result::<Exists>(connection).await?.exists {
        return Ok(Vec::new());
    }
    diesel::sql_query(APPLIED).load(connection).await
}

async fn connect(url: &str) -> Result<AsyncPgConnection, MigrateError> {
    Ok(Connector::new(PoolOptions::from_url(url)?).connect().await?)
}

/// Does something on a connection that holds the lock, which it gives up with its end.
async fn alone<T: Send + 'static>(
    url: &str,
    work: impl FnOnce(&mut Harness) -> Result<T, MigrateError> + Send + 'static,
) -> Result<T, MigrateError> {
    alone_on(connect(url).await?, work).await
}

async fn alone_on<T: Send + 'static>(
    mut connection: AsyncPgConnection,
    work: impl FnOnce(&mut Harness) -> Result<T, MigrateError> + Send + 'static,
) -> Result<T, MigrateError> {
    let locked = async {
        connection.batch_execute(LOCK).await?;
        connection.batch_execute(WAIT_FOR_LOCKS).await
    };
    locked.await.map_err(|error| MigrateError::List(error.to_string()))?;
    let blocking = tokio::task::spawn_blocking(move || work(&mut Harness::from(connection)));
    blocking.await.unwrap_or(Err(MigrateError::Interrupted))
}

fn up(
    harness: &mut Harness,
    scripts: &[Script],
    tell: &mut dyn FnMut(&Done),
) -> Result<Vec<String>, MigrateError> {
    let applied = listed(harness)?;
    let users = diesel::RunQueryDsl::get_result::<Exists>(diesel::sql_query(HAS_USERS), harness);
    if applied.is_empty() && users.map_err(|error| MigrateError::List(error.to_string()))?.exists {
        return Err(MigrateError::Foreign);
    }
    let missing =
        scripts.iter().filter(|script| !applied.contains(&Migration::<Pg>::name(*script).version()));
    let mut names = Vec::new();
    for script in missing {
        patiently(PAUSE, || harness.run_migration(script).map(drop))?;
        names.push(script.name.to_owned());
        tell(&Done::Applied(script.name.to_owned()));
    }
    roles::protect_rows(harness)?;
    grants::renew(harness, tell)?;
    Ok(names)
}

/// The versions that are applied, from a list that is made if there is none.
fn listed(harness: &mut Harness) -> Result<Vec<MigrationVersion<'static>>, MigrateError> {
    let applied = harness.applied_migrations()?;
    diesel::connection::SimpleConnection::batch_execute(harness, BY_WHOM)
        .map_err(|error| MigrateError::List(error.to_string()))?;
    Ok(applied)
}

/// Whether a database has our most important table: then one without migrations was made by somebody else.
const HAS_USERS: &str = "SELECT to_regclass('users') IS NOT NULL AS exists";

/// Whether a database in which no migration is applied has tables of ours nevertheless.
pub async fn is_foreign(url: &str) -> Result<bool, MigrateError> {
    let mut connection = connect(url).await?;
    holds(&mut connection, HAS_USERS).await.map_err(|error| MigrateError::List(error.to_string()))
}

/// Tries again what did not get its locks, or lost them to another in a deadlock.
fn patiently(
    pause: Duration,
    mut migration: impl FnMut() -> diesel::migration::Result<()>,
) -> Result<(), MigrateError> {
    let mut left = TRIES;
    loop {
        left -= 1;
        match migration() {
            Err(error) if left > 0 && lost_a_race(error.as_ref()) => {
                tracing::warn!(error = error.as_ref(), left, "a migration waits for others to finish");
                std::thread::sleep(pause);
            }
            outcome => return Ok(outcome?),
        }
    }
}

fn lost_a_race(error: &(dyn std::error::Error + 'static)) -> bool {
    let failed = error.downcast_ref::<StatementFailed>().map(|failed| &failed.error);
    failed.or(error.downcast_ref::<Error>()).is_some_and(|error| match Fault::of(error) {
        Fault::Overload | Fault::Again => true,
        Fault::Refused | Fault::StalePlan | Fault::Broken | Fault::Unfit | Fault::Defect => false,
    })
}

#[cfg(test)]
mod tests;
