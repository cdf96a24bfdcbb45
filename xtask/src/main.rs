//! The chores of those who work on Subtle: `cargo xtask`.
//!
//! It does not link the service: what that can do (migrate, serve, print its document) is asked of the program `subtle`, built
//! first. So a chore starts in seconds, and `schema` works while the service does not compile.
//!
//! In reading order: `setup`, `ci`, `dev`, `db`, `torture`, `bench`, `schema` and `openapi` are the commands; `service`, `psql`, `process`, `generated`,
//! `table` and `workspace` are what they share; `failure` is how they end early.

mod bench;
mod ci;
mod db;
mod dev;
mod failure;
mod generated;
mod openapi;
mod process;
mod psql;
mod schema;
mod service;
mod setup;
mod table;
mod torture;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The chores of those who work on Subtle
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Installs what is missing to build and test: PostgreSQL, by apt or brew
    Setup,
    /// Runs all that CI runs, and tells what failed
    Ci {
        /// All but the tests, where they were run before
        #[arg(long)]
        no_tests: bool,
    },
    /// Serves from a migrated database with the development data
    Dev {
        /// Passed on to `subtle serve`
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// The development database: the private one in the data dir, or that of `DATABASE_URL`
    #[command(subcommand)]
    Db(db::Task),
    /// Breaks one thing after the other under load: PostgreSQL, servers, the way between them, the disk
    #[command(disable_help_flag = true)]
    Torture {
        /// `--quick`, `--only FAULT`, `--json FILE`; `--help` tells more
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measures how fast the service is, beside what limits it: the statements by themselves, COPY, bcrypt
    #[command(disable_help_flag = true)]
    Bench {
        /// `--quick`, `--only PATHS`, `--json FILE`, `--growth`; `--help` tells more
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Writes crates/persistence/src/schema.rs from the migrations
    Schema {
        /// Only tells whether it would change
        #[arg(long)]
        check: bool,
    },
    /// Writes crates/http/openapi.json from the service
    Openapi {
        /// Only tells whether it would change
        #[arg(long)]
        check: bool,
        /// Asks the service as the tests build it: in CI it is there already
        #[arg(long, hide = true)]
        test_build: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Setup => setup::setup(),
        Chore::Ci { no_tests } => ci::ci(!no_tests),
        Chore::Dev { arguments } => dev::dev(&arguments),
        Chore::Db(task) => db::db(task),
        Chore::Torture { arguments } => torture::torture(&arguments),
        Chore::Bench { arguments } => bench::bench(&arguments),
        Chore::Schema { check } => schema::schema(generated::Mode::new(check)),
        Chore::Openapi { check, test_build } => {
            openapi::openapi(generated::Mode::new(check), service::Build::new(test_build))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
