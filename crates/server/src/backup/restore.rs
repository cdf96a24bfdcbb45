//! `subtle restore`: a backup takes the live database's place, once it is known to be whole.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use subtle_domain::Timestamp;
use subtle_domain::ports::Clock as _;
use subtle_persistence::backup::{Siblings, TakenAgain, TakenAway, accounts, shut, take_again, taken_away};
use subtle_persistence::{PoolOptions, migrations};
use subtle_security::SystemClock;
use tokio::runtime::Runtime;

use super::error::BackupError;
use super::file::{self, Manifest};
use super::fill;
use super::progress::Progress;
use crate::database::Home;
use crate::failure::Failure;
use crate::settings::Settings;

/// What the name of a database says that another took the place of; a time follows.
const BEFORE: &str = "before_";

/// What to restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RestoreTask {
    /// A backup's file.
    File {
        path: PathBuf,
        /// Also in the place of a database that holds accounts.
        force: bool,
        /// Whether who was signed in at the time of the backup still is.
        keep_sessions: bool,
    },
    /// Nothing: the databases that others took the place of are dropped.
    DropKept,
}

pub(crate) fn restore(settings: &Settings, task: &RestoreTask) -> Result<(), Failure> {
    let outcome = match task {
        RestoreTask::File { path, force, keep_sessions } => {
            // Before anything is started.
            let manifest = file::open(path)?;
            let home = Home::open(settings)?;
            let (runtime, options) = (crate::runtime()?, home.options()?);
            let plan = Plan { path, manifest, force: *force, keep_sessions: *keep_sessions };
            let outcome = plan.carry_out(&runtime, &options, SystemClock.now());
            home.close()?;
            outcome
        }
        RestoreTask::DropKept => {
            let home = Home::open(settings)?;
            let (runtime, options) = (crate::runtime()?, home.options()?);
            let outcome = runtime.block_on(drop_kept(&options));
            home.close()?;
            outcome
        }
    };
    crate::print(&outcome?)
}

/// Restores a backup into a database that is dropped again.
pub(super) fn rehearse(
    runtime: &Runtime,
    options: &PoolOptions,
    path: &Path,
    manifest: &Manifest,
) -> Result<(), BackupError> {
    let mut siblings = runtime.block_on(Siblings::of(options))?;
    let mut progress = Progress::new();
    let scratch = siblings.named(&format!("verify_{}", stamp(SystemClock.now())));
    let filled = fill(runtime, &mut siblings, &scratch, path, manifest, &mut progress);
    let dropped = runtime.block_on(siblings.drop(&scratch));
    progress.end();
    filled.and(dropped.map_err(BackupError::from))
}

struct Plan<'a> {
    path: &'a Path,
    manifest: Manifest,
    force: bool,
    keep_sessions: bool,
}

impl Plan<'_> {
    fn carry_out(
        &self,
        runtime: &Runtime,
        options: &PoolOptions,
        now: Timestamp,
    ) -> Result<String, BackupError> {
        let known: Vec<String> = migrations::versions().collect();
        let newer = self.manifest.migrations.iter().filter(|version| !known.contains(version));
        let newer: Vec<String> = newer.cloned().collect();
        if !newer.is_empty() {
            return Err(BackupError::Newer(newer));
        }
        let mut siblings = runtime.block_on(Siblings::of(options))?;
        let lost = runtime.block_on(self.look(&mut siblings, options))?;
        let beside = siblings.named(&format!("restoring_{}", stamp(now)));
        let mut progress = Progress::new();
        let restored = fill(runtime, &mut siblings, &beside, self.path, &self.manifest, &mut progress)
            .and_then(|()| {
                progress.begin("swapping", None);
                runtime.block_on(self.take_place(&mut siblings, &beside, lost.as_ref(), now))
            });
        progress.end();
        if restored.is_err() {
            // What went wrong before is the news.
            let _stays_at_worst = runtime.block_on(siblings.drop(&beside));
        }
        restored
    }

    /// What the live database has taken away, if there is one. One that holds accounts is only given up when that is wanted.
    async fn look(
        &self,
        siblings: &mut Siblings,
        options: &PoolOptions,
    ) -> Result<Option<TakenAway>, BackupError> {
        if !siblings.is_there().await? {
            return Ok(None);
        }
        match accounts(options).await? {
            Some(accounts) if accounts > 0 && !self.force => {
                Err(BackupError::Occupied { database: options.database().to_owned(), accounts })
            }
            Some(_) => Ok(taken_away(options).await.map(Some)?),
            None => Ok(None),
        }
    }

    async fn take_place(
        &self,
        siblings: &mut Siblings,
        beside: &str,
        lost: Option<&TakenAway>,
        now: Timestamp,
    ) -> Result<String, BackupError> {
        let options = siblings.options(beside);
        let applied = migrations::migrate_at(options.clone()).await?;
        let ended = if self.keep_sessions { None } else { Some(shut(&options, now).await?) };
        let again = match lost {
            Some(lost) => take_again(&options, lost, now).await?,
            None => TakenAgain::default(),
        };
        let kept = siblings.named(&format!("{BEFORE}{}", stamp(now)));
        let was_there = siblings.is_there().await?;
        siblings.swap(beside, &kept).await?;
        Ok(told(&self.manifest, &applied, ended, &again, was_there.then_some(&kept)))
    }
}

fn told(
    manifest: &Manifest,
    applied: &[String],
    ended: Option<i64>,
    again: &TakenAgain,
    kept: Option<&String>,
) -> String {
    let mut text = format!(
        "restored {} as it was at {}: every figure is that of the backup\n",
        manifest.database, manifest.created_at
    );
    let mut line = |line: String| {
        let _infallible = writeln!(text, "{line}");
    };
    for name in applied {
        line(format!("applied {name}"));
    }
    match ended {
        Some(ended) => line(format!("ended {ended} sessions: everybody signs in again")),
        None => line("sessions are those of the backup, also those that were ended since".to_owned()),
    }
    for id in &again.keys {
        line(format!("service key {id} was revoked since the backup, and is again"));
    }
    for id in &again.disabled {
        line(format!("account {id} was disabled since the backup, and is again"));
    }
    for id in &again.erased {
        line(format!("account {id} was erased since the backup: it is disabled, erase it again"));
    }
    if let Some(kept) = kept {
        line(format!("the database that was there is kept as {kept}: `subtle restore --drop-kept` drops it"));
    }
    text
}

async fn drop_kept(options: &PoolOptions) -> Result<String, BackupError> {
    let mut siblings = Siblings::of(options).await?;
    let mut text = String::new();
    for name in siblings.kept(BEFORE).await? {
        siblings.drop(&name).await?;
        let _infallible = writeln!(text, "dropped {name}");
    }
    Ok(if text.is_empty() { "nothing is kept\n".to_owned() } else { text })
}

/// A time as names of databases have it.
fn stamp(now: Timestamp) -> String {
    now.format("%Y%m%dT%H%M%SZ").to_string()
}
