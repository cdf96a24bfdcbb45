//! The program `subtle`, built and run.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::process::{cargo, run};
use crate::workspace;

/// How it is built. Cargo turns on the features of dependencies that the packages at hand ask for, so these are two builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// As `cargo run` does.
    Alone,
    /// As `cargo test --workspace` does.
    WithTests,
}

impl Build {
    pub(crate) fn new(with_tests: bool) -> Self {
        if with_tests { Self::WithTests } else { Self::Alone }
    }
}

/// The program, up to date.
#[derive(Debug)]
pub(crate) struct Service {
    program: PathBuf,
}

impl Service {
    /// Builds it; Cargo tells of that.
    pub(crate) fn build(how: Build) -> Outcome<Self> {
        run(cargo().args(match how {
            Build::Alone => &["build", "--package", "subtle-server"][..],
            Build::WithTests => &["test", "--workspace", "--no-run", "--quiet"],
        }))?;
        let ours = env::current_exe().map_err(Failure::when("tell where xtask is"))?;
        // Cargo puts all programs of a profile beside each other, wherever the target folder is.
        Ok(Self { program: ours.with_file_name("subtle") })
    }

    /// A command of its, in the workspace.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(name).current_dir(workspace::root());
        command
    }

    /// Brings a database up to date.
    pub(crate) fn migrate(&self, url: &str) -> Outcome {
        run(self.command("migrate").env("DATABASE_URL", url))
    }
}
