use actix_web::dev::Payload;
use actix_web::http::header::HeaderName;
use actix_web::{FromRequest, HttpRequest};
use aws_lc_rs::digest::{Context, SHA256};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use subtle_domain::idempotency::Repeatable;
use subtle_domain::text::IdempotencyKey;

use super::body;
use super::text::only;
use crate::problem::{ApiError, FieldErrors};

const HEADER: &str = "Idempotency-Key";

/// A JSON body, and the key under which it may be sent again.
pub(crate) struct Repeat<T> {
    pub(crate) body: T,
    pub(crate) request: Option<Repeatable>,
}

impl<T> Repeat<T> {
    /// The body and its key, where one must be there.
    pub(crate) fn with_key(self) -> Result<(T, Repeatable), ApiError> {
        let missing = || ApiError::Malformed(format!("the header {HEADER} is required"));
        Ok((self.body, self.request.ok_or_else(missing)?))
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Repeat<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let key = key(request);
        let path = request.path().to_owned();
        let bytes = body::json_bytes(request, payload);
        async move {
            let key = key?;
            let bytes = bytes.await?;
            let body = body::parse(&bytes)?;
            let request = key.map(|key| Repeatable { key, fingerprint: fingerprint(&path, &bytes) });
            Ok(Self { body, request })
        }
        .boxed_local()
    }
}

fn key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, ApiError> {
    let name = HeaderName::from_static("idempotency-key");
    if !request.headers().contains_key(&name) {
        return Ok(None);
    }
    let mut errors = FieldErrors::default();
    let text = only(request.headers(), &name).unwrap_or_default();
    match errors.take(HEADER, IdempotencyKey::parse(text)) {
        Some(key) => Ok(Some(key)),
        None => Err(errors.into()),
    }
}

fn fingerprint(path: &str, body: &[u8]) -> [u8; 32] {
    let mut digest = Context::new(&SHA256);
    digest.update(path.as_bytes());
    digest.update(b"\0");
    digest.update(body);
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest.finish().as_ref());
    fingerprint
}
