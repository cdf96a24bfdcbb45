//! What backups and restores ask of the server beside `pg_dump`: figures that tell whether two databases hold the same, and databases
//! that take each other's place.

mod siblings;

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use subtle_domain::Timestamp;
use subtle_domain::ports::StoreError;

use crate::error::store_error;
use crate::options::PoolOptions;
use crate::pool::Connector;
use crate::prepared::Prepare;
pub use siblings::{Siblings, SwapError};

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

/// Who could come in before a backup does not come in after its restore. Tokens in letters and on their way to an app may have been
/// used since.
const SHUT: &str = "
    WITH ended AS (
        UPDATE sessions SET revoked_at = $1, revoked_reason = 'admin' WHERE revoked_at IS NULL RETURNING 1
    ), letters AS (DELETE FROM one_time_tokens), bridges AS (DELETE FROM bridge_tokens)
    SELECT count(*) AS number FROM ended";

/// What was taken from whom, by identifier, to be taken again.
const TAKEN_AWAY: &str = "
    SELECT ARRAY(SELECT id FROM service_keys WHERE revoked_at IS NOT NULL) AS keys,
        ARRAY(SELECT id FROM users WHERE disabled_at IS NOT NULL AND deleted_at IS NULL) AS disabled,
        ARRAY(SELECT id FROM users WHERE deleted_at IS NOT NULL) AS erased,
        ARRAY(SELECT concat_ws(' ', id, user_id) FROM sessions WHERE created_at > $1) AS begun";

const REVOKE_KEYS: &str = "
    UPDATE service_keys SET revoked_at = $2 WHERE id = ANY($1) AND revoked_at IS NULL RETURNING id AS text";

const DISABLE: &str = "
    UPDATE users SET disabled_at = $2 WHERE id = ANY($1) AND disabled_at IS NULL AND deleted_at IS NULL
    RETURNING id AS text";

/// Whose access tokens are still good is known by the rows of ended sessions: so there must be some.
const END_BEGUN: &str = "
    INSERT INTO sessions (id, user_id, refresh_token, created_at, expires_at, revoked_at, revoked_reason)
    SELECT split_part(begun, ' ', 1), u.id, 'ended by a restore: ' || split_part(begun, ' ', 1),
        $2, $2 + interval '1 day', $2, 'admin'
    FROM unnest($1) AS begun JOIN users u ON u.id = split_part(begun, ' ', 2)
    ON CONFLICT DO NOTHING
    RETURNING id AS text";

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

/// What was taken away in a database: what comes back by an older backup is taken away again.
#[derive(Debug, Clone, Default, PartialEq, Eq, QueryableByName)]
pub struct TakenAway {
    #[diesel(sql_type = Array<Text>)]
    keys: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    disabled: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    erased: Vec<String>,
    /// Sessions that began since the backup, each with its account: their access tokens live on for a while.
    #[diesel(sql_type = Array<Text>)]
    begun: Vec<String>,
}

/// What was taken away again, by identifier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakenAgain {
    /// Service keys that were revoked since the backup.
    pub keys: Vec<String>,
    /// Accounts that were disabled since.
    pub disabled: Vec<String>,
    /// Accounts that were erased since: they are disabled, and want to be erased again.
    pub erased: Vec<String>,
}

impl TakenAgain {
    /// And more.
    pub fn add(&mut self, more: Self) {
        self.keys.extend(more.keys);
        self.disabled.extend(more.disabled);
        self.erased.extend(more.erased);
    }
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

/// What was taken away in a database so far, and which sessions began there since a backup.
pub async fn taken_away(options: &PoolOptions, since: Timestamp) -> Result<TakenAway, StoreError> {
    let mut connection = connect(options).await?;
    let query = sql_query(TAKEN_AWAY).bind::<Timestamptz, _>(since);
    query.get_result(&mut connection).await.map_err(store_error)
}

/// Takes it away in another database, where it is still there.
pub async fn take_again(
    options: &PoolOptions,
    taken: &TakenAway,
    now: Timestamp,
) -> Result<TakenAgain, StoreError> {
    let mut connection = connect(options).await?;
    let mut each = async |sql: &str, ids: &Vec<String>| -> Result<Vec<String>, StoreError> {
        let query = sql_query(sql).bind::<Array<Text>, _>(ids).bind::<Timestamptz, _>(now);
        let rows: Vec<Word> = query.load(&mut connection).await.map_err(store_error)?;
        Ok(rows.into_iter().map(|row| row.text).collect())
    };
    each(END_BEGUN, &taken.begun).await?;
    Ok(TakenAgain {
        keys: each(REVOKE_KEYS, &taken.keys).await?,
        disabled: each(DISABLE, &taken.disabled).await?,
        erased: each(DISABLE, &taken.erased).await?,
    })
}

/// Ends all sessions of a database, and voids what begins one; tells how many sessions that were.
pub async fn shut(options: &PoolOptions, now: Timestamp) -> Result<i64, StoreError> {
    let mut connection = connect(options).await?;
    let ended: Count = sql_query(SHUT)
        .bind::<Timestamptz, _>(now)
        .prepared()
        .get_result(&mut connection)
        .await
        .map_err(store_error)?;
    Ok(ended.number)
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
