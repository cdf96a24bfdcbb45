//! `subtle backup`: a dump and what it holds, in one file.

mod error;
mod file;
mod programs;
mod progress;
mod restore;
mod rotation;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use subtle_domain::Timestamp;
use subtle_domain::ports::Clock as _;
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

/// What to back up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackupTask {
    /// A file that is not there yet, or a folder, in which a name is made of the time.
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
    let outcome = make(&runtime, &options, &path, now).and_then(|manifest| {
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

/// Where the backup goes. Nothing that is there is written over.
fn place(task: &BackupTask, now: Timestamp) -> Result<PathBuf, BackupError> {
    let path = if task.output.is_dir() {
        task.output.join(rotation::name(now))
    } else if task.keep.is_some() {
        return Err(BackupError::NoFolder(task.output.clone()));
    } else {
        task.output.clone()
    };
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

/// Makes a sibling of what a backup holds, and holds it against the manifest. What was made is left to the caller, also on failure.
fn fill(
    runtime: &Runtime,
    siblings: &mut Siblings,
    name: &str,
    path: &Path,
    manifest: &Manifest,
    progress: &mut Progress,
) -> Result<(), BackupError> {
    runtime.block_on(siblings.create(name))?;
    let options = siblings.options(name);
    progress.begin("restoring", Some(manifest.tables()));
    programs::restore(&options, path, progress)?;
    progress.begin("comparing", None);
    let restored = runtime.block_on(async {
        let snapshot = Snapshot::take(&options).await?;
        let figures = snapshot.figures.clone();
        snapshot.close().await.map(|()| figures)
    })?;
    let differences = manifest.differences(&restored);
    if differences.is_empty() { Ok(()) } else { Err(BackupError::Differs(differences)) }
}
