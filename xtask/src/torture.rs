//! `cargo xtask torture`.

use std::ffi::OsString;

use crate::failure::Outcome;
use crate::process::{become_it, cargo};

/// It needs the tests' helpers and their build of the service, so it is one of their programs: `tests/torture`.
pub(crate) fn torture(arguments: &[OsString]) -> Outcome {
    let mut command = cargo();
    command.args(["test", "--quiet", "--workspace", "--bench", "torture", "--"]);
    become_it(command.args(arguments))
}
