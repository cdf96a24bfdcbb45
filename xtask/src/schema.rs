//! `cargo xtask schema`: Diesel's tables, from a database that was just migrated.
//!
//! The migrations run through `psql`, not `subtle migrate`: after a change of tables the service may not compile before its
//! `schema.rs` is written anew.

mod catalogue;
mod render;
mod types;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use subtle_local_postgres::{Binaries, testing};

use crate::failure::{Failure, Outcome};
use crate::generated::{Mode, settle};
use crate::{psql, workspace};

pub(crate) fn schema(mode: Mode) -> Outcome {
    // The test databases have no gentler way to say so than a panic.
    Binaries::find()?;
    let database = testing::empty_database();
    let psql = || {
        let mut psql = psql::command();
        psql.arg("-d").arg(database.url());
        psql
    };
    migrations()?.into_iter().try_for_each(|migration| migrate(psql(), &migration))?;
    let tables = catalogue::read(psql())?;
    settle("crates/persistence/src/schema.rs", &render::render(&tables)?, "schema", mode)
}

/// Their folders, in order.
fn migrations() -> Outcome<Vec<PathBuf>> {
    let folder = workspace::root().join("migrations");
    let entries = fs::read_dir(&folder).map_err(Failure::when(format_args!("read {}", folder.display())))?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}

fn migrate(mut psql: Command, migration: &std::path::Path) -> Outcome {
    let metadata = fs::read_to_string(migration.join("metadata.toml")).unwrap_or_default();
    if !metadata.replace(' ', "").contains("run_in_transaction=false") {
        psql.arg("--single-transaction");
    }
    psql.args(["-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-f"]).arg(migration.join("up.sql"));
    let output = psql.stdin(Stdio::null()).output().map_err(Failure::when("run psql"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(Failure::new(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
