//! SQL through `psql`: xtask has no driver.

use std::env;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use subtle_local_postgres::Binaries;

use crate::failure::{Failure, Outcome};

/// `psql`, undisturbed by `PG…` variables, which are about some other server.
pub(crate) fn command() -> Command {
    // With a server elsewhere, the client may be all that is installed.
    let program = Binaries::find().map_or_else(|_| PathBuf::from("psql"), |found| found.program("psql"));
    let mut command = Command::new(program);
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(name);
    }
    command
}

/// Runs a script with `:variables` up to the first error, and gives the rows it prints, each as its fields. `psql` is a
/// [`command`] that knows its database.
pub(crate) fn rows(mut psql: Command, variables: &[(&str, &str)], script: &str) -> Outcome<Vec<Vec<String>>> {
    psql.args(["-X", "-q", "-A", "-t", "-w", "-F", "|", "-v", "ON_ERROR_STOP=1"]);
    for (name, value) in variables {
        psql.arg("-v").arg(OsString::from(format!("{name}={value}")));
    }
    psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = psql.spawn().map_err(Failure::when("run psql"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A psql that cannot connect reads nothing, and its own message is better than "broken pipe".
        let _unread = stdin.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().map_err(Failure::when("wait for psql"))?;
    if !output.status.success() {
        return Err(Failure::new(one_line(&String::from_utf8_lossy(&output.stderr))));
    }
    let text = String::from_utf8(output.stdout).map_err(Failure::when("read what psql says"))?;
    Ok(text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect())
}

/// What psql complains of, without the places in a script that nobody has.
fn one_line(complaint: &str) -> String {
    let lines = complaint.lines().map(|line| {
        let said = line.strip_prefix("psql:<stdin>:").and_then(|rest| rest.split_once(": "));
        said.map_or(line, |(_, said)| said).trim()
    });
    format!("psql: {}", lines.collect::<Vec<_>>().join(" ").replace("psql: ", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_becomes_one_line() {
        let complaint = "psql:<stdin>:3: ERROR:  no such thing\nDETAIL:  it is gone\n";
        assert_eq!(one_line(complaint), "psql: ERROR:  no such thing DETAIL:  it is gone");
        assert_eq!(one_line("psql: error: no server\n"), "psql: error: no server");
    }
}
