//! `subtle restore`: a backup takes the live database's place, once it is known to be whole.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use chrono::DateTime;
use subtle_domain::Timestamp;
use subtle_domain::ports::Clock as _;
use subtle_persistence::PoolOptions;
use subtle_persistence::backup::{
    Abilities, Changed, Siblings, TakenAgain, TakenAway, accounts, changed, privileged, shut, take_again,
    taken_away,
};
use subtle_persistence::migrations::{self, Done};
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
/// Likewise, of one that is being filled to take another's place…
const RESTORING: &str = "restoring_";
/// …and of one that is filled to see that it can be.
const VERIFY: &str = "verify_";

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
    let scratch = siblings.named(&format!("{VERIFY}{}", stamp(SystemClock.now())));
    let filled = fill(runtime, &mut siblings, &scratch, path, manifest, &mut progress);
    let dropped = runtime.block_on(siblings.drop(&scratch));
    progress.end();
    filled.map(drop).and(dropped.map_err(BackupError::from))
}

/// Whether that can be done at all.
pub(super) fn can_rehearse(runtime: &Runtime, options: &PoolOptions) -> Result<(), BackupError> {
    let abilities = runtime.block_on(async { Siblings::of(options).await?.abilities().await })?;
    can_fill(&abilities)
}

/// Whether a database can be made and filled beside the live one.
fn can_fill(abilities: &Abilities) -> Result<(), BackupError> {
    if !abilities.makes_databases {
        return Err(BackupError::NoCreateDb(abilities.role.clone()));
    }
    if abilities.has_user_role { Ok(()) } else { Err(BackupError::NoUserRole(abilities.role.clone())) }
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
        runtime.block_on(self.look(&mut siblings, options))?;
        let beside = siblings.named(&format!("{RESTORING}{}", stamp(now)));
        let mut progress = Progress::new();
        let restored = fill(runtime, &mut siblings, &beside, self.path, &self.manifest, &mut progress)
            .and_then(|lost| {
                progress.begin("swapping", None);
                runtime.block_on(self.take_place(&mut siblings, options, &beside, lost, now))
            });
        progress.end();
        if restored.is_err() {
            // What went wrong before is the news.
            let _stays_at_worst = runtime.block_on(siblings.drop(&beside));
        }
        restored
    }

    /// Whether the live database may be given up, and can be.
    async fn look(&self, siblings: &mut Siblings, options: &PoolOptions) -> Result<(), BackupError> {
        let abilities = siblings.abilities().await?;
        can_fill(&abilities)?;
        if !abilities.owns {
            return Err(BackupError::NotOwner {
                role: abilities.role,
                database: options.database().to_owned(),
            });
        }
        if !siblings.is_there().await? {
            return Ok(());
        }
        if let Some(accounts) = accounts(options).await?.filter(|accounts| *accounts > 0 && !self.force) {
            return Err(BackupError::Occupied { database: options.database().to_owned(), accounts });
        }
        let stayers = siblings.stayers().await?;
        if stayers.is_empty() { Ok(()) } else { Err(BackupError::Stayers(stayers)) }
    }

    /// What was taken away until now, of a database that may be damaged or empty: then that is told.
    async fn taken_from(
        &self,
        options: &PoolOptions,
        privileged: &[String],
        notes: &mut Vec<String>,
    ) -> TakenAway {
        let since = DateTime::parse_from_rfc3339(&self.manifest.created_at).map(|at| at.to_utc());
        let taken = taken_away(options, since.unwrap_or_default(), privileged).await;
        taken.unwrap_or_else(|_of_a_table_that_is_not_there| {
            notes.push("what was revoked, disabled or demoted since the backup could not be read".to_owned());
            TakenAway::default()
        })
    }

    async fn take_place(
        &self,
        siblings: &mut Siblings,
        options: &PoolOptions,
        beside: &str,
        mut notes: Vec<String>,
        now: Timestamp,
    ) -> Result<String, BackupError> {
        let new = siblings.options(beside);
        let (sender, steps) = mpsc::channel();
        let tell = move |done: &Done| {
            let _received_below = sender.send(done.to_string());
        };
        migrations::migrate_at(new.clone(), tell).await?;
        notes.extend(steps.try_iter());
        let ended = if self.keep_sessions { None } else { Some(shut(&new, now).await?) };
        let kept = siblings.named(&format!("{BEFORE}{}", stamp(now)));
        let mut outcome = Outcome { name: options.database(), ended, notes, ..Outcome::default() };
        if !siblings.is_there().await? {
            siblings.swap(beside, &kept).await?;
            return Ok(told(&self.manifest, &outcome));
        }
        let has_accounts = accounts(options).await?.is_some();
        let privileged = privileged(&new).await?;
        if has_accounts {
            let before = self.taken_from(options, &privileged, &mut outcome.notes).await;
            outcome.again = take_again(&new, &before, now).await?;
            // Who runs the service goes on, also where they were granted nothing yet when the backup was made.
            let roles = migrations::granted(options).await.unwrap_or_default();
            let granted = migrations::grant_again(&new, roles).await?;
            outcome.notes.extend(granted.iter().map(Done::to_string));
            // Nothing, where the tables are not as they should be.
            outcome.changed = changed(options, &new).await.unwrap_or_default();
        }
        siblings.swap(beside, &kept).await?;
        if has_accounts {
            // What was taken away meanwhile: from now on nothing is, there.
            let meanwhile = self.taken_from(&siblings.options(&kept), &privileged, &mut outcome.notes).await;
            outcome.again.add(take_again(options, &meanwhile, now).await?);
        }
        outcome.notes.dedup();
        outcome.kept = Some(kept);
        Ok(told(&self.manifest, &outcome))
    }
}

/// What a restore did.
#[derive(Default)]
struct Outcome<'a> {
    /// The database's name.
    name: &'a str,
    /// How many sessions were ended, unless they were to be kept.
    ended: Option<i64>,
    again: TakenAgain,
    changed: Changed,
    notes: Vec<String>,
    /// The name of the database that was there.
    kept: Option<String>,
}

fn told(manifest: &Manifest, outcome: &Outcome) -> String {
    let Outcome { name, ended, again, changed, notes, kept } = outcome;
    let to = if *name == manifest.database { String::new() } else { format!(" to {}", name.escape_debug()) };
    let mut text = format!(
        "restored {}{to} as it was at {}: every figure is that of the backup\n",
        manifest.database.escape_debug(),
        manifest.created_at.escape_debug()
    );
    let mut line = |line: String| {
        let _infallible = writeln!(text, "{line}");
    };
    match (ended, kept) {
        (Some(ended), _) => line(format!("ended {ended} sessions: everybody signs in again")),
        (None, Some(_)) => {
            line(format!(
                "sessions are those of the backup, but for {} that were ended since",
                again.ended.len()
            ));
        }
        (None, None) => line("sessions are those of the backup, also those that were ended since".to_owned()),
    }
    if changed.passwords > 0 {
        line(format!("{} accounts have the password again that they had at the backup", changed.passwords));
    }
    if changed.roles > 0 {
        line(format!("{} accounts have the role again that they had at the backup", changed.roles));
    }
    for id in &again.demoted {
        line(format!("account {id} lost its role since the backup, and is without it again"));
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
    for note in notes {
        line(note.clone());
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
    // Of restores that were killed.
    for word in [RESTORING, VERIFY] {
        for name in siblings.kept(word).await? {
            let done = if siblings.drop_unused(&name).await { "dropped" } else { "in use, and left:" };
            let _infallible = writeln!(text, "{done} {name}");
        }
    }
    Ok(if text.is_empty() { "nothing is kept\n".to_owned() } else { text })
}

/// A time as names of databases have it.
fn stamp(now: Timestamp) -> String {
    now.format("%Y%m%dT%H%M%S%3fZ").to_string()
}
