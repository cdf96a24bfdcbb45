//! Subtle under a load that never stops, while one thing after the other goes wrong: `cargo xtask torture`.
//!
//! Clients write down what they ask for (`journal`) and ask again until they are told. After each fault they are held, and what
//! is there is compared with what was acknowledged (`judge`): nothing lost, nothing twice, sums to the last digit.
//!
//! In reading order: `faults` are what goes wrong, and what was promised for it; `stage` is what they happen to, with `proxy` and
//! `disk`; `load` begins `clients` and `follower`s, who rest at the `gate`; `samples` and `report` are the figures.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails in a helper fails the run")]

#[path = "../black_box"]
mod black_box {
    #[expect(dead_code, unused_imports, reason = "the tests use the rest")]
    pub(crate) mod support;
}

#[path = "../common"]
mod common {
    pub(crate) mod columns;
    pub(crate) mod machine;
}

mod clients;
mod disk;
mod faults;
mod follower;
mod gate;
mod journal;
mod judge;
mod load;
mod pace;
mod proxy;
mod report;
mod samples;
mod stage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum as _};
use tokio::signal::unix::{SignalKind, signal};

use black_box::support;
use common::machine;
use faults::Fault;
use load::Load;
use pace::Pace;
use report::{End, Row, seconds};
use samples::Tally;
use stage::Stage;
use support::Random;

/// Longest time until all is well again.
const RECOVERY: Duration = Duration::from_secs(5);

/// Breaks one thing after the other under load, and tells whether the promises were kept
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask torture")]
struct Arguments {
    /// Takes about two minutes instead of six
    #[arg(long)]
    quick: bool,
    /// Takes half a minute: two faults
    #[arg(long, conflicts_with = "quick")]
    smoke: bool,
    /// Only this fault; may be given again
    #[arg(long, value_name = "FAULT")]
    only: Vec<Fault>,
    /// Writes the table there as JSON; from the folder of the workspace
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let ends = runtime.block_on(async {
        tokio::select! {
            ends = torture(&arguments) => Some(ends),
            () = told_to_end() => None,
        }
    });
    let Some(ends) = ends else { return ExitCode::FAILURE };
    print!("\n{}", report::table(&ends));
    if let Some(path) = arguments.json {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        std::fs::write(workspace.join(path), format!("{:#}\n", report::json(&ends))).unwrap();
    }
    if report::broken(&ends) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A disk stays mounted and a server runs on unless they are dropped.
async fn told_to_end() {
    let mut term = signal(SignalKind::terminate()).unwrap();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}

async fn torture(arguments: &Arguments) -> Vec<End> {
    let pace = match (arguments.smoke, arguments.quick) {
        (true, _) => Pace::Smoke,
        (_, true) => Pace::Quick,
        _ => Pace::Whole,
    };
    let chosen =
        if arguments.only.is_empty() { pace.faults(Fault::value_variants()) } else { arguments.only.clone() };
    let seed = Random::seed();
    let mut stage = Stage::start().await;
    let load = Load::start(&stage.app, stage.servers(), seed).await;
    let mut ends = Vec::new();
    for fault in chosen {
        ends.push(watch(fault, pace, &mut stage, &load).await);
    }
    load.stop().await;
    ends
}

/// Lets a fault happen between two times of calm, and judges.
async fn watch(fault: Fault, pace: Pace, stage: &mut Stage, load: &Load) -> End {
    let shared = &load.shared;
    let calm = Instant::now();
    tokio::time::sleep(pace.calm()).await;
    let mut broken = Vec::new();
    let before = Tally::of(&shared.samples_since(calm));
    if before.last_refusal.is_some() {
        broken.push(format!("before the fault: {}", before.refusals()));
    }
    println!("{}: begins, after {} requests in {}", fault.name(), before.requests, seconds(calm.elapsed()));
    let (begun, signed_out) = (Instant::now(), shared.signed_out());
    let struck = match fault.strike(stage, load, pace.length(fault)).await {
        Ok(struck) => struck,
        Err(reason) => return End::Skipped { fault: fault.name(), reason },
    };
    let glance = judge::glance(stage, load).await;
    tokio::time::sleep_until((struck.over + pace.after()).into()).await;
    let judgement = judge::judge(stage, load).await;
    let tally = Tally::of(&shared.samples_since(begun));
    let recovery =
        tally.last_refusal.map_or(Duration::ZERO, |last| last.saturating_duration_since(struck.over));
    broken.extend(fault.broken_promises(&tally));
    if recovery > RECOVERY {
        broken.push(format!("recovered after {}", seconds(recovery)));
    }
    broken.extend(struck.complaints.into_iter().chain(judgement.complaints));
    let mut damage = judgement.damage;
    damage += glance.damage;
    for lines in [&mut damage.lost, &mut damage.doubled] {
        lines.sort_unstable();
        lines.dedup();
    }
    broken.extend(damage.lost.iter().map(|line| format!("lost: {line}")));
    broken.extend(damage.doubled.iter().map(|line| format!("doubled: {line}")));
    let signed_out = shared.signed_out() - signed_out;
    let signed_out = (signed_out > 0).then(|| format!("{signed_out} signed out"));
    let remarks = [Some(struck.remark).filter(|remark| !remark.is_empty()), signed_out];
    let remark = remarks.into_iter().flatten().collect::<Vec<_>>().join("; ");
    println!(
        "{}: {}, {} writes compared",
        fault.name(),
        tally.refusals(),
        shared.journal.lock().unwrap().acknowledged()
    );
    for line in &broken {
        println!("  BROKEN {line}");
    }
    End::Struck(Box::new(Row {
        fault: fault.name(),
        lasted: struck.over - begun,
        tally,
        recovery,
        unknown: glance.unknown,
        lost: damage.lost.len(),
        doubled: damage.doubled.len(),
        machine: machine::load(),
        remark,
        broken,
    }))
}
