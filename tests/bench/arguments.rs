//! What is asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::fill::Size;
use crate::growth::{QUICK_SIZES, SIZES};
use crate::measure::Plan;
use crate::stage::Wanted;

/// Measures how fast Subtle is, beside what limits it
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask bench", override_usage = "cargo xtask bench [OPTIONS]")]
pub(crate) struct Arguments {
    /// Takes about two minutes: few rows, short measurements
    #[arg(long)]
    quick: bool,
    /// Only these, separated by commas
    #[arg(long, value_name = "PATHS", value_delimiter = ',')]
    only: Vec<Part>,
    /// Writes all figures there as JSON; from the folder of the workspace
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How many people there are [default: 100,000; quick: 10,000]
    #[arg(long, value_name = "NUMBER")]
    users: Option<u64>,
    /// How many rows of activity there are, and as many of usage [default: 1,000,000; quick: 100,000]
    #[arg(long, value_name = "NUMBER")]
    rows: Option<u64>,
    /// How many requests are under way at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// How many connections the server has to PostgreSQL at most: its `connection_limit`
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=200))]
    pool: u16,
    /// How long each measurement takes [default: 10; quick: 3]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: Option<u64>,
    /// Measures also how reads grow from 10,000 people to a million and from 100,000 rows to 20 million: a quarter of an hour, 20 GB of disk
    #[arg(long)]
    growth: bool,
    /// Draws that there, as SVG [default: bench/growth.svg in the target folder]
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// The release build of `subtle`
    #[arg(long, value_name = "FILE", hide = true)]
    server: PathBuf,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The load tool by itself, on the cheapest route; only when asked for
    Live,
    Start,
    Me,
    Refresh,
    Usage,
    UsageBatch,
    Login,
    Admin,
    /// Reads of profiles beside as many sign-ins as there can be
    Storm,
    /// Of the server, when all that is before it is measured
    Memory,
    /// What `--growth` asks for
    Growth,
}

/// The seed's.
const COST: u32 = 10;

impl Arguments {
    /// What is measured on one database, in that order.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let all = Part::value_variants().iter().copied().filter(|part| *part != Part::Growth);
        let by_default = |part: &Part| self.only.is_empty() && *part != Part::Live;
        all.filter(|part| by_default(part) || self.only.contains(part)).collect()
    }

    pub(crate) fn asks_for_growth(&self) -> bool {
        self.growth || self.only.contains(&Part::Growth)
    }

    pub(crate) fn growth_sizes(&self) -> &'static [Size] {
        if self.quick { &QUICK_SIZES } else { &SIZES }
    }

    /// How long each request is repeated for its growth.
    pub(crate) fn look(&self) -> Duration {
        Duration::from_millis(if self.quick { 300 } else { 2_000 })
    }

    /// Where the chart goes.
    pub(crate) fn chart(&self) -> PathBuf {
        let default = || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench").join("growth.svg");
        self.chart.as_ref().map_or_else(default, |path| workspace().join(path))
    }

    pub(crate) fn plan(&self) -> Plan {
        let length = Duration::from_secs(self.seconds.unwrap_or(if self.quick { 3 } else { 10 }));
        Plan { connections: self.connections, warm_up: length / 5, length }
    }

    pub(crate) fn wanted(&self) -> Wanted {
        let (users, rows) = if self.quick { (10_000, 100_000) } else { (100_000, 1_000_000) };
        let size =
            Size { users: self.users.unwrap_or(users).max(1), rows: self.rows.unwrap_or(rows).max(100) };
        Wanted { program: self.server.clone(), size, pool: self.pool, cost: COST }
    }

    /// Where all is that a run writes but its results.
    pub(crate) fn folder() -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench")
    }

    /// Where the figures go.
    pub(crate) fn json(&self) -> Option<PathBuf> {
        self.json.as_ref().map(|path| workspace().join(path))
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
