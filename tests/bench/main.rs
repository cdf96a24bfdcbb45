//! How fast Subtle is, beside what limits it: `cargo xtask bench`.
//!
//! Each path is measured between two looks at a reference: what PostgreSQL does with the very statements, how fast COPY is, what one core
//! needs for a hash. What counts is the ratio; the figures are those of the machine. It never fails because something is slow.
//!
//! In reading order: `stage` is what is measured (a cluster, `fill`ed, and a `server`); `load` puts load on it, for which `requests` and
//! `answers` are bytes; `measure` is one measurement and `reference` and `copy` what it is held against; `paths` are what is measured;
//! `row` and `table` are what is told; `growth` is how reads grow with what is there, and `chart` draws that.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "no part of the service: what breaks here breaks the run"
)]

#[path = "../black_box/support"]
mod black_box {
    #[expect(dead_code, reason = "the tests use the rest")]
    pub(crate) mod sums;
}

#[path = "../common"]
mod common {
    pub(crate) mod columns;
    pub(crate) mod machine;
}

mod answers;
mod arguments;
mod chart;
mod check;
mod copy;
mod cpu;
mod database;
mod fill;
mod growth;
mod histogram;
mod interrupt;
mod load;
mod measure;
mod paths;
mod people;
mod plain;
mod progress;
mod reference;
mod report;
mod requests;
mod row;
mod server;
mod stage;
mod table;
mod trouble;
mod turns;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Part};
use fill::Size;
use growth::Growth;
use measure::Plan;
use paths::{admin, live, login, me, memory, refresh, start, storm, usage, usage_batch};
use report::Report;
use stage::{Postgres, Stage, Wanted};
use trouble::Outcome;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match bench(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("bench: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Outcome {
    let postgres = Postgres::start(Arguments::folder())?;
    let mut report = Report::default();
    let parts = arguments.parts();
    if !parts.is_empty() {
        let stage = Stage::set(&postgres, arguments.wanted())?;
        report.describe(&stage)?;
        for part in parts {
            measure_part(part, arguments.plan(), &stage, &mut report)?;
        }
        report.disagreements(check::disagreements(&stage)?);
        stage.strike()?;
    }
    if arguments.asks_for_growth() {
        let wanted = |size: &Size| Wanted { size: *size, ..arguments.wanted() };
        let stages = arguments.growth_sizes().iter().map(|size| Stage::set(&postgres, wanted(size)));
        let stages = stages.collect::<Outcome<Vec<_>>>()?;
        if let Some(largest) = stages.last() {
            report.describe(largest)?;
        }
        let growth = Growth::look(&stages, arguments.look())?;
        chart::write(&growth, &arguments.chart())?;
        report.growth(growth);
    }
    report.tell(arguments)
}

fn measure_part(part: Part, plan: Plan, stage: &Stage, report: &mut Report) -> Outcome {
    match part {
        Part::Live => report.add(live::run(stage, plan)?),
        Part::Start => report.add(start::run(stage)?),
        Part::Me => report.add(me::run(stage, plan)?),
        Part::Refresh => report.add(refresh::run(stage, plan)?),
        Part::Usage => report.add(usage::run(stage, plan)?),
        Part::UsageBatch => report.extend(usage_batch::run(stage, plan)?),
        Part::Login => report.add(login::run(stage, plan)?),
        Part::Admin => report.add(admin::run(stage, plan)?),
        Part::Storm => report.extend(storm::run(stage, plan)?),
        Part::Memory => report.extend(memory::rows(stage)),
        // On databases of its own.
        Part::Growth => {}
    }
    Ok(())
}
