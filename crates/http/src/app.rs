//! Puts the routes together.

use std::future::ready;

use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, Error, HttpRequest, HttpResponse};
use subtle_application::Ports;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::AppExt as _;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::metrics::{Gauges, Metrics};
use crate::paths::Paths;
use crate::problem::ApiError;
use crate::server::Readiness;
use crate::settings::Settings;
use crate::turns::{StreamTurns, Turns};
use crate::{document, edge, routes};

/// What all workers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) ports: Data<Ports>,
    turns: Data<Turns>,
    stream_turns: Data<StreamTurns>,
    pub(crate) settings: Data<Settings>,
    pub(crate) readiness: Data<Readiness>,
    document: Bytes,
    paths: Data<Paths>,
    pub(crate) metrics: Data<Metrics>,
    gauges: Data<Gauges>,
}

impl Shared {
    pub(crate) fn new(ports: Ports, settings: Settings, readiness: Readiness, gauges: Gauges) -> Self {
        let mut paths = document::methods(&document());
        let undocumented = ["/openapi.json", "/docs", "/docs/", "/docs/{file}"];
        paths.extend(undocumented.map(|path| (path.to_owned(), vec![Method::GET])));
        let paths = Data::new(Paths::new(paths));
        Self {
            ports: Data::new(ports),
            turns: Data::default(),
            stream_turns: Data::default(),
            settings: Data::new(settings),
            readiness: Data::new(readiness),
            document: Bytes::from(document::openapi_document()),
            metrics: Data::new(Metrics::new(paths.clone())),
            gauges: Data::new(gauges),
            paths,
        }
    }
}

/// The document of all routes.
pub(crate) fn document() -> OpenApi {
    let (_app, mut document) =
        App::new().into_utoipa_app().openapi(document::base()).configure(routes::all).split_for_parts();
    document::complete(&mut document);
    document
}

/// The application of one worker.
pub(crate) fn app(
    shared: Shared,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let Shared { ports, turns, stream_turns, settings, readiness, document, paths, metrics, gauges } = shared;
    let cors = Condition::new(!settings.cors_origins.is_empty(), cors(&settings));
    let openapi = move || ready(HttpResponse::Ok().content_type("application/json").body(document.clone()));
    App::new()
        .app_data(ports)
        .app_data(turns)
        .app_data(stream_turns)
        .app_data(settings)
        .app_data(readiness)
        .app_data(paths)
        .app_data(metrics)
        .app_data(gauges)
        .into_utoipa_app()
        .configure(routes::all)
        .into_app()
        .route("/openapi.json", web::get().to(openapi))
        .service(web::redirect("/docs", "/docs/"))
        .service(
            web::scope("/docs")
                .wrap(from_fn(loosen_for_docs))
                .service(SwaggerUi::new("/{_:.*}").config(Config::from("/openapi.json"))),
        )
        .default_service(web::to(nothing_here))
        .wrap(cors)
        .wrap(from_fn(edge::pass))
}

/// A path without a route: of another method, or none at all.
async fn nothing_here(request: HttpRequest, paths: Data<Paths>) -> Result<HttpResponse, ApiError> {
    match paths.methods(request.path()) {
        Some(methods) => Err(ApiError::MethodNotAllowed(methods.to_vec())),
        None => Err(ApiError::NotFound),
    }
}

/// Swagger UI brings scripts and styles of its own, all from this server.
async fn loosen_for_docs(
    request: ServiceRequest,
    next: actix_web::middleware::Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(request).await?;
    let policy =
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(policy));
    Ok(response)
}

fn cors(settings: &Settings) -> Cors {
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .allowed_header("x-request-id")
        .allowed_header("idempotency-key")
        .allowed_header("last-event-id")
        .allowed_header("traceparent")
        .expose_headers(["x-request-id", "retry-after"])
        .block_on_origin_mismatch(false)
        .max_age(600);
    settings.cors_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
