//! `cargo xtask dev`.

use std::ffi::OsString;

use crate::db::{Place, seed};
use crate::failure::Outcome;
use crate::process::become_it;
use crate::service::{Build, Service};

/// Migrates, seeds, and becomes the service: so Ctrl-C reaches that, and nothing is between.
pub(crate) fn dev(arguments: &[OsString]) -> Outcome {
    let place = Place::find()?;
    place.must_be_local("serve development data from it")?;
    let service = Service::build(Build::Alone)?;
    let database = place.open()?;
    service.migrate(database.url.given())?;
    seed::seed(&database.url)?;
    database.close()?;
    become_it(place.settings(&mut service.command("serve")).args(arguments))
}
