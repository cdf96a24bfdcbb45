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
