use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};

use super::client;
use crate::problem::ApiError;
use crate::settings::Settings;

/// Somebody who may see how the service does: who calls from one of the networks that the setting names.
pub(crate) struct Watcher;

impl FromRequest for Watcher {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request))
    }
}

fn admit(request: &HttpRequest) -> Result<Watcher, ApiError> {
    let settings = request.app_data::<Data<Settings>>().ok_or(ApiError::Internal)?;
    let address = client::sure_address(request.peer_addr(), request.headers(), &settings.trusted_proxies);
    let is_near =
        address.is_some_and(|address| settings.metrics_from.iter().any(|near| near.contains(address)));
    let refused =
        || ApiError::Forbidden("metrics are not shown to this address (setting metrics_from)".to_owned());
    is_near.then_some(Watcher).ok_or_else(refused)
}
