//! Other programs.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// `cargo`, in the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(workspace::root());
    command
}

/// The command as one would type it, for messages.
pub(crate) fn typed(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Runs it, with our terminal.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(Failure::when(format_args!("run `{}`", typed(command))))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{}`: {status}", typed(command)))) }
}

/// Runs it, and gives what it prints. What it complains of is shown as it comes.
pub(crate) fn printed(command: &mut Command) -> Outcome<String> {
    let tried = format!("run `{}`", typed(command));
    let output = command.stderr(Stdio::inherit()).output().map_err(Failure::when(&tried))?;
    if !output.status.success() {
        return Err(Failure::new(format!("`{}`: {}", typed(command), output.status)));
    }
    String::from_utf8(output.stdout).map_err(Failure::when(&tried))
}

/// Becomes it. Returns only when that fails.
pub(crate) fn become_it(command: &mut Command) -> Outcome {
    Err(Failure::when(format_args!("run `{}`", typed(command)))(command.exec()))
}

/// Whether it is there and runs.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
