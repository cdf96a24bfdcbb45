use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use crate::problem::ApiError;

/// The `{id}` of a path. What can be no identifier is no one's: it is not found.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: TryFrom<String>> FromRequest for Id<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = web::Path::<String>::extract(request).into_inner().ok();
        let id = text.and_then(|text| T::try_from(text.into_inner()).ok());
        ready(id.map(Self).ok_or(ApiError::NotFound))
    }
}

/// The two identifiers of a path, in their order; likewise.
pub(crate) struct Ids<A, B>(pub(crate) A, pub(crate) B);

impl<A: TryFrom<String>, B: TryFrom<String>> FromRequest for Ids<A, B> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let texts = web::Path::<(String, String)>::extract(request).into_inner().ok();
        let ids = texts.and_then(|texts| {
            let (one, other) = texts.into_inner();
            Some(Self(A::try_from(one).ok()?, B::try_from(other).ok()?))
        });
        ready(ids.ok_or(ApiError::NotFound))
    }
}
