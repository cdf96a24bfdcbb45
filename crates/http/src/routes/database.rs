use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::Serialize;
use subtle_application::Ports;
use subtle_application::admin::inspect_database;
use subtle_domain::inspection::{
    ColumnReport, ConnectionReport, DatabaseReport, Finding, IndexReport, StatementReport, TableReport,
};
use utoipa::ToSchema;

use super::dto::time;
use crate::problem::ApiError;
use crate::request::Admin;

/// A look at the database, and what in it is worth doing something about.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Database)]
pub(crate) struct DatabaseDto<'a> {
    /// The server's version.
    #[schema(example = "15.8")]
    version: &'a str,
    #[schema(example = "subtle")]
    name: &'a str,
    /// What it takes on disk.
    bytes: i64,
    /// By how many milliseconds its clock is ahead of this server's.
    clock_skew_ms: i64,
    /// Most connections that it takes.
    max_connections: i64,
    findings: Vec<FindingDto>,
    /// Who is connected.
    connections: Vec<ConnectionDto<'a>>,
    /// The largest first.
    tables: Vec<TableDto<'a>>,
    /// The largest first.
    indexes: Vec<IndexDto<'a>>,
    /// What the planner knows.
    columns: Vec<ColumnDto<'a>>,
    settings: Vec<SettingDto<'a>>,
    /// Those that took longest in all; null where `pg_stat_statements` is not installed.
    statements: Option<Vec<StatementDto<'a>>>,
}

/// Something that is worth doing something about.
#[derive(Serialize, ToSchema)]
pub(crate) struct FindingDto {
    /// What it is: stable, for programs.
    #[schema(example = "duplicate_index")]
    kind: &'static str,
    #[schema(example = "idx_users_email on users does what users_email_key does")]
    seen: String,
    #[schema(example = "DROP INDEX CONCURRENTLY idx_users_email")]
    remedy: String,
}

/// A connection to the database.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectionDto<'a> {
    pid: i32,
    role: &'a str,
    application: &'a str,
    /// Null is the database's own machine.
    address: Option<&'a str>,
    /// `hidden`: it is of another role, of which this server's is shown nothing; empty: it is of the database server itself.
    #[schema(example = "idle")]
    state: &'a str,
    /// For how long its transaction has been open, in milliseconds.
    transaction_ms: Option<i64>,
    /// Whose locks it waits for, by their processes.
    waits_for: &'a [i32],
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    query_start: Option<String>,
    /// The beginning of its last statement.
    query: &'a str,
}

/// A table.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TableDto<'a> {
    name: &'a str,
    /// With its indexes.
    bytes: i64,
    index_bytes: i64,
    /// About.
    rows: i64,
    /// About how many that are gone wait to be vacuumed.
    dead_rows: i64,
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    vacuumed_at: Option<String>,
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    analyzed_at: Option<String>,
}

/// An index.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IndexDto<'a> {
    table: &'a str,
    name: &'a str,
    bytes: i64,
    /// How often it was used since the statistics began.
    scans: i64,
    is_unique: bool,
    is_valid: bool,
}

/// What the planner knows of a column.
#[derive(Serialize, ToSchema)]
pub(crate) struct ColumnDto<'a> {
    table: &'a str,
    name: &'a str,
    /// How many values it has; a negative number is a share of the rows.
    #[schema(example = "-1")]
    distinct: &'a str,
    /// How far its order on disk is that of its values.
    #[schema(example = "0.98")]
    correlation: Option<&'a str>,
}

/// A setting that can hurt.
#[derive(Serialize, ToSchema)]
pub(crate) struct SettingDto<'a> {
    #[schema(example = "fsync")]
    name: &'a str,
    #[schema(example = "on")]
    value: &'a str,
}

/// A kind of statement.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatementDto<'a> {
    query: &'a str,
    calls: i64,
    /// In all.
    total_ms: i64,
}

impl<'a> From<&'a DatabaseReport> for DatabaseDto<'a> {
    fn from(report: &'a DatabaseReport) -> Self {
        let statements = report.statements.as_ref();
        Self {
            version: &report.version,
            name: &report.name,
            bytes: report.bytes,
            clock_skew_ms: report.clock_skew_ms,
            max_connections: report.most_connections,
            findings: report.findings().into_iter().map(FindingDto::from).collect(),
            connections: report.connections.iter().map(ConnectionDto::from).collect(),
            tables: report.tables.iter().map(TableDto::from).collect(),
            indexes: report.indexes.iter().map(IndexDto::from).collect(),
            columns: report.columns.iter().map(ColumnDto::from).collect(),
            settings: report.settings.iter().map(|(name, value)| SettingDto { name, value }).collect(),
            statements: statements.map(|list| list.iter().map(StatementDto::from).collect()),
        }
    }
}

impl From<Finding> for FindingDto {
    fn from(finding: Finding) -> Self {
        Self { kind: finding.kind.as_str(), seen: finding.seen, remedy: finding.remedy }
    }
}

impl<'a> From<&'a ConnectionReport> for ConnectionDto<'a> {
    fn from(report: &'a ConnectionReport) -> Self {
        Self {
            pid: report.pid,
            role: &report.role,
            application: &report.application,
            address: report.address.as_deref(),
            state: &report.state,
            transaction_ms: report.transaction_ms,
            waits_for: &report.waits_for,
            query_start: report.query_start.map(time),
            query: &report.query,
        }
    }
}

impl<'a> From<&'a TableReport> for TableDto<'a> {
    fn from(report: &'a TableReport) -> Self {
        Self {
            name: &report.name,
            bytes: report.bytes,
            index_bytes: report.index_bytes,
            rows: report.rows,
            dead_rows: report.dead_rows,
            vacuumed_at: report.vacuumed_at.map(time),
            analyzed_at: report.analyzed_at.map(time),
        }
    }
}

impl<'a> From<&'a IndexReport> for IndexDto<'a> {
    fn from(report: &'a IndexReport) -> Self {
        Self {
            table: &report.table,
            name: &report.name,
            bytes: report.bytes,
            scans: report.scans,
            is_unique: report.is_unique,
            is_valid: report.is_valid,
        }
    }
}

impl<'a> From<&'a ColumnReport> for ColumnDto<'a> {
    fn from(report: &'a ColumnReport) -> Self {
        let ColumnReport { table, name, distinct, correlation } = report;
        Self { table, name, distinct, correlation: correlation.as_deref() }
    }
}

impl<'a> From<&'a StatementReport> for StatementDto<'a> {
    fn from(report: &'a StatementReport) -> Self {
        Self { query: &report.query, calls: report.calls, total_ms: report.total_ms }
    }
}

/// Look at the database.
///
/// For administrators: connections, sizes, use of indexes, settings, the slowest statements, and what is worth doing something about.
/// `subtle doctor` tells the same.
#[utoipa::path(
    operation_id = "inspectDatabase",
    tag = "admin",
    responses((status = 200, description = "The database as of now", body = DatabaseDto<'_>)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/database")]
pub(super) async fn show(ports: Data<Ports>, admin: Admin<()>) -> Result<HttpResponse, ApiError> {
    let report = inspect_database(&ports, &admin.by).await?;
    Ok(HttpResponse::Ok().json(DatabaseDto::from(&report)))
}
