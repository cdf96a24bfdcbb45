//! `cargo xtask bench`.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::process::{become_it, cargo, printed, run};

/// Names a server to measure instead of building one.
const SERVER: &str = "SUBTLE_BENCH_SERVER";
/// The load tool must not be what is slow. What it is made of besides is the tests' own build.
const OPTIMISED: &str = "profile.dev.package.subtle-tests.opt-level=3";

/// It needs the tests' helpers, so it is one of their programs: `tests/bench`. The server is the one that is released.
pub(crate) fn bench(arguments: &[OsString]) -> Outcome {
    let mut command = Command::new(program()?);
    command.args(arguments);
    if !arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        let given = env::var_os(SERVER).map(|path| std::path::absolute(path).map_err(Failure::when(SERVER)));
        command.arg("--server").arg(given.unwrap_or_else(release)?);
    }
    become_it(&mut command)
}

/// The program, built. Run by Cargo it could not end with a line of its own.
fn program() -> Outcome<PathBuf> {
    let mut build = cargo();
    build.args(["test", "--quiet", "--workspace", "--config", OPTIMISED, "--bench", "speed", "--no-run"]);
    let told = printed(build.arg("--message-format=json-render-diagnostics"))?;
    let line = told.lines().find(|line| line.contains(r#""name":"speed""#));
    let path = line.and_then(|line| line.split(r#""executable":""#).nth(1)?.split('"').next());
    path.map(PathBuf::from).ok_or_else(|| Failure::new("cargo does not tell where the bench is"))
}

fn release() -> Outcome<PathBuf> {
    run(cargo().args(["build", "--release", "--package", "subtle-server"]))?;
    let ours = env::current_exe().map_err(Failure::when("tell where xtask is"))?;
    // Cargo puts the folders of its profiles beside each other, wherever the target folder is.
    let target = ours.parent().and_then(|profile| profile.parent());
    let target = target.ok_or_else(|| Failure::new("xtask is not in a target folder"))?;
    Ok(target.join("release").join("subtle"))
}
