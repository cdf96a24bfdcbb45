//! What backups and restores ask of the server beside `pg_dump`: figures that tell whether two databases hold the same, and databases
//! that take each other's place.

mod siblings;
mod taken;

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use subtle_domain::ports::StoreError;

use crate::error::store_error;
use crate::options::PoolOptions;
use crate::pool::Connector;
use crate::prepared::Prepare;
pub use siblings::{Abilities, Siblings, SwapError};
pub use taken::{Changed, TakenAgain, TakenAway, changed, privileged, shut, take_again, taken_away};

/// Figures of a database by name: equal for a database and a copy of it.
pub type Figures = BTreeMap<String, String>;

/// All that follows is of one moment, however long it is looked at.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What takes its time may take it, whatever is set for the requests of a service.
const NO_LIMITS: &str = "
    SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    SET default_transaction_read_only = off;
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('transaction_timeout', 'idle_session_timeout')";

const TABLES: &str = "
    SELECT c.oid::regclass::text AS text FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = pg_catalog.quote_ident(current_schema()::text)::regnamespace ORDER BY 1";

const MIGRATIONS: &str = "SELECT version AS text FROM __diesel_schema_migrations ORDER BY version";

/// To whom something is granted.
const ROLES: &str = "
    SELECT DISTINCT r.rolname::text AS text FROM (
        SELECT relacl AS acl FROM pg_class WHERE relnamespace = pg_catalog.quote_ident(current_schema()::text)::regnamespace
        UNION ALL SELECT a.attacl FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace = pg_catalog.quote_ident(current_schema()::text)::regnamespace
        UNION ALL SELECT nspacl FROM pg_namespace WHERE nspname = current_schema()
    ) AS granted, aclexplode(acl) AS item JOIN pg_roles r ON r.oid = item.grantee ORDER BY 1";

/// What must not be lost or doubled to the last digit. The audit head binds every row of the trail.
const SUMS: &str = "
    SELECT format('ledger, %s %s', status, currency) AS name,
        format('%s records, %s', count(*), sum(amount)) AS value FROM billing_history GROUP BY status, currency
    UNION ALL SELECT 'usage', format('%s requests, %s tokens, cost %s',
        sum(request_count), sum(total_tokens), sum(total_cost)) FROM user_usage_metrics
    UNION ALL SELECT 'usage by day', format('%s requests, %s tokens, cost %s',
        sum(request_count), sum(total_tokens), sum(total_cost)) FROM usage_daily
    UNION ALL SELECT 'audit head', format('seal %s, %s', number, encode(signature, 'hex'))
        FROM (SELECT number, signature FROM audit_seals ORDER BY number DESC LIMIT 1) AS head";

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    value: String,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    text: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// A moment of a database, for as long as this lives.
pub struct Snapshot {
    connection: AsyncPgConnection,
    /// What `pg_dump --snapshot` takes.
    pub id: String,
    /// The figures of that moment.
    pub figures: Figures,
    /// The versions of the migrations that are applied.
    pub migrations: Vec<String>,
    /// The version of the server.
    pub server: String,
    /// To whom something is granted.
    pub roles: Vec<String>,
}

impl Snapshot {
    /// The present moment of a database.
    pub async fn take(options: &PoolOptions) -> Result<Self, StoreError> {
        let mut connection = connect(options).await?;
        run(&mut connection, BEGIN).await?;
        let id = word(&mut connection, "SELECT pg_export_snapshot() AS text").await?;
        let server = word(&mut connection, "SELECT current_setting('server_version') AS text").await?;
        let migrations = words(&mut connection, MIGRATIONS).await?;
        let roles = words(&mut connection, ROLES).await?;
        let mut figures = Figures::new();
        for table in words(&mut connection, TABLES).await? {
            let count = format!("SELECT count(*) AS number FROM {table}");
            figures.insert(format!("rows of {table}"), number(&mut connection, &count).await?.to_string());
        }
        let sums: Vec<Named> = sql_query(SUMS).prepared().load(&mut connection).await.map_err(store_error)?;
        figures.extend(sums.into_iter().map(|sum| (sum.name, sum.value)));
        Ok(Self { connection, id, figures, migrations, server, roles })
    }

    /// How many tables there are.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.figures.keys().filter(|name| name.starts_with("rows of ")).count()
    }

    /// Lets go of the moment.
    pub async fn close(mut self) -> Result<(), StoreError> {
        run(&mut self.connection, "ROLLBACK").await
    }
}

/// How many accounts a database holds; `None` where there is no such database, or none of ours.
pub async fn accounts(options: &PoolOptions) -> Result<Option<i64>, StoreError> {
    let mut connection = connect(options).await?;
    let ours = "SELECT count(*) AS number FROM pg_class WHERE oid = to_regclass('users')";
    if number(&mut connection, ours).await? == 0 {
        return Ok(None);
    }
    number(&mut connection, "SELECT count(*) AS number FROM users").await.map(Some)
}

async fn connect(options: &PoolOptions) -> Result<AsyncPgConnection, StoreError> {
    let connected = Connector::new(options.clone()).connect().await;
    let mut connection = connected.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
    run(&mut connection, NO_LIMITS).await?;
    Ok(connection)
}

async fn run(connection: &mut AsyncPgConnection, sql: &str) -> Result<(), StoreError> {
    connection.batch_execute(sql).await.map_err(store_error)
}

async fn words(connection: &mut AsyncPgConnection, sql: &str) -> Result<Vec<String>, StoreError> {
    let rows: Vec<Word> = sql_query(sql).load(connection).await.map_err(store_error)?;
    Ok(rows.into_iter().map(|row| row.text).collect())
}

async fn word(connection: &mut AsyncPgConnection, sql: &str) -> Result<String, StoreError> {
    Ok(sql_query(sql).get_result::<Word>(connection).await.map_err(store_error)?.text)
}

async fn number(connection: &mut AsyncPgConnection, sql: &str) -> Result<i64, StoreError> {
    Ok(sql_query(sql).get_result::<Count>(connection).await.map_err(store_error)?.number)
}
