//! The OpenAPI document, and what it says of every route alike.

use actix_web::http::{Method, StatusCode};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{OpenApi as _, ToSchema};

use crate::problem::Problem;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Subtle",
        description = "The account backend of an AI product: sign-up and sign-in with rotating sessions, usage with exact costs, \
                       quotas, a billing ledger, a hand-off between apps with a live feed, and the administration of accounts. Errors are problem details (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(Problem)),
    tags(
        (name = "auth", description = "Coming in, staying in, leaving"),
        (name = "me", description = "What people do with their own account"),
        (name = "sync", description = "The hand-off from one app to another, and what they tell each other"),
        (name = "activity", description = "What programs tell of what happened on accounts, with a service key"),
        (name = "usage", description = "What an AI backend tells and asks for, with a service key"),
        (name = "billing", description = "The ledger"),
        (name = "admin", description = "What administrators do with others' accounts"),
        (name = "operations", description = "For those who run the service"),
    )
)]
struct Base;

/// The document before the routes are in it.
pub(crate) fn base() -> OpenApi {
    Base::openapi()
}

/// The whole document, as it is served and committed: pretty JSON with a line break at its end.
#[must_use]
pub fn openapi_document() -> String {
    let mut text = crate::app::document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Says what is true of every route: which errors it may answer, and that errors are problems.
pub(crate) fn complete(document: &mut OpenApi) {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    document
        .components
        .get_or_insert_default()
        .add_security_scheme("accessToken", SecurityScheme::Http(scheme));
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("sk_…").build();
    document
        .components
        .get_or_insert_default()
        .add_security_scheme("serviceKey", SecurityScheme::Http(scheme));
    for (path, item) in &mut document.paths.paths {
        let named = path.contains('{');
        let privileged = path.starts_with("/v1/admin/");
        for operation in operations(item) {
            complete_operation(operation, named, privileged);
        }
    }
}

fn complete_operation(operation: &mut Operation, named: bool, privileged: bool) {
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        if let (true, RefOr::T(response)) = (status.starts_with(['4', '5']), response) {
            response.content.insert("application/problem+json".to_owned(), RefOr::T(problem()));
        }
    }
    let mut may = vec![(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side")];
    may.push((
        StatusCode::SERVICE_UNAVAILABLE,
        "The service is busy, or can't reach its database; try again",
    ));
    if operation.request_body.is_some() {
        may.push((StatusCode::BAD_REQUEST, "The body is no JSON"));
        may.push((StatusCode::REQUEST_TIMEOUT, "The body took too long to arrive"));
        may.push((StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"));
        may.push((StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not application/json"));
        may.push((StatusCode::UNPROCESSABLE_ENTITY, "A field has an unfit value, or is not known"));
    }
    if operation.parameters.iter().flatten().any(is_query) {
        may.push((StatusCode::BAD_REQUEST, "The query is not UTF-8"));
        may.push((StatusCode::UNPROCESSABLE_ENTITY, "A parameter has an unfit value, or is not known"));
    }
    if operation.security.is_some() {
        may.push((StatusCode::UNAUTHORIZED, "The token or key is missing, expired, revoked or not valid"));
    }
    if privileged {
        may.push((StatusCode::FORBIDDEN, "The role may not do this"));
    }
    if named {
        may.push((StatusCode::NOT_FOUND, "There is no such thing, or it is somebody else's"));
    }
    for (status, description) in may {
        responses.entry(status.as_str().to_owned()).or_insert_with(|| RefOr::T(answer(description)));
    }
}

fn is_query(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query)
}

fn answer(description: &str) -> Response {
    ResponseBuilder::new().description(description).content("application/problem+json", problem()).build()
}

fn problem() -> Content {
    Content::new(Some(Ref::from_schema_name(Problem::name())))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.patch, &mut item.put, &mut item.delete].into_iter().flatten()
}

/// The paths of the document with their methods: what tells "not allowed" from "not found".
pub(crate) fn methods(document: &OpenApi) -> Vec<(String, Vec<Method>)> {
    let methods = |item: &PathItem| {
        [
            (Method::GET, &item.get),
            (Method::POST, &item.post),
            (Method::PATCH, &item.patch),
            (Method::PUT, &item.put),
            (Method::DELETE, &item.delete),
        ]
        .into_iter()
        .filter_map(|(method, operation)| operation.as_ref().map(|_| method))
        .collect()
    };
    document.paths.paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_the_one_that_is_served() {
        let committed = include_str!("../openapi.json");
        // Not `assert_eq!`, which would print both.
        assert!(committed == openapi_document(), "openapi.json is out of date: run `cargo xtask openapi`");
    }

    #[test]
    fn every_operation_tells_its_errors_as_problems() {
        let mut document = crate::app::document();
        for (path, item) in &mut document.paths.paths {
            for operation in operations(item) {
                for (status, response) in &operation.responses.responses {
                    let RefOr::T(response) = response else { panic!("{path} {status}") };
                    if status.starts_with(['4', '5']) {
                        assert!(response.content.contains_key("application/problem+json"), "{path} {status}");
                    }
                }
            }
        }
    }
}
