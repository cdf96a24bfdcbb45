//! How fast Subtle is, beside what limits it: `cargo xtask bench`.
//!
//! Each path is measured between two looks at a reference: what PostgreSQL does with the very statements, how fast COPY is, what one core
//! needs for a hash. What counts is the ratio; the figures are those of the machine. It never fails because something is slow.
//!
//! In reading order: `stage` is what is measured (a cluster, `fill`ed, and a `server`); `load` puts load on it, for which `requests` and
//! `answers` are bytes; `measure` is one measurement and `reference` and `copy` what it is held against; `paths` are what is measured;
//! `row` and `table` are what is told.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "no part of the service: what breaks here breaks the run")]

#[path = "../black_box/support"]
mod black_box {
    #[expect(dead_code, reason = "the tests use the rest")]
    pub(crate) mod sums;
}

#[path = "../shared"]
mod shared {
    pub(crate) mod columns;
    pub(crate) mod machine;
}

mod answers;
mod arguments;
mod check;
mod copy;
mod cpu;
mod database;
mod fill;
mod histogram;
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
use paths::{admin, live, login, me, memory, refresh, start, usage, usage_batch};
use report::Report;
use stage::{Postgres, Stage};
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
    let postgres = Postgres::start(arguments.folder())?;
    let stage = Stage::set(postgres, arguments.wanted())?;
    let mut report = Report::begin(&stage)?;
    for part in arguments.parts() {
        let plan = arguments.plan();
        match part {
            Part::Live => report.add(live::run(&stage, plan)?),
            Part::Start => report.add(start::run(&stage)?),
            Part::Me => report.add(me::run(&stage, plan)?),
            Part::Refresh => report.add(refresh::run(&stage, plan)?),
            Part::Usage => report.add(usage::run(&stage, plan)?),
            Part::UsageBatch => report.extend(usage_batch::run(&stage, plan)?),
            Part::Login => report.add(login::run(&stage, plan)?),
            Part::Admin => report.add(admin::run(&stage, plan)?),
            Part::Memory => report.extend(memory::rows(&stage)),
        }
    }
    report.disagreements(check::disagreements(&stage)?);
    report.tell(arguments)
}
