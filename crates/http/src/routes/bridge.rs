use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use subtle_application::Ports;
use subtle_application::bridge::{
    self, HandedOver, IssueBridge, IssueBridgeError, Issued, RedeemBridge, RedeemBridgeError,
};
use subtle_domain::bridge::CodeChallenge;
use utoipa::ToSchema;

use super::auth::AuthResponse;
use super::dto::time;
use crate::metrics::Metrics;
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Authenticated, Client, Json, TokenLimit, document};
use crate::turns::Turns;

/// Most bytes of what is handed over.
const MOST_DATA: usize = 16_384;

/// What a bridge token is to be bound to, and to carry.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct BridgeRequest {
    /// Binds the token to the app that knows the verifier: base64url without padding of its SHA-256 (RFC 7636, `S256`).
    #[schema(example = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", min_length = 43, max_length = 43)]
    code_challenge: Option<String>,
    /// Handed over to who redeems it: any JSON of at most 16,384 bytes.
    #[schema(value_type = Option<serde_json::Value>, example = json!({"document": "d-17"}))]
    session_data: Option<Box<RawValue>>,
}

/// A bridge token, shown this once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BridgeResponse {
    /// Good for one session. Hand it on in a way that nobody logs: behind the `#` of a link, not in its query.
    #[schema(example = "bt_AWNtYjN4MGY1ZTAwMDBhYmNkMTIzNGVmZ2g")]
    token: String,
    /// From when on it is good for nothing: in a minute.
    #[schema(format = DateTime, example = "2026-11-25T08:01:00.000Z")]
    expires_at: String,
}

impl From<Issued> for BridgeResponse {
    fn from(issued: Issued) -> Self {
        Self { token: issued.token.expose().to_owned(), expires_at: time(issued.expires_at) }
    }
}

/// A bridge token, and what binds it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RedeemRequest {
    #[schema(example = "bt_AWNtYjN4MGY1ZTAwMDBhYmNkMTIzNGVmZ2g")]
    token: String,
    /// What stands behind the `codeChallenge`, if the token has one.
    #[schema(example = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", min_length = 43, max_length = 128)]
    code_verifier: Option<String>,
}

/// Somebody who is signed in by a bridge token, and what was handed over with it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HandedOverResponse {
    #[serde(flatten)]
    signed_in: AuthResponse,
    /// As it was given with the token: any JSON, or null.
    #[schema(value_type = serde_json::Value, example = json!({"document": "d-17"}))]
    session_data: Option<Box<RawValue>>,
}

impl From<HandedOver> for HandedOverResponse {
    fn from(handed: HandedOver) -> Self {
        Self {
            signed_in: handed.signed_in.into(),
            // It was JSON in the database.
            session_data: handed.data.and_then(|data| RawValue::from_string(data).ok()),
        }
    }
}

/// Get a bridge token.
///
/// With it another of your apps begins a session of its own: once, within a minute, and only while the session that asked for it
/// lives.
#[utoipa::path(
    operation_id = "issueBridgeToken",
    tag = "sync",
    request_body = BridgeRequest,
    responses(
        (status = 201, description = "The token", body = BridgeResponse),
        (status = 429, description = "Too many requests with tokens from this address"),
    ),
    security(("accessToken" = []))
)]
#[post("/v1/bridge-tokens")]
pub(super) async fn issue(
    caller: Authenticated,
    _counted: TokenLimit,
    ports: Data<Ports>,
    turns: Data<Turns>,
    body: Json<BridgeRequest>,
) -> Result<HttpResponse, ApiError> {
    let _turn = Turns::take(&turns, caller.0.user_id.as_str()).await?;
    let mut errors = FieldErrors::default();
    let challenge = body.0.code_challenge.as_deref().map(CodeChallenge::parse).transpose();
    let challenge = errors.take("codeChallenge", challenge);
    let data = body.0.session_data.as_deref().map(|data| document(data, MOST_DATA)).transpose();
    let data = errors.take("sessionData", data);
    let (Some(challenge), Some(data)) = (challenge, data) else { return Err(errors.into()) };
    let issued = bridge::issue_bridge(&ports, &caller.0, IssueBridge { challenge, data }).await?;
    Ok(HttpResponse::Created().json(BridgeResponse::from(issued)))
}

/// Sign in with a bridge token.
///
/// A token that was used, has expired or never was one, and a wrong verifier, are all answered alike.
#[utoipa::path(
    operation_id = "redeemBridgeToken",
    tag = "sync",
    request_body = RedeemRequest,
    responses(
        (status = 200, description = "Signed in", body = HandedOverResponse),
        (status = 401, description = "The token is not valid, or not for you"),
        (status = 429, description = "Too many requests with tokens from this address"),
    )
)]
#[post("/v1/bridge-tokens/redeem")]
pub(super) async fn redeem(
    _counted: TokenLimit,
    ports: Data<Ports>,
    turns: Data<Turns>,
    metrics: Data<Metrics>,
    client: Client,
    body: Json<RedeemRequest>,
) -> Result<HttpResponse, ApiError> {
    let RedeemRequest { token, code_verifier: verifier } = body.0;
    let _turn = Turns::take(&turns, &token).await?;
    let handed = bridge::redeem_bridge(&ports, RedeemBridge { token, verifier, client: client.0 }).await?;
    metrics.sessions.count("bridge");
    Ok(HttpResponse::Ok().json(HandedOverResponse::from(handed)))
}

impl From<IssueBridgeError> for ApiError {
    fn from(error: IssueBridgeError) -> Self {
        match error {
            IssueBridgeError::TooMany(after) => Self::TooManyRequests(after),
            IssueBridgeError::Closed => Self::account_closed(),
            IssueBridgeError::Store(store) => Self::Store(store),
        }
    }
}

impl From<RedeemBridgeError> for ApiError {
    fn from(error: RedeemBridgeError) -> Self {
        match error {
            RedeemBridgeError::Invalid => Self::InvalidBridgeToken,
            RedeemBridgeError::Store(store) => Self::Store(store),
        }
    }
}
