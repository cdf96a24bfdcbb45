use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, patch, post};
use serde::Deserialize;
use subtle_application::Ports;
use subtle_application::accounts::{self, ChangePassword, EraseError, ProfileError};
use subtle_domain::password::{Password, PasswordAttempt};
use subtle_domain::text::{AvatarUrl, FullName};
use subtle_domain::user::ProfileChange;
use utoipa::ToSchema;

use super::dto::{UserDto, present};
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Authenticated, FreshlySignedIn, Json, PasswordLimit};

/// What people may change about themselves; `null` empties a field.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ProfileRequest {
    /// 1 to 200 characters.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, example = "Ada Lovelace", min_length = 1, max_length = 200)]
    full_name: Option<Option<String>>,
    /// An `http` or `https` address.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, example = "https://example.com/ada.png", pattern = "^https?://[^/?#]", max_length = 2048)]
    avatar_url: Option<Option<String>>,
}

/// A new password, and the one it takes the place of.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PasswordRequest {
    #[schema(example = "correct horse battery staple")]
    current_password: String,
    /// 8 to 71 bytes, not among the most common ones, no other rules.
    #[schema(example = "staple battery horse correct", min_length = 8, max_length = 71)]
    new_password: String,
}

/// See yourself.
#[utoipa::path(
    operation_id = "showMe",
    tag = "me",
    responses((status = 200, description = "The account of the access token", body = UserDto)),
    security(("accessToken" = []))
)]
#[get("/v1/me")]
pub(super) async fn show(ports: Data<Ports>, caller: Authenticated) -> Result<HttpResponse, ApiError> {
    let user = accounts::show_profile(&ports, &caller.0).await?.ok_or_else(ApiError::account_closed)?;
    Ok(HttpResponse::Ok().json(UserDto::from(&user)))
}

/// Change your name or picture.
#[utoipa::path(
    operation_id = "changeMe",
    tag = "me",
    request_body = ProfileRequest,
    responses((status = 200, description = "The account as it is now", body = UserDto)),
    security(("accessToken" = []))
)]
#[patch("/v1/me")]
pub(super) async fn change(
    ports: Data<Ports>,
    caller: Authenticated,
    body: Json<ProfileRequest>,
) -> Result<HttpResponse, ApiError> {
    let change = profile_change(body.0.full_name, body.0.avatar_url)?;
    let user = accounts::change_profile(&ports, &caller.0, change).await?;
    Ok(HttpResponse::Ok().json(UserDto::from(&user)))
}

/// Delete your account.
///
/// Everything that is about the person is erased; usage and ledger stay, attached to nobody.
#[utoipa::path(
    operation_id = "deleteMe",
    tag = "me",
    responses(
        (status = 204, description = "The person is erased"),
        (status = 403, description = "The sign-in is too old: `reauthentication-required`"),
        (status = 409, description = "An administrator must be demoted by another one first"),
    ),
    security(("accessToken" = []))
)]
#[delete("/v1/me")]
pub(super) async fn erase(ports: Data<Ports>, caller: FreshlySignedIn) -> Result<HttpResponse, ApiError> {
    accounts::erase_own_account(&ports, &caller.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Change your password.
///
/// All your other sessions end.
#[utoipa::path(
    operation_id = "changePassword",
    tag = "me",
    request_body = PasswordRequest,
    responses(
        (status = 204, description = "The password is changed"),
        (status = 403, description = "The current password is wrong, or the sign-in too old"),
        (status = 429, description = "Too many guesses at this account, or from this address"),
    ),
    security(("accessToken" = []))
)]
#[post("/v1/me/password")]
pub(super) async fn change_password(
    _counted: PasswordLimit,
    ports: Data<Ports>,
    caller: FreshlySignedIn,
    body: Json<PasswordRequest>,
) -> Result<HttpResponse, ApiError> {
    let mut errors = FieldErrors::default();
    let new = errors.take("newPassword", Password::parse(&body.0.new_password));
    let new = new.ok_or(errors)?;
    let current = PasswordAttempt::new(&body.0.current_password);
    accounts::change_password(&ports, &caller.0, ChangePassword { current, new }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What a request says of a profile: each field absent, null or given.
pub(super) fn profile_change(
    full_name: Option<Option<String>>,
    avatar_url: Option<Option<String>>,
) -> Result<ProfileChange, ApiError> {
    let mut errors = FieldErrors::default();
    let full_name = full_name.map(|name| name.as_deref().map(FullName::parse).transpose()).transpose();
    let full_name = errors.take("fullName", full_name);
    let avatar_url = avatar_url.map(|url| url.as_deref().map(AvatarUrl::parse).transpose()).transpose();
    let avatar_url = errors.take("avatarUrl", avatar_url);
    match (full_name, avatar_url) {
        (Some(full_name), Some(avatar_url)) => Ok(ProfileChange { full_name, avatar_url }),
        _ => Err(errors.into()),
    }
}

impl From<ProfileError> for ApiError {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Closed => Self::account_closed(),
            ProfileError::Store(store) => Self::Store(store),
        }
    }
}

impl From<EraseError> for ApiError {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::Closed => Self::account_closed(),
            EraseError::Administrator => Self::OwnAccount,
            EraseError::Store(store) => Self::Store(store),
        }
    }
}
