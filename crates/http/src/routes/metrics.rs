use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use subtle_application::Ports;
use subtle_metrics::{Exposition, Format};

use crate::metrics::{Gauges, Metrics};
use crate::request::Watcher;

/// See what is counted, for Prometheus.
///
/// In the text format 0.0.4, or as `OpenMetrics` 1.0.0 where `Accept` prefers that. It waits for nothing, not even for a database that is
/// away.
#[utoipa::path(
    operation_id = "showMetrics",
    tag = "operations",
    responses(
        (
            status = 200,
            description = "The metrics",
            body = String,
            content_type = "text/plain; version=0.0.4; charset=utf-8"
        ),
        (status = 403, description = "Metrics are not shown to that address (setting `metrics_from`)"),
    )
)]
#[get("/metrics")]
pub(super) async fn show(
    _may: Watcher,
    request: HttpRequest,
    ports: Data<Ports>,
    metrics: Data<Metrics>,
    gauges: Data<Gauges>,
) -> HttpResponse {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let mut exposition = Exposition::new(format);
    metrics.write(&ports, &gauges, &mut exposition);
    HttpResponse::Ok().content_type(format.content_type()).body(exposition.finish())
}
