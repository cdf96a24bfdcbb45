//! The table for people.

use std::fmt::Write as _;
use std::time::Duration;

use crate::common::columns::columns;
use crate::row::{Row, per_second};

const HEAD: [&str; 13] = [
    "path",
    "conn.",
    "ours",
    "reference",
    "ratio",
    "p50",
    "p99",
    "server",
    "postgres",
    "memory",
    "load",
    "budget",
    "",
];

pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    columns(&lines)
}

/// What the columns are, and each thing that is to be known beside the figures.
pub(crate) fn notes(rows: &[Row]) -> String {
    let mut notes = String::from(
        "server, postgres: CPU time of one request. load: the machine's average of the last minute, before the load began.\n",
    );
    for row in rows {
        let reference = row.reference.as_ref().map(|reference| {
            let [before, after] = [reference.before, reference.after].map(per_second);
            format!("against {}: {before} before, {after} after", reference.what)
        });
        let failures = row.measured.as_ref().filter(|measured| measured.failures > 0).map(|measured| {
            let one = measured.failure.as_deref().unwrap_or_default();
            format!("{} FAILED, one of them: {one}", measured.failures)
        });
        let remark = Some(row.remark.clone()).filter(|remark| !remark.is_empty());
        let said: Vec<_> = [reference, remark, failures].into_iter().flatten().collect();
        if !said.is_empty() {
            let _infallible = writeln!(notes, "{}: {}", row.path, said.join("; "));
        }
    }
    notes
}

fn cells(row: &Row) -> [String; HEAD.len()] {
    let measured = row.measured.as_ref();
    let time = |time: Option<Duration>| time.map(millis).unwrap_or_default();
    let cost = measured.and_then(|measured| measured.cost);
    let micros = |micros: Option<f64>| micros.map(|micros| format!("{micros:.0} µs")).unwrap_or_default();
    let (bound, verdict) = row
        .budget
        .as_ref()
        .map_or_else(Default::default, |budget| (budget.bound.clone(), budget.verdict().to_owned()));
    [
        row.path.clone(),
        measured.map(|measured| measured.connections.to_string()).unwrap_or_default(),
        row.ours.clone(),
        row.reference.as_ref().map(|reference| per_second(reference.mean())).unwrap_or_default(),
        row.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
        time(measured.and_then(|measured| measured.p50)),
        time(measured.and_then(|measured| measured.p99)),
        micros(cost.map(|cost| cost.server)),
        micros(cost.map(|cost| cost.postgres)),
        measured.and_then(|measured| measured.memory).map(megabytes).unwrap_or_default(),
        measured.map(|measured| measured.machine.clone()).unwrap_or_default(),
        bound,
        verdict,
    ]
}

pub(crate) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.2} ms") } else { format!("{millis:.0} ms") }
}

pub(crate) fn megabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "no machine has 2⁵² bytes")]
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:.1} MB")
}
