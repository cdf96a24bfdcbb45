use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post};
use serde::{Deserialize, Serialize};
use subtle_application::Ports;
use subtle_application::service_keys::{self, NewServiceKey, RevokeKeyError};
use subtle_domain::ids::ServiceKeyId;
use subtle_domain::service_key::{Scopes, ServiceKey};
use subtle_domain::text::Label;
use utoipa::ToSchema;

use super::dto::time;
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Admin, Id, Json};

/// A service key, without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ServiceKey)]
pub(super) struct ServiceKeyDto {
    #[schema(example = "cmb3x0f5e0006abcd1234efgh")]
    id: String,
    #[schema(example = "gateway")]
    name: String,
    /// What it may be used for.
    #[schema(example = json!(["usage:write", "quota:write"]))]
    scopes: Vec<&'static str>,
    /// The administrator who made it, under whom audit entries stand.
    #[schema(example = "cmb3x0f5e0000abcd1234efgh")]
    created_by: String,
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    created_at: String,
    /// When it was last used, to a minute; null before that.
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    last_used_at: Option<String>,
    /// Since when it is good for nothing; null while it is in force.
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    revoked_at: Option<String>,
}

impl From<&ServiceKey> for ServiceKeyDto {
    fn from(key: &ServiceKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name.as_str().to_owned(),
            scopes: key.scopes.as_slice().iter().map(|scope| scope.as_str()).collect(),
            created_by: key.created_by.to_string(),
            created_at: time(key.created_at),
            last_used_at: key.last_used_at.map(time),
            revoked_at: key.revoked_at.map(time),
        }
    }
}

/// A service key with its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct NewKey {
    #[serde(flatten)]
    about: ServiceKeyDto,
    /// The secret, shown this once: `Authorization: Bearer sk_…`.
    #[schema(example = "sk_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    key: String,
}

/// Service keys, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceKeyList {
    items: Vec<ServiceKeyDto>,
    /// Always null: all of them are on the page.
    next_cursor: Option<String>,
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateKeyRequest {
    /// What to call it: 1 to 100 characters.
    #[schema(example = "gateway")]
    name: String,
    /// What it may be used for: of `usage:write`, `billing:write`, `activity:write` and `quota:write`.
    #[schema(example = json!(["usage:write", "quota:write"]), min_items = 1)]
    scopes: Vec<String>,
}

/// List service keys.
///
/// The revoked ones too: audit entries name them.
#[utoipa::path(
    operation_id = "listServiceKeys",
    tag = "admin",
    responses((status = 200, description = "All keys, newest first", body = ServiceKeyList)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/service-keys")]
pub(super) async fn list(ports: Data<Ports>, Admin { by, .. }: Admin<()>) -> Result<HttpResponse, ApiError> {
    let keys = service_keys::list_service_keys(&ports, &by).await?;
    let items = keys.iter().map(ServiceKeyDto::from).collect();
    Ok(HttpResponse::Ok().json(ServiceKeyList { items, next_cursor: None }))
}

/// Make a service key.
///
/// Its secret is in this answer and nowhere else.
#[utoipa::path(
    operation_id = "createServiceKey",
    tag = "admin",
    request_body = CreateKeyRequest,
    responses((status = 201, description = "The key with its secret", body = NewKey)),
    security(("accessToken" = []))
)]
#[post("/v1/admin/service-keys")]
pub(super) async fn create(
    ports: Data<Ports>,
    Admin { by, asked: Json(asked) }: Admin<Json<CreateKeyRequest>>,
) -> Result<HttpResponse, ApiError> {
    let mut errors = FieldErrors::default();
    let name = errors.take("name", Label::parse(&asked.name));
    let scopes = errors.take("scopes", Scopes::parse(&asked.scopes));
    let (Some(name), Some(scopes)) = (name, scopes) else { return Err(errors.into()) };
    let (key, secret) = service_keys::create_service_key(&ports, &by, NewServiceKey { name, scopes }).await?;
    let new = NewKey { about: ServiceKeyDto::from(&key), key: secret.expose().to_owned() };
    Ok(HttpResponse::Created().json(new))
}

/// Revoke a service key.
///
/// It is good for nothing at once; on other servers within a second.
#[utoipa::path(
    operation_id = "revokeServiceKey",
    tag = "admin",
    params(("id" = String, Path, description = "Of a service key")),
    responses((status = 204, description = "The key is revoked")),
    security(("accessToken" = []))
)]
#[delete("/v1/admin/service-keys/{id}")]
pub(super) async fn revoke(
    ports: Data<Ports>,
    Admin { by, asked: Id(id) }: Admin<Id<ServiceKeyId>>,
) -> Result<HttpResponse, ApiError> {
    service_keys::revoke_service_key(&ports, &by, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl From<RevokeKeyError> for ApiError {
    fn from(error: RevokeKeyError) -> Self {
        match error {
            RevokeKeyError::NotFound => Self::NotFound,
            RevokeKeyError::Forbidden(why) => why.into(),
            RevokeKeyError::Store(store) => Self::Store(store),
        }
    }
}
