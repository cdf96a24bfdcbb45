//! The little SQL this crate needs, through `psql`: the crate has no driver.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::account::without_postgres_variables;
use crate::binaries::Binaries;
use crate::error::{Error, io_error};

/// Creates `:name` unless it is there. The lock keeps two processes from creating it both.
const ENSURE_DATABASE: &str = "
SET client_min_messages = warning;
SELECT pg_advisory_lock(hashtext('subtle-local-postgres'), hashtext(:'name')) \\g /dev/null
SELECT format('CREATE DATABASE %I', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \\gexec
";

/// Runs a script with `:variables`, up to the first error, and returns the rows it prints: fields parted by `|`, no headings.
pub(crate) fn run(
    binaries: &Binaries,
    url: &str,
    variables: &[(&str, &str)],
    script: &str,
) -> Result<String, Error> {
    let program = binaries.program("psql");
    let mut command = Command::new(&program);
    without_postgres_variables(&mut command).current_dir("/");
    command.args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-d", url]);
    for (name, value) in variables {
        command.arg("-v").arg(format!("{name}={value}"));
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(io_error("run", &program))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A psql that cannot connect reads nothing, and its own message is better than "broken pipe".
        let _ = stdin.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().map_err(io_error("wait for", &program))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Error::Psql(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}

pub(crate) fn ensure_database(binaries: &Binaries, url: &str, name: &str) -> Result<(), Error> {
    run(binaries, url, &[("name", name)], ENSURE_DATABASE).map(drop)
}
