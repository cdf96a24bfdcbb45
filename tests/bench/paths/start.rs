//! From the start of a process to its first answer that it is ready, on a migrated database.

use crate::common::machine;
use crate::progress::note;
use crate::row::{Budget, Row};
use crate::server::Server;
use crate::stage::Stage;
use crate::trouble::Outcome;

/// DESIGN, section 8, in seconds.
const MOST: f64 = 0.3;
const TIMES: usize = 7;

pub(crate) fn run(stage: &Stage) -> Outcome<Row> {
    note("start");
    let machine = machine::load();
    let starts = (0..TIMES).map(|_| Ok(Server::start(&stage.settings)?.start));
    let mut starts = starts.collect::<Outcome<Vec<_>>>()?;
    starts.sort_unstable();
    let median = starts[TIMES / 2].as_secs_f64();
    Ok(Row {
        path: "start".to_owned(),
        ours: format!("{median:.3} s"),
        figure: median,
        budget: Some(Budget::at_most(MOST, median, " s")),
        remark: format!(
            "the median of {TIMES}; the longest {:.3} s; the machine's load {machine}",
            starts[TIMES - 1].as_secs_f64()
        ),
        ..Row::default()
    })
}
