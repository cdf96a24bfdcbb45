//! `pg_dump` and `pg_restore`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use subtle_local_postgres::Binaries;
use subtle_persistence::PoolOptions;

use super::error::{BackupError, io_error};
use super::progress::Progress;

/// Writes all of a database at the moment of a snapshot to a file.
pub(super) fn dump(
    options: &PoolOptions,
    snapshot: &str,
    path: &Path,
    progress: &mut Progress,
) -> Result<(), BackupError> {
    let mut command = program("pg_dump", options)?;
    command.args(["--format=custom", "--verbose", "--no-password", "--lock-wait-timeout=30s"]);
    command.arg("--snapshot").arg(snapshot).arg("--file").arg(path);
    run("pg_dump", command, "dumping contents of table", progress)
}

/// Fills an empty database. Whoever restores owns everything; what was granted to others is granted anew.
pub(super) fn restore(
    options: &PoolOptions,
    path: &Path,
    progress: &mut Progress,
) -> Result<(), BackupError> {
    let mut command = program("pg_restore", options)?;
    command.args([
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        "--verbose",
        "--no-password",
        "--jobs=2",
    ]);
    // A name, however it looks: what has an equals sign in it would be taken for a connection string.
    let name = options.database().replace('\\', r"\\").replace('\'', r"\'");
    command.arg(format!("--dbname=dbname='{name}'")).arg(path);
    run("pg_restore", command, "processing data for table", progress)
}

fn program(name: &'static str, options: &PoolOptions) -> Result<Command, BackupError> {
    let mut command = Command::new(Binaries::client(name)?);
    for (variable, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(variable);
    }
    command.envs(options.environment()).env("LC_ALL", "C");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(command)
}

/// Runs to the end. Lines that hold `step` are steps forward, those behind the first that tells of an error are the reason.
fn run(
    name: &'static str,
    mut command: Command,
    step: &str,
    progress: &mut Progress,
) -> Result<(), BackupError> {
    let path = Path::new(command.get_program()).to_owned();
    let mut child = command.spawn().map_err(io_error("run", &path))?;
    let mut told: Vec<String> = Vec::new();
    for line in child.stderr.take().into_iter().flat_map(|pipe| BufReader::new(pipe).split(b'\n')) {
        let line = line.map_err(io_error("hear of", &path))?;
        let line = String::from_utf8_lossy(&line);
        if !told.is_empty() || line.contains("error: ") {
            told.push(line.trim().to_owned());
        } else if let Some((_, of)) = line.split_once(step) {
            progress.step(of.trim());
        }
    }
    let status = child.wait().map_err(io_error("wait for", &path))?;
    if status.success() {
        return Ok(());
    }
    let told = if told.is_empty() { status.to_string() } else { told.join(" ") };
    Err(BackupError::Program { program: name, told })
}
