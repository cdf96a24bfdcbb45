//! What traces tell of the database: waits for a connection, transactions and statements, each by its place in our source. Neither SQL
//! nor a value that goes with it. Where no request is traced, no span is made.

use diesel::QueryResult;
use tracing::Span;

/// What is opened with this target is exported if traces are, and never logged.
pub(crate) const TARGET: &str = "traces";

/// A span of a statement, by where it stands; below `unit`, where it is one of a unit of work. OpenTelemetry's semantic conventions name
/// the fields.
macro_rules! statement_span {
    ($($parent:expr)?) => {
        tracing::debug_span!(
            target: $crate::traces::TARGET,
            $(parent: $parent,)?
            "statement",
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            db.system.name = "postgresql",
            code.file.path = file!(),
            code.line.number = line!(),
        )
    };
}

/// Notes how a statement ended; no outcome is a server that did not answer.
pub(crate) fn ended<T>(span: &Span, outcome: Option<&QueryResult<T>>) {
    if !matches!(outcome, Some(Ok(_))) {
        span.record("otel.status_code", "ERROR");
    }
}
