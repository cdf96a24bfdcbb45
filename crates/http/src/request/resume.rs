use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderName;
use actix_web::{FromRequest, HttpRequest};
use subtle_domain::sync::{InvalidPlace, Place};

use super::text::only;
use crate::problem::{ApiError, FieldErrors};

const HEADER: &str = "Last-Event-ID";

/// Where a stream that was cut is to go on, if it is one.
pub(crate) struct LastEventId(pub(crate) Option<Place>);

impl FromRequest for LastEventId {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let name = HeaderName::from_static("last-event-id");
        let place = match only(request.headers(), &name) {
            Some("") => Ok(None),
            Some(text) => Place::parse(text).map(Some),
            None if request.headers().contains_key(&name) => Err(InvalidPlace),
            None => Ok(None),
        };
        let mut errors = FieldErrors::default();
        ready(errors.take(HEADER, place).map(Self).ok_or_else(|| errors.into()))
    }
}
