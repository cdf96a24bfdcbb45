//! What an operator asks of the database; `findings` tells what in the answers is worth doing something about.

mod findings;

use crate::Timestamp;
pub use findings::{Finding, FindingKind};

/// A look at the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseReport {
    /// The server's version.
    pub version: String,
    /// The database's name.
    pub name: String,
    /// As which role it was looked at.
    pub role: String,
    /// Whether what sessions of other roles do is shown to it.
    pub sees_sessions: bool,
    /// Of how many tables what the planner knows is not shown to it.
    pub hidden_columns: i64,
    /// What it takes on disk, in bytes.
    pub bytes: i64,
    /// By how much its clock is ahead of ours, in milliseconds.
    pub clock_skew_ms: i64,
    /// Most connections that the server takes.
    pub most_connections: i64,
    /// Who is connected.
    pub connections: Vec<ConnectionReport>,
    /// Its tables, the largest first.
    pub tables: Vec<TableReport>,
    /// Their indexes, the largest first.
    pub indexes: Vec<IndexReport>,
    /// What the planner knows of their columns.
    pub columns: Vec<ColumnReport>,
    /// Settings that can hurt, by name.
    pub settings: Vec<(String, String)>,
    /// The statements that took longest in all, where `pg_stat_statements` counts them.
    pub statements: Option<Vec<StatementReport>>,
}

/// A connection to the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionReport {
    /// The server process behind it.
    pub pid: i32,
    /// By which role.
    pub role: String,
    /// Which program.
    pub application: String,
    /// From where; `None` is this machine.
    pub address: Option<String>,
    /// `active`, `idle`, `idle in transaction`…; `hidden` of one that is not shown to who looked; empty of the server's own.
    pub state: String,
    /// For how long its transaction has been open, in milliseconds.
    pub transaction_ms: Option<i64>,
    /// Which processes it waits for.
    pub waits_for: Vec<i32>,
    /// Its last statement began then.
    pub query_start: Option<Timestamp>,
    /// The beginning of that.
    pub query: String,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableReport {
    /// Its name.
    pub name: String,
    /// All that it takes on disk, in bytes.
    pub bytes: i64,
    /// What its indexes take of that.
    pub index_bytes: i64,
    /// About how many rows it has.
    pub rows: i64,
    /// About how many that are gone wait to be vacuumed.
    pub dead_rows: i64,
    /// When it was last vacuumed.
    pub vacuumed_at: Option<Timestamp>,
    /// When the planner last looked at it.
    pub analyzed_at: Option<Timestamp>,
}

/// An index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexReport {
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// What it takes on disk, in bytes.
    pub bytes: i64,
    /// How often it was used since the statistics were last reset.
    pub scans: i64,
    /// Whether it keeps a rule: then it is needed though nobody reads it.
    pub is_unique: bool,
    /// Whether it was built to its end.
    pub is_valid: bool,
    /// Whether a migration of ours or a constraint made it.
    pub is_ours: bool,
    /// What it is made of, without its name: two of the same do the same.
    pub made_of: String,
}

/// What the planner knows of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnReport {
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// How many values it has; a negative number is a share of the rows.
    pub distinct: String,
    /// How far its order on disk is that of its values: -1 to 1.
    pub correlation: Option<String>,
}

/// A kind of statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatementReport {
    /// Its beginning, values left out.
    pub query: String,
    /// How often it was run.
    pub calls: i64,
    /// How long that took in all, in milliseconds.
    pub total_ms: i64,
}
