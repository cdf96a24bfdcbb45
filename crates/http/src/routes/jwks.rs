use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::Serialize;
use subtle_application::Ports;
use utoipa::ToSchema;

/// Keys that verify access tokens (RFC 7517).
#[derive(Serialize, ToSchema)]
pub(super) struct Jwks {
    keys: Vec<Jwk>,
}

/// An Ed25519 public key (RFC 8037).
#[derive(Serialize, ToSchema)]
struct Jwk {
    #[schema(example = "OKP")]
    kty: &'static str,
    #[schema(example = "Ed25519")]
    crv: &'static str,
    #[schema(example = "EdDSA")]
    alg: &'static str,
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    usage: &'static str,
    /// The key's thumbprint (RFC 7638): the `kid` of tokens that it verifies.
    #[schema(example = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")]
    kid: String,
    /// The key, base64url.
    #[schema(example = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")]
    x: String,
}

/// See the keys that verify access tokens.
#[utoipa::path(
    operation_id = "showKeys",
    tag = "operations",
    responses((status = 200, description = "The key in use first, then those of the rotation before", body = Jwks))
)]
#[get("/.well-known/jwks.json")]
pub(super) async fn show(ports: Data<Ports>) -> HttpResponse {
    let keys = ports.access_tokens.keys().into_iter();
    let keys = keys.map(|key| Jwk {
        kty: "OKP",
        crv: "Ed25519",
        alg: "EdDSA",
        usage: "sig",
        kid: key.kid,
        x: key.x,
    });
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .json(Jwks { keys: keys.collect() })
}
