//! What every request passes on its way in and out: an identifier, a line in the log, the last net under errors and panics,
//! and the headers that every answer carries.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};
use futures_util::FutureExt;
use subtle_application::Ports;
use tracing::Instrument;

use crate::problem::ApiError;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The headers of every answer that does not set its own.
const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Sees a request through.
pub(crate) async fn pass<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let begun = Instant::now();
    let id = request_id(&request);
    let span = tracing::info_span!("request", id, method = %request.method(), path = request.path());
    async move {
        let outcome = AssertUnwindSafe(next.call(request)).catch_unwind().await;
        let Ok(outcome) = outcome else {
            tracing::error!("a handler panicked");
            return Err(rendered(&ApiError::Internal, &id));
        };
        let mut response = match outcome {
            Ok(response) => render(response, &id),
            Err(error) => {
                let error = error.as_error::<ApiError>().map_or_else(
                    || rendered(&ApiError::of_status(error.as_response_error().status_code()), &id),
                    |known| rendered(known, &id),
                );
                return Err(error);
            }
        };
        dress(response.headers_mut(), &id);
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status = response.status().as_u16(), milliseconds, "answered");
        Ok(response)
    }
    .instrument(span)
    .await
}

/// The client's own identifier where it is harmless, else a new one.
fn request_id(request: &ServiceRequest) -> String {
    let harmless = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(harmless);
    let new =
        || request.app_data::<actix_web::web::Data<Ports>>().map(|ports| ports.ids.token_id().to_string());
    given.map(str::to_owned).or_else(new).unwrap_or_default()
}

/// Turns every error answer into a problem, and logs once what is our own fault.
fn render<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
    id: &str,
) -> ServiceResponse<EitherBody<B>> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response.map_into_left_body();
    }
    // Without them a page in a browser could not read what went wrong.
    let is_cors = |name: &HeaderName| *name == header::VARY || name.as_str().starts_with("access-control-");
    let headers = response.headers().iter().filter(|(name, _)| is_cors(name));
    let cors: Vec<_> = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
    let known = response.response().error().and_then(|error| error.as_error::<ApiError>());
    let answer = known.map_or_else(
        || ApiError::of_status(status).respond(id),
        |error| {
            log(error);
            error.respond(id)
        },
    );
    let mut rendered = response.into_response(answer).map_into_right_body();
    for (name, value) in cors {
        rendered.headers_mut().append(name, value);
    }
    rendered
}

fn rendered(error: &ApiError, id: &str) -> Error {
    log(error);
    let mut response: HttpResponse = error.respond(id);
    dress(response.headers_mut(), id);
    InternalError::from_response("rendered", response).into()
}

fn log(error: &ApiError) {
    if let ApiError::Store(store) = error {
        tracing::error!(error = store as &dyn std::error::Error, "the store failed");
    }
}

fn dress(headers: &mut HeaderMap, id: &str) {
    for (name, value) in HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}
