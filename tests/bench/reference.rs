//! What PostgreSQL does by itself with the very statements: pgbench, over the same kind of socket, as the same role.

use std::process::Command;
use std::time::Duration;

use crate::measure::Plan;
use crate::progress::note;
use crate::stage::Stage;
use crate::trouble::{Outcome, Trouble};

/// A figure beside ours: taken before and after it.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    /// What was measured.
    pub(crate) what: String,
    /// Each second.
    pub(crate) before: f64,
    pub(crate) after: f64,
}

impl Reference {
    pub(crate) fn mean(&self) -> f64 {
        f64::midpoint(self.before, self.after)
    }
}

/// Does something between two looks at what it is compared with.
pub(crate) fn between<T>(
    what: impl Into<String>,
    reference: impl Fn() -> Outcome<f64>,
    ours: impl FnOnce() -> Outcome<T>,
) -> Outcome<(T, Reference)> {
    let before = reference()?;
    let ours = ours()?;
    Ok((ours, Reference { what: what.into(), before, after: reference()? }))
}

/// How often PostgreSQL runs a script in a second, at as many connections as the plan has.
pub(crate) fn pgbench(stage: &Stage, name: &str, script: &str, plan: Plan) -> Outcome<f64> {
    note(&format!("{name}: pgbench"));
    let file = stage.scratch().join(format!("{name}.sql"));
    std::fs::write(&file, script).map_err(Trouble::when("write a script for pgbench"))?;
    stage.database.checkpoint()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(plan.connections.into());
    let seconds = plan.length.max(Duration::from_secs(1)).as_secs();
    let mut command = client(stage, "pgbench");
    command.args(["--no-vacuum", "--protocol=prepared", "--file"]).arg(file);
    command.arg(format!("--client={}", plan.connections)).arg(format!("--jobs={threads}"));
    // The last argument is the database: `-d` would be debug output up to PostgreSQL 15, and halve what it prints.
    command.arg(format!("--time={seconds}")).arg(stage.url());
    let output = command.output().map_err(Trouble::when("run pgbench"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    // The last one, without the time to connect, where older versions tell two.
    let rate = said.lines().rev().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rest| rest.split(' ').next()?.parse().ok());
    rate.filter(|_| output.status.success()).ok_or_else(|| {
        let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Trouble::new(format!("pgbench fails: {}", complaint.lines().last().unwrap_or_default()))
    })
}

/// One of PostgreSQL's programs.
pub(crate) fn client(stage: &Stage, program: &str) -> Command {
    Command::new(stage.postgres.cluster().binaries().program(program))
}
