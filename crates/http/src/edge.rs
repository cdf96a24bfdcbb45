//! What every request passes on its way in and out: an identifier, a line in the log, the last net under errors and panics,
//! and the headers that every answer carries.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};
use futures_util::FutureExt;
use subtle_application::Ports;
use tracing::{Instrument, Span};

use crate::connection::Progress;
use crate::metrics::Metrics;
use crate::problem::ApiError;
use crate::server::Readiness;
use crate::traces;

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
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let begun = Instant::now();
    let progress = request.conn_data::<Progress>().cloned();
    if let Some(progress) = &progress {
        progress.begin_answer();
    }
    // One request of a connection, then the others' turn: who sends thousands at once would keep the thread to themselves.
    tokio::task::yield_now().await;
    let stopping = request.app_data::<Data<Readiness>>().is_some_and(|readiness| readiness.is_stopping());
    let id = request_id(&request);
    let metrics = request.app_data::<Data<Metrics>>();
    let counted =
        metrics.map(|metrics| Metrics::begin(metrics, request.method(), request.match_info().as_str()));
    let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let trace =
        counted.as_ref().map_or_else(Span::none, |counted| traces::begin(request.headers(), counted, &id));
    let span =
        tracing::info_span!(parent: &trace, "request", id, method = %request.method(), path = request.path());
    // As GET, without the body, which the connection leaves out by itself (RFC 9110, 9.3.2).
    let is_head = *request.method() == Method::HEAD;
    if is_head {
        request.head_mut().method = Method::GET;
    }
    let answering = trace.clone();
    async move {
        let outcome = AssertUnwindSafe(next.call(request)).catch_unwind().await;
        if let Some(progress) = progress {
            progress.end_answer(chunked);
        }
        let (answer, problem) = match outcome {
            Ok(Ok(response)) => {
                let (response, problem) = render(response, &id);
                (Ok(response), problem)
            }
            Ok(Err(error)) => {
                let (error, problem) = error.as_error::<ApiError>().map_or_else(
                    || rendered(&ApiError::of_status(error.as_response_error().status_code()), &id),
                    |known| rendered(known, &id),
                );
                (Err(error), Some(problem))
            }
            Err(_panic) => {
                tracing::error!("a handler panicked");
                let (error, problem) = rendered(&ApiError::Internal, &id);
                (Err(error), Some(problem))
            }
        };
        let status = answer
            .as_ref()
            .map_or_else(|error| error.as_response_error().status_code(), ServiceResponse::status);
        traces::answered(&answering, status, problem);
        if let Some(counted) = counted {
            counted.answered(status, problem);
        }
        let mut response = answer?;
        dress(response.headers_mut(), &id);
        if is_head {
            response = response.map_body(|_, body| without_end(body));
        }
        if stopping {
            // The next request of this connection might find nobody.
            response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status = status.as_u16(), milliseconds, "answered");
        Ok(response)
    }
    .instrument(span)
    .instrument(trace)
    .await
}

/// Drops a body that has no length: the connection would read on in it, and send none of it.
fn without_end<B: MessageBody + 'static>(body: EitherBody<B>) -> EitherBody<B> {
    match body.size() {
        BodySize::Stream => EitherBody::right(BoxBody::new(())),
        BodySize::None | BodySize::Sized(_) => body,
    }
}

/// The client's own identifier where it is harmless, else a new one.
fn request_id(request: &ServiceRequest) -> String {
    let harmless = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(harmless);
    let new = || request.app_data::<Data<Ports>>().map(|ports| ports.ids.token_id().to_string());
    given.map(str::to_owned).or_else(new).unwrap_or_default()
}

/// Turns every error answer into a problem, whose name it gives too, and logs once what is our own fault.
fn render<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
    id: &str,
) -> (ServiceResponse<EitherBody<B>>, Option<&'static str>) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return (response.map_into_left_body(), None);
    }
    // Without them a page in a browser could not read what went wrong.
    let is_cors = |name: &HeaderName| *name == header::VARY || name.as_str().starts_with("access-control-");
    let headers = response.headers().iter().filter(|(name, _)| is_cors(name));
    let cors: Vec<_> = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
    let known = response.response().error().and_then(|error| error.as_error::<ApiError>());
    let by_framework = ApiError::of_status(status);
    let error = known.unwrap_or(&by_framework);
    log(error);
    let (answer, problem) = (error.respond(id), error.name());
    let mut rendered = response.into_response(answer).map_into_right_body();
    for (name, value) in cors {
        rendered.headers_mut().append(name, value);
    }
    (rendered, Some(problem))
}

fn rendered(error: &ApiError, id: &str) -> (Error, &'static str) {
    log(error);
    let mut response: HttpResponse = error.respond(id);
    dress(response.headers_mut(), id);
    (InternalError::from_response("rendered", response).into(), error.name())
}

/// A whole answer, as it goes over the wire, to what never became a request.
pub(crate) fn answer_to_no_request(error: &ApiError, id: &str) -> Vec<u8> {
    let mut response = error.respond(id);
    dress(response.headers_mut(), id);
    let mut head = format!("HTTP/1.1 {}\r\nconnection: close\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let body = response.into_body().try_into_bytes().unwrap_or_default();
    head.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    [&head[..], &body].concat()
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::time::Duration;

    use actix_web::middleware::from_fn;
    use actix_web::{App, HttpServer, web};

    use super::*;

    async fn panicking(_read: web::Bytes) -> HttpResponse {
        panic!("a secret of the handler")
    }

    async fn slowly_panicking(_read: web::Bytes) -> HttpResponse {
        tokio::task::yield_now().await;
        panic!("a secret of the handler")
    }

    /// A server of one worker, so that it is the worker that panicked which answers afterwards.
    fn serve() -> SocketAddr {
        let app = || {
            App::new()
                .route("/panics", web::to(panicking))
                .route("/panics-later", web::to(slowly_panicking))
                .route("/works", web::to(async |_read: web::Bytes| HttpResponse::Ok().body("works")))
                .route(
                    "/fails",
                    web::to(async |_read: web::Bytes| Err::<HttpResponse, _>(ApiError::NotReady)),
                )
                .wrap(from_fn(pass))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let address = server.addrs()[0];
        tokio::spawn(server.run());
        address
    }

    /// Asks for one path after another on one connection; what was answered to each.
    fn ask(address: SocketAddr, paths: &[&str]) -> Vec<String> {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let answers = paths.iter().map(|path| {
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: r-1\r\nContent-Length: 2\r\n\r\n{{}}"
            );
            connection.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            let mut byte = [0];
            while !answer.ends_with("\r\n\r\n") {
                connection.read_exact(&mut byte).unwrap();
                answer.push(byte[0].into());
            }
            let length =
                answer.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            connection.read_exact(&mut body).unwrap();
            answer + &String::from_utf8(body).unwrap()
        });
        answers.collect()
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_for_and_the_connection_lives() {
        let address = serve();
        let paths = ["/panics", "/panics-later", "/panics", "/works", "/fails"];
        let answers = tokio::task::spawn_blocking(move || ask(address, &paths)).await.unwrap();
        for answer in &answers[..3] {
            assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
            assert!(answer.contains("urn:subtle:problem:internal") && !answer.contains("secret"), "{answer}");
        }
        assert!(answers[3].starts_with("HTTP/1.1 200 ") && answers[3].ends_with("works"), "{}", answers[3]);
        assert!(answers[4].starts_with("HTTP/1.1 503 "), "{}", answers[4]);
        for answer in &answers {
            let problem = answer.contains("content-type: application/problem+json\r\n")
                && answer.contains(r#""requestId":"r-1""#);
            assert!(problem || answer.ends_with("works"), "{answer}");
            for header in ["x-request-id: r-1", "x-content-type-options: nosniff", "cache-control: no-store"]
            {
                assert!(answer.contains(&format!("{header}\r\n")), "{header}: {answer}");
            }
        }
    }

    #[tokio::test]
    async fn what_the_framework_answers_by_itself_becomes_a_problem() {
        let address = serve();
        let answers = tokio::task::spawn_blocking(move || ask(address, &["/nowhere"])).await.unwrap();
        assert!(answers[0].starts_with("HTTP/1.1 404 "), "{}", answers[0]);
        assert!(answers[0].contains("urn:subtle:problem:not-found"), "{}", answers[0]);
    }
}
