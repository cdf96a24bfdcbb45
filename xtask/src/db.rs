//! `cargo xtask db`.

mod place;
mod reset;
pub(crate) mod seed;
mod url;

use std::env;
use std::ffi::OsString;
use std::process::Command;

use clap::Subcommand;
use subtle_local_postgres::{Stopped, stop};

use crate::failure::{Failure, Outcome};
use crate::process::become_it;
use crate::psql;
use crate::service::{Build, Service};
pub(crate) use place::Place;

/// Set where Ctrl-C is ignored already.
const DEAF: &str = "SUBTLE_XTASK_DEAF";

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Starts the private PostgreSQL and leaves it running
    Start,
    /// Stops it
    Stop,
    /// Drops the database with all it holds, creates it anew and migrates it
    Reset {
        /// Does not ask first
        #[arg(long)]
        force: bool,
    },
    /// Migrates the database and adds the development data that is not there yet
    Seed,
    /// Opens psql on the database
    Psql {
        /// Passed on to psql
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
}

pub(crate) fn db(task: Task) -> Outcome {
    let place = Place::find()?;
    match task {
        Task::Start => start(&place),
        Task::Stop => stop_it(&place),
        Task::Reset { force } => reset::reset(&place, force),
        Task::Seed => {
            place.must_be_local("put development data there")?;
            let service = Service::build(Build::Alone)?;
            let database = place.open()?;
            service.migrate(database.url.given())?;
            seed::seed(&database.url)?;
            database.close()
        }
        Task::Psql { arguments } => open_psql(&place, &arguments),
    }
}

fn start(place: &Place) -> Outcome {
    let Place::Private(private) = place else {
        return Err(Failure::new("DATABASE_URL is set: that server is not ours to start"));
    };
    let database = place.open()?;
    println!("PostgreSQL runs in {}", private.folder().display());
    println!("DATABASE_URL='{}'", database.url.given());
    database.leave_running()
}

fn stop_it(place: &Place) -> Outcome {
    let Place::Private(private) = place else {
        return Err(Failure::new("DATABASE_URL is set: that server is not ours to stop"));
    };
    println!(
        "{}",
        match stop(&private.folder())? {
            Stopped::Now => "PostgreSQL is stopped",
            Stopped::Before => "PostgreSQL was not running",
            Stopped::Later => "others use PostgreSQL; the last of them stops it",
        }
    );
    Ok(())
}

/// At psql's prompt, Ctrl-C is for psql. It reaches us too, and we must live on to leave the private server in good order: so we
/// start again where it is ignored, which `trap` can do and std cannot.
fn open_psql(place: &Place, arguments: &[OsString]) -> Outcome {
    let private = matches!(place, Place::Private(_));
    if private && env::var_os(DEAF).is_none() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' INT; exec \"$0\" \"$@\""]).env(DEAF, "1");
        shell.arg(env::current_exe().map_err(Failure::when("tell where xtask is"))?);
        return become_it(shell.args(env::args_os().skip(1)));
    }
    let database = place.open()?;
    let mut psql = psql::command();
    database.url.name_to(&mut psql, None);
    psql.args(arguments).env_remove(DEAF);
    if private {
        let status = psql.status().map_err(Failure::when("run psql"))?;
        database.close()?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("psql: {status}"))) }
    } else {
        become_it(&mut psql)
    }
}
