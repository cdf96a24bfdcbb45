//! What the server has in memory.

use crate::cpu::memory;
use crate::row::{Budget, Row};
use crate::stage::Stage;
use crate::table::megabytes;

/// DESIGN, section 8, in MB of a million bytes.
const IDLE: f64 = 40.0;
const UNDER_LOAD: f64 = 100.0;

/// Before anything was asked of it, and the most that it had at any time of the run so far; nothing where that is not told.
pub(crate) fn rows(stage: &Stage) -> Vec<Row> {
    let most = memory(stage.server.pid()).map(|memory| memory.most);
    let idle = stage.idle.map(|idle| row("memory, idle", idle.now, IDLE));
    let loaded = most.map(|most| row("memory, the most", most, UNDER_LOAD));
    idle.into_iter().chain(loaded).collect()
}

fn row(path: &str, bytes: u64, most: f64) -> Row {
    #[expect(clippy::cast_precision_loss, reason = "no machine has 2⁵² bytes")]
    let figure = bytes as f64 / 1e6;
    Row {
        path: path.to_owned(),
        ours: megabytes(bytes),
        figure,
        budget: Some(Budget::at_most(most, figure, " MB")),
        ..Row::default()
    }
}
