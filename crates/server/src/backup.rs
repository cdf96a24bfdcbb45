//! `subtle backup`: a dump and what it holds, in one file.

mod error;
mod file;
mod programs;
mod progress;
mod restore;
mod rotation;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use subtle_domain::Timestamp;
use subtle_domain::ports::{Clock as _, StoreError};
use subtle_persistence::PoolOptions;
use subtle_persistence::backup::{Siblings, Snapshot};
use subtle_security::SystemClock;
use tokio::runtime::Runtime;

pub(crate) use error::BackupError;
use error::io_error;
use file::Manifest;
use progress::Progress;
pub(crate) use restore::{RestoreTask, restore};

use crate::database::Home;
use crate::failure::Failure;
use crate::settings::Settings;

type StoreResult<T> = Result<T, StoreError>;

/// What to back up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackupTask {
    /// A file that is not there yet, or a folder, in which a name is made of the time; with `keep` always a folder.
    pub(crate) output: PathBuf,
    /// Whether to restore it at once into a database that is dropped afterwards.
    pub(crate) verify: bool,
    /// How many backups may stay in the folder.
    pub(crate) keep: Option<usize>,
    pub(crate) json: bool,
}

pub(crate) fn backup(settings: &Settings, task: &BackupTask) -> Result<(), Failure> {
    let now = SystemClock.now();
    let path = place(task, now)?;
    let home = Home::open(settings)?;
    let runtime = crate::runtime()?;
    let options = home.options()?;
    let able = if task.verify { restore::can_rehearse(&runtime, &options) } else { Ok(()) };
    let outcome = able.and_then(|()| make(&runtime, &options, &path, now)).and_then(|manifest| {
        if task.verify {
            restore::rehearse(&runtime, &options, &path, &manifest)?;
        }
        Ok(manifest)
    });
    home.close()?;
    let manifest = outcome?;
    let removed = match task.keep {
        Some(keep) => rotation::rotate(&task.output, keep)?,
        None => Vec::new(),
    };
    crate::print(&told(task, &path, &manifest, &removed))
}

/// Where the backup goes. Nothing that is there is written over. With `--keep` it is a folder, which is made if there is none.
fn place(task: &BackupTask, now: Timestamp) -> Result<PathBuf, BackupError> {
    if task.keep.is_some() {
        match DirBuilder::new().recursive(true).mode(0o700).create(&task.output) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(BackupError::NoFolder(task.output.clone()));
            }
            made => made.map_err(io_error("make", &task.output))?,
        }
    }
    let path = if task.output.is_dir() { task.output.join(rotation::name(now)) } else { task.output.clone() };
    if path.try_exists().map_err(io_error("look for", &path))? {
        Err(BackupError::Exists(path))
    } else {
        Ok(path)
    }
}

/// Writes beside the place and moves it there when it is whole and on the disk.
fn make(
    runtime: &Runtime,
    options: &PoolOptions,
    path: &Path,
    now: Timestamp,
) -> Result<Manifest, BackupError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".partial");
    let draft = PathBuf::from(draft);
    // For its owner's eyes alone: there are addresses and hashes in it.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(BackupError::Draft(draft)),
        made => drop(made.map_err(io_error("make", &draft))?),
    }
    let written = write(runtime, options, &draft, now).and_then(|manifest| {
        fs::rename(&draft, path).map_err(io_error("move the backup to", path))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("write", folder))?;
        Ok(manifest)
    });
    if written.is_err() {
        let _may_not_be_there = fs::remove_file(&draft);
    }
    written
}

fn write(
    runtime: &Runtime,
    options: &PoolOptions,
    draft: &Path,
    now: Timestamp,
) -> Result<Manifest, BackupError> {
    let mut progress = Progress::new();
    progress.begin("counting", None);
    let snapshot = runtime.block_on(Snapshot::take(options))?;
    progress.begin("dumping", Some(snapshot.tables()));
    programs::dump(options, &snapshot.id, draft, &mut progress)?;
    let manifest = Manifest::new(&snapshot, options.database(), now);
    runtime.block_on(snapshot.close())?;
    progress.begin("checking", None);
    file::conclude(draft, &manifest)?;
    progress.end();
    Ok(manifest)
}

fn told(task: &BackupTask, path: &Path, manifest: &Manifest, removed: &[PathBuf]) -> String {
    if task.json {
        return manifest.line(path, task.verify);
    }
    let size = fs::metadata(path).map(|data| data.len()).unwrap_or_default();
    let verified = if task.verify { ", and restored to see that it can be" } else { "" };
    let made = format!("backed up {} to {} ({size} bytes){verified}\n", manifest.database, path.display());
    let removed = removed.iter().map(|old| format!("removed {}\n", old.display()));
    std::iter::once(made).chain(removed).collect()
}

/// Makes a sibling of what a backup holds, and holds it against the manifest. What was made is left to the caller, also on failure. Tells
/// what could not be carried over.
fn fill(
    runtime: &Runtime,
    siblings: &mut Siblings,
    name: &str,
    path: &Path,
    manifest: &Manifest,
    progress: &mut Progress,
) -> Result<Vec<String>, BackupError> {
    let (owner, lost, missing) = runtime.block_on(async {
        if manifest.roles.iter().any(|role| role == "subtle_user") {
            siblings.ensure_role().await?;
        }
        let (owner, lost) = (siblings.other_owner().await?, siblings.create(name).await?);
        StoreResult::Ok((owner, lost, siblings.missing(&manifest.roles).await?))
    })?;
    let options = siblings.options(name);
    progress.begin("restoring", Some(manifest.tables()));
    programs::restore(&options, path, owner.as_deref(), missing.is_empty(), progress)?;
    progress.begin("comparing", None);
    let restored = runtime.block_on(async {
        let snapshot = Snapshot::take(&options).await?;
        let figures = snapshot.figures.clone();
        snapshot.close().await.map(|()| figures)
    })?;
    let differences = manifest.differences(&restored);
    if !differences.is_empty() {
        return Err(BackupError::Differs(differences));
    }
    let lost = lost.into_iter().map(|name| format!("the setting {name} of the database could not be copied"));
    let missing =
        missing.into_iter().map(|role| format!("there is no role {role}: nothing was granted to anybody"));
    Ok(lost.chain(missing).collect())
}
