//! What goes wrong, and what was promised for it.

use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::load::Load;
use crate::samples::{Heard, Tally};
use crate::stage::Stage;

mod backup;
mod database;
mod migration;
mod servers;

/// Longest wait for a refusal. What begins before the end of a fault and succeeds after it may take longer.
const REFUSAL: Duration = Duration::from_secs(3);

/// Faults, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Migrations that change the types of columns that prepared statements return
    Migration,
    /// The last migration taken back and made again
    Revert,
    /// `subtle backup --verify`, and a restore into another database
    Backup,
    /// `pg_ctl restart -m immediate`
    Restart,
    /// Single backends of PostgreSQL terminated
    Backends,
    /// All processes of PostgreSQL stopped (SIGSTOP)
    Freeze,
    /// Packets to and from PostgreSQL swallowed, and the connections of that time forgotten
    Swallow,
    /// No byte left for tables
    DiskFull,
    /// A server killed (SIGKILL), and another one begun
    Kill,
    /// A server told to stop (SIGTERM), and another one begun
    Stop,
}

/// What clients may hear but what they hope for, while a fault lasts and until all has recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Excuse {
    Nothing,
    /// 503 with `Retry-After`.
    Unavailable,
    /// That, for what changes something.
    UnavailableForWrites,
    /// That, and connections that break.
    Broken,
    /// Whatever it be: nobody has promised to run on a schema older than itself.
    Anything,
}

/// A fault that is over.
#[derive(Debug)]
pub(crate) struct Struck {
    pub(crate) over: Instant,
    /// What happened, in a few words.
    pub(crate) remark: String,
    pub(crate) complaints: Vec<String>,
}

impl Struck {
    fn now(remark: impl Into<String>) -> Self {
        Self { over: Instant::now(), remark: remark.into(), complaints: Vec::new() }
    }
}

impl Fault {
    /// The name that chooses it.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Lets it happen; an error if it can't be had here.
    pub(crate) async fn strike(
        self,
        stage: &mut Stage,
        load: &Load,
        length: Duration,
    ) -> Result<Struck, String> {
        Ok(match self {
            Self::Migration => migration::back_and_forth(stage, length).await,
            Self::Revert => migration::revert(stage).await,
            Self::Backup => backup::backup(stage, load).await,
            Self::Restart => database::restart(stage).await,
            Self::Backends => database::kill_backends(stage, length).await,
            Self::Freeze => database::freeze(stage, length).await,
            Self::Swallow => database::swallow(stage, length).await,
            Self::DiskFull => database::fill_disk(stage, length).await?,
            Self::Kill => servers::kill(stage, load),
            Self::Stop => servers::stop(stage, load).await,
        })
    }

    fn excuse(self) -> Excuse {
        match self {
            Self::Migration | Self::Backup | Self::Stop => Excuse::Nothing,
            Self::Restart | Self::Backends | Self::Freeze | Self::Swallow => Excuse::Unavailable,
            Self::DiskFull => Excuse::UnavailableForWrites,
            Self::Kill => Excuse::Broken,
            Self::Revert => Excuse::Anything,
        }
    }

    /// What clients heard that they must not, or too late.
    pub(crate) fn broken_promises(self, tally: &Tally) -> Vec<String> {
        let excuse = self.excuse();
        let fits = |heard: Heard| match heard {
            Heard::Yes => true,
            Heard::Status(503) => excuse != Excuse::Nothing,
            Heard::Broken => matches!(excuse, Excuse::Broken | Excuse::Anything),
            Heard::Status(_) | Heard::WithoutRetry => excuse == Excuse::Anything,
            Heard::Nothing => false,
        };
        let mut broken = Vec::new();
        if !tally.refused.keys().all(|heard| fits(*heard)) {
            broken.push(format!("not promised: {}", tally.refusals()));
        }
        if tally.slowest_refusal > REFUSAL && excuse != Excuse::Anything {
            broken.push(format!("{} took {:.2} s", tally.refusal_was, tally.slowest_refusal.as_secs_f64()));
        }
        if excuse == Excuse::UnavailableForWrites && tally.reads_refused > 0 {
            broken.push(format!("{} reads refused", tally.reads_refused));
        }
        broken
    }
}
