//! `cargo xtask db reset`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::Place;
use crate::failure::{Failure, Outcome};
use crate::psql;
use crate::service::{Build, Service};

/// Connections that are open don't hold it up: development servers reconnect.
const RECREATE: &str = "
SET client_min_messages = warning;
DROP DATABASE IF EXISTS :\"name\" WITH (FORCE);
CREATE DATABASE :\"name\";
";
/// The database to be connected to meanwhile.
const MAINTENANCE: &str = "postgres";

pub(super) fn reset(place: &Place, force: bool) -> Outcome {
    place.must_be_local("drop it")?;
    if let Place::Given(url) = place
        && [MAINTENANCE, "template0", "template1"].contains(&url.database())
    {
        return Err(Failure::new(format!("{} is PostgreSQL's own and stays", url.database())));
    }
    if !(force || confirmed(&place.described())?) {
        return Err(Failure::new("nothing was dropped"));
    }
    // What doesn't compile must not leave an empty database behind.
    let service = Service::build(Build::Alone)?;
    let database = place.open()?;
    let mut psql = psql::command();
    database.url.name_to(&mut psql, Some(MAINTENANCE));
    psql::rows(psql, &[("name", database.url.database())], RECREATE)?;
    println!("dropped and created: {}", place.described());
    service.migrate(database.url.given())?;
    println!("`cargo xtask db seed` adds the development data");
    database.close()
}

fn confirmed(what: &str) -> Outcome<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::new(
            "there is no terminal to ask on: --force drops the database without asking",
        ));
    }
    print!("Drop {what}, with all it holds? [y/N] ");
    io::stdout().flush().map_err(Failure::when("ask"))?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(Failure::when("read the answer"))?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
