//! `subtle doctor`.

use std::fmt::{self, Write as _};

use subtle_domain::inspection::{ConnectionReport, DatabaseReport};
use subtle_domain::ports::{Clock as _, Inspection as _};
use subtle_http::database_json;
use subtle_persistence::{Database, PgInspection};
use subtle_security::SystemClock;

use crate::database::Home;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::wiring::WiringError;

/// How many tables and indexes are named: the largest.
const NAMED: usize = 10;

pub(crate) fn doctor(settings: &Settings, json: bool) -> Result<(), Failure> {
    let home = Home::open(settings)?;
    let runtime = crate::runtime()?;
    let _within = runtime.enter();
    let inspection = PgInspection::new(Database::new(home.options()?).map_err(WiringError::from)?);
    let report = runtime.block_on(inspection.look(SystemClock.now())).map_err(Failure::Inspection)?;
    home.close()?;
    let told = if json { format!("{}\n", database_json(&report)) } else { told(&report) };
    crate::print(&told)
}

fn told(report: &DatabaseReport) -> String {
    let mut text = String::new();
    let mut line = |line: fmt::Arguments<'_>| {
        let _infallible = writeln!(text, "{line}");
    };
    line(format_args!("database {} on PostgreSQL {}: {}", report.name, report.version, Size(report.bytes)));
    line(format_args!(
        "connections: {} of {}{}",
        report.connections.len(),
        report.most_connections,
        States(report)
    ));
    line(format_args!(
        "\n{:<28} {:>10} {:>10} {:>12} {:>10}",
        "table", "size", "indexes", "rows, about", "dead"
    ));
    for table in report.tables.iter().take(NAMED) {
        let (size, indexes) = (Size(table.bytes).to_string(), Size(table.index_bytes).to_string());
        line(format_args!(
            "{:<28} {size:>10} {indexes:>10} {:>12} {:>10}",
            table.name, table.rows, table.dead_rows
        ));
    }
    line(format_args!("\n{:<44} {:>10} {:>12}", "index", "size", "scans"));
    for index in report.indexes.iter().take(NAMED) {
        line(format_args!("{:<44} {:>10} {:>12}", index.name, Size(index.bytes).to_string(), index.scans));
    }
    match &report.statements {
        None => line(format_args!("\nslowest statements: pg_stat_statements is not installed")),
        Some(statements) => {
            line(format_args!("\n{:>12} {:>12}  slowest statements", "ms in all", "calls"));
            for statement in statements.iter().take(NAMED) {
                let query = statement.query.split_whitespace().collect::<Vec<_>>().join(" ");
                line(format_args!("{:>12} {:>12}  {query:.80}", statement.total_ms, statement.calls));
            }
        }
    }
    let findings = report.findings();
    if findings.is_empty() {
        line(format_args!("\nnothing to do"));
    }
    for finding in findings {
        line(format_args!("\n! {}\n  remedy: {}", finding.seen, finding.remedy));
    }
    text
}

/// How many connections are in each state.
struct States<'a>(&'a DatabaseReport);

impl fmt::Display for States<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut states: Vec<&str> = self.0.connections.iter().map(state).collect();
        states.sort_unstable();
        for (place, of_one) in states.chunk_by(|one, other| one == other).enumerate() {
            let before = if place == 0 { ": " } else { ", " };
            let name = of_one.first().copied().unwrap_or_default();
            write!(f, "{before}{} {name}", of_one.len())?;
        }
        Ok(())
    }
}

fn state(connection: &ConnectionReport) -> &str {
    if connection.state.is_empty() { "of the server itself" } else { &connection.state }
}

/// Bytes as people read them.
struct Size(i64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
        let mut size = self.0;
        let mut unit = UNITS.iter();
        let mut name = unit.next().unwrap_or(&"");
        // Two digits stay at least.
        while size >= 10 * 1024 {
            let Some(next) = unit.next() else { break };
            (size, name) = (size / 1024, next);
        }
        write!(f, "{size} {name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_two_digits() {
        let told = [0, 10_239, 10_240, 20 << 20, 3 << 30, 50 << 40].map(|bytes| Size(bytes).to_string());
        assert_eq!(told, ["0 B", "10239 B", "10 KiB", "20 MiB", "3072 MiB", "51200 GiB"]);
    }

    #[test]
    fn what_is_found_is_told_with_its_remedy() {
        let sound =
            DatabaseReport { name: "subtle".to_owned(), sees_sessions: true, ..DatabaseReport::default() };
        assert!(told(&sound).ends_with("\nnothing to do\n"));
        let unsound = DatabaseReport { clock_skew_ms: 5_000, ..sound };
        assert!(told(&unsound).contains("! the database's clock is 5000 ms ahead"));
    }
}
