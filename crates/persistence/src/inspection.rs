//! What the database tells of itself.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use subtle_domain::Timestamp;
use subtle_domain::inspection::{
    ColumnReport, ConnectionReport, DatabaseReport, IndexReport, StatementReport, TableReport,
};
use subtle_domain::ports::{Inspection, StoreError};

use crate::migrations;
use crate::pool::Database;
use crate::scope::Scope;

const SERVER: &str = "
    SELECT current_setting('server_version') AS version, current_database()::text AS name,
        pg_database_size(current_database()) AS bytes, clock_timestamp() AS now,
        current_setting('max_connections')::bigint AS most_connections, current_user::text AS role,
        pg_has_role('pg_read_all_stats', 'USAGE') AS sees_sessions,
        pg_has_role('pg_read_all_stats', CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
            AS could_see_sessions";

const CONNECTIONS: &str = "
    SELECT pid, coalesce(usename, '')::text AS role, coalesce(application_name, '') AS application,
        host(client_addr) AS address, CASE WHEN backend_type IS NULL THEN 'hidden' ELSE coalesce(state, '') END AS state,
        (extract(epoch FROM clock_timestamp() - xact_start) * 1000)::bigint AS transaction_ms,
        pg_blocking_pids(pid) AS waits_for, query_start,
        CASE WHEN backend_type IS NULL THEN '' ELSE left(coalesce(query, ''), 200) END AS query
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    ORDER BY pid";

/// Sizes are asked of what nobody has locked for themselves: such a question would wait, just when answers are wanted most. Of what is
/// dropped meanwhile there is none.
const TABLES: &str = "
    WITH shut AS (
        SELECT l.relation FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE d.datname = current_database() AND l.mode = 'AccessExclusiveLock' AND l.granted
    )
    SELECT c.relname::text AS name,
        CASE WHEN EXISTS (SELECT FROM shut WHERE relation = c.oid)
            THEN c.relpages::bigint * current_setting('block_size')::bigint
            ELSE coalesce(pg_total_relation_size(c.oid), 0) END AS bytes,
        CASE WHEN EXISTS (SELECT FROM shut WHERE relation = c.oid)
            THEN 0 ELSE coalesce(pg_indexes_size(c.oid), 0) END AS index_bytes,
        coalesce(s.n_live_tup, 0) AS rows, coalesce(s.n_dead_tup, 0) AS dead_rows,
        greatest(s.last_vacuum, s.last_autovacuum) AS vacuumed_at,
        greatest(s.last_analyze, s.last_autoanalyze) AS analyzed_at
    FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
    WHERE c.relkind = 'r' AND c.relnamespace = pg_catalog.quote_ident(current_schema()::text)::regnamespace
    ORDER BY bytes DESC, name";

/// What `pg_class` says of their sizes is of the last vacuum.
const INDEXES: &str = "
    WITH shut AS (
        SELECT l.relation FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE d.datname = current_database() AND l.mode = 'AccessExclusiveLock' AND l.granted
    )
    SELECT t.relname::text AS table_name, n.relname::text AS name,
        CASE WHEN EXISTS (SELECT FROM shut WHERE relation IN (i.indexrelid, i.indrelid))
            THEN n.relpages::bigint * current_setting('block_size')::bigint
            ELSE coalesce(pg_relation_size(i.indexrelid), 0) END AS bytes,
        coalesce(s.idx_scan, 0) AS scans, i.indisunique AS is_unique, i.indisvalid AS is_valid,
        EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u', 'x')) AS is_of_constraint,
        concat_ws(' ', t.oid, i.indkey, i.indclass, i.indoption, n.relam,
            i.indexprs::text, 'WHERE ' || i.indpred::text) AS made_of
    FROM pg_index i JOIN pg_class n ON n.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
    LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = i.indexrelid
    WHERE t.relnamespace = pg_catalog.quote_ident(current_schema()::text)::regnamespace
    ORDER BY bytes DESC, name";

const COLUMNS: &str = "
    SELECT tablename::text AS table_name, attname::text AS name, n_distinct::text AS distinct_values,
        correlation::text AS correlation
    FROM pg_stats WHERE schemaname = current_schema() ORDER BY table_name, name";

/// Tables of which PostgreSQL shows that to their owner alone.
const HIDDEN_COLUMNS: &str = "
    SELECT count(*) AS tables FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = pg_catalog.quote_ident(current_schema()::text)::regnamespace
        AND row_security_active(c.oid)";

/// Of the server and the database, not of this session, which has some of its own.
const SETTINGS: &str = "
    SELECT name, coalesce(reset_val, setting) AS value FROM pg_settings
    WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum', 'track_counts', 'shared_buffers',
        'max_connections', 'work_mem', 'effective_cache_size', 'max_wal_size', 'TimeZone')
    ORDER BY name";

const HAS_STATEMENTS: &str = "SELECT to_regclass('pg_stat_statements') IS NOT NULL AS is_there";

const STATEMENTS: &str = "
    SELECT left(query, 200) AS query, calls, total_exec_time::bigint AS total_ms
    FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY total_exec_time DESC LIMIT 20";

/// Looks at PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgInspection {
    database: Database,
}

impl PgInspection {
    /// At `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(QueryableByName)]
struct Server {
    #[diesel(sql_type = Text)]
    version: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = Timestamptz)]
    now: Timestamp,
    #[diesel(sql_type = BigInt)]
    most_connections: i64,
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Bool)]
    sees_sessions: bool,
    #[diesel(sql_type = Bool)]
    could_see_sessions: bool,
}

#[derive(QueryableByName)]
struct Hidden {
    #[diesel(sql_type = BigInt)]
    tables: i64,
}

#[derive(QueryableByName)]
struct ConnectionRow {
    #[diesel(sql_type = Integer)]
    pid: i32,
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Text)]
    application: String,
    #[diesel(sql_type = Nullable<Text>)]
    address: Option<String>,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    transaction_ms: Option<i64>,
    #[diesel(sql_type = Array<Integer>)]
    waits_for: Vec<i32>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    query_start: Option<Timestamp>,
    #[diesel(sql_type = Text)]
    query: String,
}

#[derive(QueryableByName)]
struct TableRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = BigInt)]
    index_bytes: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
    #[diesel(sql_type = BigInt)]
    dead_rows: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    vacuumed_at: Option<Timestamp>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    analyzed_at: Option<Timestamp>,
}

#[derive(QueryableByName)]
struct IndexRow {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = BigInt)]
    scans: i64,
    #[diesel(sql_type = Bool)]
    is_unique: bool,
    #[diesel(sql_type = Bool)]
    is_valid: bool,
    #[diesel(sql_type = Bool)]
    is_of_constraint: bool,
    #[diesel(sql_type = Text)]
    made_of: String,
}

#[derive(QueryableByName)]
struct ColumnRow {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    distinct_values: String,
    #[diesel(sql_type = Nullable<Text>)]
    correlation: Option<String>,
}

#[derive(QueryableByName)]
struct SettingRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    value: String,
}

#[derive(QueryableByName)]
struct IsThere {
    #[diesel(sql_type = Bool)]
    is_there: bool,
}

#[derive(QueryableByName)]
struct StatementRow {
    #[diesel(sql_type = Text)]
    query: String,
    #[diesel(sql_type = BigInt)]
    calls: i64,
    #[diesel(sql_type = BigInt)]
    total_ms: i64,
}

#[async_trait]
impl Inspection for PgInspection {
    async fn look(&self, now: Timestamp) -> Result<DatabaseReport, StoreError> {
        let server: Server =
            repeatable!(self.database, connection => sql_query(SERVER).get_result(connection))?;
        let takes_on = !server.sees_sessions && server.could_see_sessions;
        let scope = || takes_on.then_some(Scope::of_monitor());
        let connections: Vec<ConnectionRow> =
            scoped!(self.database, scope(), connection => sql_query(CONNECTIONS).load(connection))?;
        let tables: Vec<TableRow> =
            repeatable!(self.database, connection => sql_query(TABLES).load(connection))?;
        let indexes: Vec<IndexRow> =
            repeatable!(self.database, connection => sql_query(INDEXES).load(connection))?;
        let columns: Vec<ColumnRow> =
            repeatable!(self.database, connection => sql_query(COLUMNS).load(connection))?;
        let hidden: Hidden =
            repeatable!(self.database, connection => sql_query(HIDDEN_COLUMNS).get_result(connection))?;
        let settings: Vec<SettingRow> =
            repeatable!(self.database, connection => sql_query(SETTINGS).load(connection))?;
        Ok(DatabaseReport {
            role: server.role,
            sees_sessions: server.sees_sessions || server.could_see_sessions,
            hidden_columns: hidden.tables,
            version: server.version,
            name: server.name,
            bytes: server.bytes,
            clock_skew_ms: (server.now - now).num_milliseconds(),
            most_connections: server.most_connections,
            connections: connections.into_iter().map(ConnectionReport::from).collect(),
            tables: tables.into_iter().map(TableReport::from).collect(),
            indexes: indexes.into_iter().map(IndexReport::from).collect(),
            columns: columns.into_iter().map(ColumnReport::from).collect(),
            settings: settings.into_iter().map(|row| (row.name, row.value)).collect(),
            statements: self.statements(scope()).await?,
        })
    }
}

impl PgInspection {
    async fn statements(&self, scope: Option<Scope>) -> Result<Option<Vec<StatementReport>>, StoreError> {
        let counts: IsThere =
            repeatable!(self.database, connection => sql_query(HAS_STATEMENTS).get_result(connection))?;
        if !counts.is_there {
            return Ok(None);
        }
        let rows: Result<Vec<StatementRow>, StoreError> =
            scoped!(self.database, scope, connection => sql_query(STATEMENTS).load(connection));
        // The extension may be there without its library, or not for this role.
        let rows = rows.unwrap_or_default().into_iter();
        let report = |row: StatementRow| StatementReport {
            query: row.query,
            calls: row.calls,
            total_ms: row.total_ms,
        };
        Ok(Some(rows.map(report).collect()))
    }
}

impl From<ConnectionRow> for ConnectionReport {
    fn from(row: ConnectionRow) -> Self {
        Self {
            pid: row.pid,
            role: row.role,
            application: row.application,
            address: row.address,
            state: row.state,
            transaction_ms: row.transaction_ms,
            waits_for: row.waits_for,
            query_start: row.query_start,
            query: row.query,
        }
    }
}

impl From<TableRow> for TableReport {
    fn from(row: TableRow) -> Self {
        Self {
            name: row.name,
            bytes: row.bytes,
            index_bytes: row.index_bytes,
            rows: row.rows,
            dead_rows: row.dead_rows,
            vacuumed_at: row.vacuumed_at,
            analyzed_at: row.analyzed_at,
        }
    }
}

impl From<IndexRow> for IndexReport {
    fn from(row: IndexRow) -> Self {
        Self {
            is_ours: row.is_of_constraint || migrations::indexes().any(|name| name == row.name),
            table: row.table_name,
            name: row.name,
            bytes: row.bytes,
            scans: row.scans,
            is_unique: row.is_unique,
            is_valid: row.is_valid,
            made_of: row.made_of,
        }
    }
}

impl From<ColumnRow> for ColumnReport {
    fn from(row: ColumnRow) -> Self {
        Self {
            table: row.table_name,
            name: row.name,
            distinct: row.distinct_values,
            correlation: row.correlation,
        }
    }
}
