//! The HTTP API: what comes in becomes a command, what a use case gives back becomes an answer.
//!
//! A handler parses a DTO, runs one use case and renders its result; it decides nothing. All errors are `application/problem+json`
//! (RFC 9457), whoever raised them. No body is read but through [`request`], which bounds its size and its time.
//!
//! In reading order: [`settings`] and [`server`]; `connection` closes what its client does not finish; `app` puts the routes
//! together, `edge` is what every request passes; `paths` knows the routes, `metrics` counts what is asked of them and `traces` tells of
//! each; `request` takes requests apart; `problem` is every error there is; `routes` has a file per resource.

mod app;
mod connection;
mod cursor;
mod document;
mod edge;
mod metrics;
mod paths;
mod problem;
mod request;
mod routes;
pub mod server;
pub mod settings;
mod traces;
mod turns;

pub use document::openapi_document;

/// A look at the database as JSON, as `GET /v1/admin/database` answers it.
#[must_use]
pub fn database_json(report: &subtle_domain::inspection::DatabaseReport) -> String {
    // DTOs always have a JSON form.
    serde_json::to_string(&routes::DatabaseDto::from(report)).unwrap_or_default()
}
pub use metrics::Gauges;
pub use routes::UserList;
pub use server::{Readiness, Server};
pub use settings::{InvalidNetwork, IpNetwork, Settings};
