use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use subtle_application::Ports;
use subtle_application::admin::{Forbidden, Privilege, Privileged, authorize};
use subtle_application::sessions::{Caller, authenticate};

use super::client;
use super::text::only;
use crate::problem::ApiError;

/// Somebody with an access token in force.
pub(crate) struct Authenticated(pub(crate) Caller);

impl FromRequest for Authenticated {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request).map(Self))
    }
}

/// An administrator.
pub(crate) struct Admin(pub(crate) Privileged);

impl FromRequest for Admin {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        privileged(request, Privilege::Administer).map(|granted| granted.map(Self)).boxed_local()
    }
}

fn privileged(
    request: &HttpRequest,
    privilege: Privilege,
) -> impl Future<Output = Result<Privileged, ApiError>> + 'static {
    let caller = caller(request);
    let ports = ports(request).cloned();
    async move { Ok(authorize(&*ports?, caller?, privilege).await?) }
}

fn caller(request: &HttpRequest) -> Result<Caller, ApiError> {
    if !request.headers().contains_key(header::AUTHORIZATION) {
        return Err(ApiError::AuthenticationRequired);
    }
    let refused = || ApiError::InvalidToken("Authorization must be one `Bearer` access token".to_owned());
    let credentials = only(request.headers(), &header::AUTHORIZATION).ok_or_else(refused)?;
    let (scheme, token) = credentials.split_once(' ').ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused());
    }
    let client = client::of(request)?;
    authenticate(ports(request)?, token.trim(), client)
        .map_err(|error| ApiError::InvalidToken(error.to_string()))
}

fn ports(request: &HttpRequest) -> Result<&Data<Ports>, ApiError> {
    request.app_data::<Data<Ports>>().ok_or(ApiError::Internal)
}

impl From<Forbidden> for ApiError {
    fn from(error: Forbidden) -> Self {
        match error {
            Forbidden::Closed => Self::InvalidToken(error.to_string()),
            Forbidden::Role(_) => Self::Forbidden(error.to_string()),
            Forbidden::Store(store) => Self::Store(store),
        }
    }
}
