//! Committed files that are made by a program.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// What to do about a file that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

impl Mode {
    pub(crate) fn new(check: bool) -> Self {
        if check { Self::Check } else { Self::Write }
    }
}

/// Makes the file (a path in the workspace) hold the text, or fails with the difference. `chore` is the command that writes it.
pub(crate) fn settle(file: &str, text: &str, chore: &str, mode: Mode) -> Outcome {
    let path = workspace::root().join(file);
    let committed = fs::read_to_string(&path).unwrap_or_default();
    if committed == text {
        println!("{file} is up to date");
        return Ok(());
    }
    if mode == Mode::Check {
        show_difference(&path, text);
        return Err(Failure::new(format!("{file} is out of date: run `cargo xtask {chore}`")));
    }
    fs::write(&path, text).map_err(Failure::when(format_args!("write {}", path.display())))?;
    println!("{file} is written anew");
    Ok(())
}

/// By `diff`. Without it, the caller's last line has to do.
fn show_difference(path: &Path, text: &str) {
    let mut diff = Command::new("diff");
    diff.args(["-u", "--label", "as it is", "--label", "as it should be"]).arg(path).arg("-");
    if let Ok(mut child) = diff.stdin(Stdio::piped()).spawn() {
        if let Some(mut stdin) = child.stdin.take() {
            let _unread = stdin.write_all(text.as_bytes());
        }
        let _as_known = child.wait();
    }
}
