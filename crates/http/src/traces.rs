//! What traces tell of a request: the words that it is counted by, and its identifier. No path, no query, no address, nothing of who asked.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use tracing::Span;
use tracing::field::Empty;

use crate::metrics::InFlight;

/// What is opened with this target is exported if traces are, and never logged. Otherwise it is not even made.
const TARGET: &str = "traces";

/// The span of a request that has come in. Its fields are named as OpenTelemetry's semantic conventions for HTTP servers have them.
pub(crate) fn begin(headers: &HeaderMap, counted: &InFlight, id: &str) -> Span {
    let (method, route) = (counted.method(), counted.route());
    let caller = traceparent(headers);
    if caller.is_none() && route.is_some_and(is_probe) {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET,
        parent: None,
        "request",
        otel.kind = "server",
        otel.name = name(method, route),
        otel.status_code = Empty,
        traceparent = caller,
        http.request.method = method.unwrap_or("_OTHER"),
        http.route = route,
        http.response.status_code = Empty,
        url.scheme = "http",
        "error.type" = Empty,
        subtle.request.id = id,
    )
}

/// How it was answered, perhaps with the problem of that name. Only what is our own fault is an error.
pub(crate) fn answered(span: &Span, status: StatusCode, problem: Option<&'static str>) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", problem.unwrap_or("internal"));
    }
}

/// Whether it only asks how we are, every few seconds.
fn is_probe(route: &str) -> bool {
    route == "/metrics" || route.starts_with("/health/")
}

fn name(method: Option<&str>, route: Option<&str>) -> String {
    let method = method.unwrap_or("HTTP");
    route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
}

/// What the caller says of its trace. Said twice it is not said (W3C Trace Context, 3.2).
fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all("traceparent");
    given.next().filter(|_| given.next().is_none())?.to_str().ok()
}
