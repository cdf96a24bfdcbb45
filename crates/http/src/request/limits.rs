use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use subtle_application::{AddressLimit, Ports};

use super::client;
use crate::problem::ApiError;

/// Counts a request with a password against the limit of its client's address.
pub(crate) struct PasswordLimit;

/// Counts a request with a refresh token against the limit of its client's address.
pub(crate) struct TokenLimit;

/// Counts a request for a letter against the limit of its client's address.
pub(crate) struct LetterLimit;

impl FromRequest for LetterLimit {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request, AddressLimit::Letter).map(|()| Self))
    }
}

impl FromRequest for PasswordLimit {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request, AddressLimit::Password).map(|()| Self))
    }
}

impl FromRequest for TokenLimit {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request, AddressLimit::Token).map(|()| Self))
    }
}

fn admit(request: &HttpRequest, what: AddressLimit) -> Result<(), ApiError> {
    let ports = request.app_data::<Data<Ports>>().ok_or(ApiError::Internal)?;
    let address = client::of(request)?.ip_address;
    ports.limits.admit_address(what, address, ports.clock.now()).map_err(ApiError::TooManyRequests)
}
