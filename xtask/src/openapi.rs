//! `cargo xtask openapi`.

use crate::failure::Outcome;
use crate::generated::{Mode, settle};
use crate::process::printed;
use crate::service::{Build, Service};

pub(crate) fn openapi(mode: Mode, build: Build) -> Outcome {
    let document = printed(&mut Service::build(build)?.command("openapi"))?;
    settle("crates/http/openapi.json", &document, "openapi", mode)
}
