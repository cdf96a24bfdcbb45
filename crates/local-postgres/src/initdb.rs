//! Makes a data folder, whole or not at all.

use std::fs::{self, File};
use std::path::Path;
use std::process;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::cluster::Durability;
use crate::error::{Error, io_error};
use crate::folders::Folders;
use crate::url::USER;

/// Sorts by bytes, but knows the letters of every script. Not every system has the first: then only ASCII has cases.
const CHARACTER_CLASSES: [&str; 2] = ["C.UTF-8", "C"];

/// Fills a folder beside the data folder and renames it at the end, so that an interruption leaves nothing that looks complete.
pub(crate) fn initdb(
    folders: &Folders,
    account: Account,
    binaries: &Binaries,
    durability: Durability,
) -> Result<(), Error> {
    account.own(&folders.dir)?;
    for leftover in folders.half_made() {
        // An `initdb` that outlived its parent may still be busy in there: then the rest goes next time.
        let _ = fs::remove_dir_all(leftover);
    }
    let fresh = folders.dir.join(format!("initdb.{}", process::id()));
    let mut outcome = Ok(());
    for classes in CHARACTER_CLASSES {
        outcome = run(&fresh, account, binaries, durability, classes);
        if outcome.is_ok() {
            break;
        }
    }
    outcome?;
    if folders.data.exists() {
        // Nothing that might hold data is removed, unless the data may be lost at any time.
        let remove = match durability {
            Durability::Durable => fs::remove_dir(&folders.data),
            Durability::Throwaway => fs::remove_dir_all(&folders.data),
        };
        remove.map_err(io_error("remove", &folders.data))?;
    }
    fs::rename(&fresh, &folders.data).map_err(io_error("rename", &fresh))?;
    match durability {
        Durability::Durable => {
            File::open(&folders.dir).and_then(|dir| dir.sync_all()).map_err(io_error("sync", &folders.dir))
        }
        Durability::Throwaway => Ok(()),
    }
}

fn run(
    folder: &Path,
    account: Account,
    binaries: &Binaries,
    durability: Durability,
    classes: &str,
) -> Result<(), Error> {
    let program = binaries.program("initdb");
    let mut command = account.command(&program);
    command.arg("--pgdata").arg(folder);
    command.args(["--username", USER, "--auth=trust", "--encoding=UTF8", "--locale=C"]);
    command.arg(format!("--lc-ctype={classes}"));
    if durability == Durability::Throwaway {
        // Small segments: the first one is filled with zeros, which takes longer than it seems.
        command.args(["--no-sync", "--wal-segsize=1"]);
    }
    let output = command.output().map_err(io_error("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Initdb { folder: folder.to_owned(), output })
}
