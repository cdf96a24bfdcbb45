//! What is told at the end: a table for people, JSON for programs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::columns::columns;
use crate::samples::Tally;

/// How one fault went.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) fault: String,
    pub(crate) lasted: Duration,
    pub(crate) tally: Tally,
    /// From the end of the fault to the last refusal.
    pub(crate) recovery: Duration,
    pub(crate) unknown: usize,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    /// The average of the last minute, as the machine tells it.
    pub(crate) machine: String,
    pub(crate) remark: String,
    pub(crate) broken: Vec<String>,
}

/// How a fault went, or why it did not happen.
pub(crate) enum End {
    Struck(Box<Row>),
    Skipped { fault: String, reason: String },
}

const HEAD: [&str; 13] = [
    "fault",
    "lasted",
    "requests",
    "as hoped",
    "otherwise",
    "slowest",
    "refusal",
    "recovered",
    "unknown",
    "lost",
    "doubled",
    "load",
    "promises",
];

pub(crate) fn table(ends: &[End]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(ends.iter().map(cells));
    columns(&rows)
}

fn cells(end: &End) -> [String; HEAD.len()] {
    match end {
        End::Struck(row) => [
            row.fault.clone(),
            seconds(row.lasted),
            row.tally.requests.to_string(),
            row.tally.acknowledged.to_string(),
            row.tally.refusals(),
            seconds(row.tally.slowest),
            seconds(row.tally.slowest_refusal),
            seconds(row.recovery),
            row.unknown.to_string(),
            row.lost.to_string(),
            row.doubled.to_string(),
            row.machine.clone(),
            verdict(row),
        ],
        End::Skipped { fault, reason } => {
            let mut cells = [""; HEAD.len()].map(str::to_owned);
            cells[0].clone_from(fault);
            cells[HEAD.len() - 1] = format!("skipped: {reason}");
            cells
        }
    }
}

fn verdict(row: &Row) -> String {
    let word = if row.broken.is_empty() { "kept" } else { "BROKEN" };
    if row.remark.is_empty() { word.to_owned() } else { format!("{word} ({})", row.remark) }
}

/// Whether a promise was broken.
pub(crate) fn broken(ends: &[End]) -> bool {
    ends.iter().any(|end| matches!(end, End::Struck(row) if !row.broken.is_empty()))
}

pub(crate) fn json(ends: &[End]) -> Value {
    let row = |end: &End| match end {
        End::Struck(row) => json!({
            "fault": row.fault, "lastedSeconds": row.lasted.as_secs_f64(), "requests": row.tally.requests,
            "acknowledged": row.tally.acknowledged, "otherwise": row.tally.refusals(),
            "slowestSeconds": row.tally.slowest.as_secs_f64(),
            "slowestRefusalSeconds": row.tally.slowest_refusal.as_secs_f64(), "recoverySeconds": row.recovery.as_secs_f64(),
            "unknown": row.unknown, "lost": row.lost, "doubled": row.doubled, "machineLoad": row.machine,
            "remark": row.remark, "broken": row.broken,
        }),
        End::Skipped { fault, reason } => json!({"fault": fault, "skipped": reason}),
    };
    ends.iter().map(row).collect()
}

pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
