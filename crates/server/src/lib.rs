//! The binary `subtle`: reads the settings, puts the adapters behind the ports, runs one command.
//!
//! The only crate that sees all the others. It decides nothing about accounts or requests, and nothing else reads the environment.
//!
//! In reading order: `cli` is what may be typed, `settings` what may be chosen; `database`, `secrets` and `encryption` find what is
//! needed to start, `wiring` puts it together; `serve`, `migrate`, `create_admin`, `import`, `backup`, `doctor`, `health`,
//! `encryption` and `audit` are the commands; `logging`, `traces` and `failure` are how
//! it tells of itself.

mod audit;
mod backup;
mod cli;
mod create_admin;
mod data_dir;
mod database;
mod doctor;
mod encryption;
mod failure;
mod health;
mod import;
mod logging;
mod migrate;
mod secrets;
mod serve;
mod settings;
mod traces;
mod wiring;

use std::env;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use cli::{Invocation, Reading, Task};
use failure::Failure;
use settings::{Given, Settings};
use traces::Traces;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match cli::read(env::args_os()) {
        Reading::Invocation(invocation) => run(invocation, env::vars_os()),
        Reading::Text(text) => print(&text),
        Reading::Refusal(reason) => Err(Failure::Usage(reason)),
    };
    outcome.map_or_else(|failure| failure.tell(), |()| ExitCode::SUCCESS)
}

fn run(
    invocation: Invocation,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    if matches!(invocation.task, Task::OpenApi) {
        return print(&subtle_http::openapi_document());
    }
    let environment: Vec<_> = environment.into_iter().collect();
    let settings =
        Settings::read(&Given::gather(invocation.flags, invocation.config, environment.iter().cloned())?)?;
    // What a command does is nobody's request.
    let endpoint = settings.otlp_endpoint.clone().filter(|_| matches!(invocation.task, Task::Serve));
    let (collector, traces) = endpoint.map(|to| Traces::new(to, settings.traces_ratio)).unzip();
    logging::start(&settings, collector);
    match invocation.task {
        Task::Serve => serve::serve(&settings, traces),
        Task::Migrate(what) => migrate::migrate(&settings, &what),
        Task::CreateAdmin { email } => create_admin::create_admin(&settings, &email),
        Task::Backup(task) => backup::backup(&settings, &task),
        Task::Restore(task) => backup::restore(&settings, &task),
        Task::Health => health::health(&settings),
        Task::Doctor { json } => doctor::doctor(&settings, json),
        Task::Encryption { json } => encryption::encryption(&settings, json),
        Task::Audit(task) => audit::audit(&settings, &task),
        Task::Import(task) => import::import(&settings, &task.or_from(&environment)),
        Task::OpenApi => Ok(()),
    }
}

/// Prints a command's answer. A reader who has seen enough is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        _ => Ok(()),
    }
}

/// The runtime of everything but the HTTP workers, which bring their own: connections to the database, the feed, the timeline.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)
}
