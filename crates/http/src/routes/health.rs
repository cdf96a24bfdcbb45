use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::Serialize;
use subtle_application::Ports;
use utoipa::ToSchema;

use crate::problem::ApiError;
use crate::server::Readiness;

/// Longest wait for the store.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the service is.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the process lives.
#[utoipa::path(
    operation_id = "isLive",
    tag = "operations",
    responses((status = 200, description = "It does", body = Health))
)]
#[get("/health/live")]
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// Whether requests should be sent here.
///
/// Not while it starts, stops, or can't reach its database.
#[utoipa::path(
    operation_id = "isReady",
    tag = "operations",
    responses((status = 200, description = "They should", body = Health))
)]
#[get("/health/ready")]
pub(super) async fn ready(ports: Data<Ports>, readiness: Data<Readiness>) -> Result<HttpResponse, ApiError> {
    if !readiness.is_ready() {
        return Err(ApiError::NotReady);
    }
    let ping = tokio::time::timeout(PATIENCE, ports.health.ping());
    ping.await.map_err(|_elapsed| ApiError::NotReady)??;
    Ok(HttpResponse::Ok().json(Health { status: "ok" }))
}
