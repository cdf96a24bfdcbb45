use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use subtle_application::Ports;
use subtle_application::admin::{Forbidden, Privilege, Privileged, authorize};
use subtle_application::sessions::{Caller, FreshCaller, SignInTooOld, authenticate, step_up};

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

/// Somebody with an access token in force who has signed in lately, for what is sensitive.
pub(crate) struct FreshlySignedIn(pub(crate) FreshCaller);

impl FromRequest for FreshlySignedIn {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let fresh = || Ok(Self(step_up(ports(request)?, caller(request)?)?));
        ready(fresh())
    }
}

/// An administrator, and what they ask for. It is read once they are known to be one: others learn nothing of it, not even
/// that it is malformed.
pub(crate) struct Admin<T> {
    pub(crate) by: Privileged,
    pub(crate) asked: T,
}

/// Somebody of support, or an administrator, and what they ask for; likewise.
pub(crate) struct Support<T> {
    pub(crate) by: Privileged,
    pub(crate) asked: T,
}

impl<T: FromRequest + 'static> FromRequest for Admin<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let granted = granted(request.clone(), payload.take(), Privilege::Administer);
        granted.map_ok(|(by, asked)| Self { by, asked }).boxed_local()
    }
}

impl<T: FromRequest + 'static> FromRequest for Support<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let granted = granted(request.clone(), payload.take(), Privilege::Support);
        granted.map_ok(|(by, asked)| Self { by, asked }).boxed_local()
    }
}

pub(super) async fn granted<T: FromRequest>(
    request: HttpRequest,
    mut payload: Payload,
    privilege: Privilege,
) -> Result<(Privileged, T), Error> {
    let by = authorize(ports(&request)?, caller(&request)?, privilege).await.map_err(ApiError::from)?;
    let asked = T::from_request(&request, &mut payload).await.map_err(Into::into)?;
    Ok((by, asked))
}

/// The token that a request came with.
pub(super) fn bearer(request: &HttpRequest) -> Result<&str, ApiError> {
    if !request.headers().contains_key(header::AUTHORIZATION) {
        return Err(ApiError::AuthenticationRequired);
    }
    let refused = || ApiError::InvalidToken("Authorization must be one `Bearer` access token".to_owned());
    let credentials = only(request.headers(), &header::AUTHORIZATION).ok_or_else(refused)?;
    let (scheme, token) = credentials.split_once(' ').ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused());
    }
    Ok(token.trim())
}

fn caller(request: &HttpRequest) -> Result<Caller, ApiError> {
    let token = bearer(request)?;
    authenticate(ports(request)?, token, client::of(request)?)
        .map_err(|error| ApiError::InvalidToken(error.to_string()))
}

pub(super) fn ports(request: &HttpRequest) -> Result<&Data<Ports>, ApiError> {
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

impl From<SignInTooOld> for ApiError {
    fn from(_: SignInTooOld) -> Self {
        Self::SignInTooOld
    }
}
