use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use subtle_application::admin::Privilege;
use subtle_application::billing::Biller;
use subtle_application::service_keys::{Service, ServiceKeyRefused, authenticate_service};
use subtle_domain::service_key::{Scope, ServiceKeySecret};

use super::caller::{bearer, granted, ports};
use super::client;
use crate::problem::ApiError;

/// A scope, as a type.
pub(crate) trait Scoped: 'static {
    /// Which.
    const SCOPE: Scope;
}

/// To record usage.
pub(crate) struct UsageWrite;
impl Scoped for UsageWrite {
    const SCOPE: Scope = Scope::UsageWrite;
}

/// To hold quota and to settle.
pub(crate) struct QuotaWrite;
impl Scoped for QuotaWrite {
    const SCOPE: Scope = Scope::QuotaWrite;
}

/// To write into timelines.
pub(crate) struct ActivityWrite;
impl Scoped for ActivityWrite {
    const SCOPE: Scope = Scope::ActivityWrite;
}

/// A program with a service key of a scope, and what it asks for: read once it is known to be one, as with `Admin`.
pub(crate) struct Program<S, T> {
    pub(crate) by: Service,
    pub(crate) asked: T,
    scope: PhantomData<S>,
}

impl<S: Scoped, T: FromRequest + 'static> FromRequest for Program<S, T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        async move {
            let by = service(&request, S::SCOPE).await?;
            let asked = T::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self { by, asked, scope: PhantomData })
        }
        .boxed_local()
    }
}

/// Somebody who may write the ledger, and what they ask for: a program with a key of that scope, or an administrator.
pub(crate) struct Ledger<T> {
    pub(crate) by: Biller,
    pub(crate) asked: T,
}

impl<T: FromRequest + 'static> FromRequest for Ledger<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        async move {
            if bearer(&request)?.starts_with(ServiceKeySecret::PREFIX) {
                let by = Biller::Service(service(&request, Scope::BillingWrite).await?);
                let asked = T::from_request(&request, &mut payload).await.map_err(Into::into)?;
                return Ok(Self { by, asked });
            }
            let (by, asked) = granted(request, payload, Privilege::Administer).await?;
            Ok(Self { by: Biller::Admin(by), asked })
        }
        .boxed_local()
    }
}

async fn service(request: &HttpRequest, scope: Scope) -> Result<Service, ApiError> {
    let token = bearer(request)?;
    Ok(authenticate_service(ports(request)?, token, scope, client::of(request)?).await?)
}

impl From<ServiceKeyRefused> for ApiError {
    fn from(error: ServiceKeyRefused) -> Self {
        match error {
            ServiceKeyRefused::Invalid => Self::InvalidToken(error.to_string()),
            ServiceKeyRefused::Scope(_) => Self::Forbidden(error.to_string()),
            ServiceKeyRefused::Store(store) => Self::Store(store),
        }
    }
}
