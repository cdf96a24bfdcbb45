use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::Deserialize;
use subtle_application::Ports;
use subtle_application::accounts::{
    self, AskEmailChange, AskEmailChangeError, ResetPassword, ResetPasswordError, VerifyEmailError,
};
use subtle_application::mail::{RequestLetter, request_letter};
use subtle_domain::email::EmailAddress;
use subtle_domain::password::{Password, PasswordAttempt};
use subtle_domain::session::ClientInfo;
use utoipa::ToSchema;

use crate::problem::{ApiError, FieldErrors};
use crate::request::{Client, FreshlySignedIn, Json, LetterLimit, PasswordLimit, TokenLimit};

/// A token that came by a letter.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyEmailRequest {
    /// What stands behind `token=` in the letter's link.
    #[schema(example = "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80")]
    token: String,
}

/// An address to which a letter is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LetterRequest {
    #[schema(example = "ada@example.com", format = "email", max_length = 254)]
    email: String,
}

/// A token that came by a letter, and the password that it is to set.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ConfirmResetRequest {
    /// What stands behind `token=` in the letter's link.
    #[schema(example = "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80")]
    token: String,
    /// 8 to 71 bytes, not among the most common ones, no other rules.
    #[schema(example = "staple battery horse correct", min_length = 8, max_length = 71)]
    new_password: String,
}

/// A new address, and the password of the account.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EmailRequest {
    #[schema(example = "ada@example.org", format = "email", max_length = 254)]
    new_email: String,
    #[schema(example = "correct horse battery staple")]
    current_password: String,
}

/// Verify an address.
///
/// With the token of the letter that is sent at sign-up, or to the new address of an account, which then takes the old one's place.
/// A token that was used, replaced by a newer one or is past its time is told like one that never was.
#[utoipa::path(
    operation_id = "verifyEmail",
    tag = "auth",
    request_body = VerifyEmailRequest,
    responses(
        (status = 204, description = "The address is verified"),
        (status = 409, description = "Somebody else has the new address by now"),
        (status = 429, description = "Too many requests with tokens from this address"),
    )
)]
#[post("/v1/auth/verify-email")]
pub(super) async fn verify(
    _counted: TokenLimit,
    ports: Data<Ports>,
    client: Client,
    body: Json<VerifyEmailRequest>,
) -> Result<HttpResponse, ApiError> {
    accounts::verify_email(&ports, &body.0.token, &client.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ask for the letter that verifies an address once more.
///
/// The answer is the same whether there is such an account or not, and whether it is verified. A letter is sent once a minute at most.
#[utoipa::path(
    operation_id = "resendVerification",
    tag = "auth",
    request_body = LetterRequest,
    responses(
        (status = 202, description = "If there is an account to be verified, a letter is on its way"),
        (status = 429, description = "Too many letters were asked for from this address"),
    )
)]
#[post("/v1/auth/verify-email/resend")]
pub(super) async fn resend(
    _counted: LetterLimit,
    ports: Data<Ports>,
    client: Client,
    body: Json<LetterRequest>,
) -> Result<HttpResponse, ApiError> {
    send(&ports, RequestLetter::VerifyEmail, &body.0, &client.0).await
}

/// Ask for a letter with which to choose a new password.
///
/// The answer is the same whether there is such an account or not. A letter is sent once a minute at most; its link is good for an hour.
#[utoipa::path(
    operation_id = "requestPasswordReset",
    tag = "auth",
    request_body = LetterRequest,
    responses(
        (status = 202, description = "If there is such an account, a letter is on its way"),
        (status = 429, description = "Too many letters were asked for from this address"),
    )
)]
#[post("/v1/auth/password-reset")]
pub(super) async fn request_reset(
    _counted: LetterLimit,
    ports: Data<Ports>,
    client: Client,
    body: Json<LetterRequest>,
) -> Result<HttpResponse, ApiError> {
    send(&ports, RequestLetter::ResetPassword, &body.0, &client.0).await
}

/// Choose a new password with the token of a letter.
///
/// All sessions of the account end. A password that is not fit is refused and the token stays good.
#[utoipa::path(
    operation_id = "confirmPasswordReset",
    tag = "auth",
    request_body = ConfirmResetRequest,
    responses(
        (status = 204, description = "The password is replaced"),
        (status = 429, description = "Too many requests with passwords from this address"),
    )
)]
#[post("/v1/auth/password-reset/confirm")]
pub(super) async fn confirm_reset(
    _counted: PasswordLimit,
    ports: Data<Ports>,
    client: Client,
    body: Json<ConfirmResetRequest>,
) -> Result<HttpResponse, ApiError> {
    let mut errors = FieldErrors::default();
    let new = errors.take("newPassword", Password::parse(&body.0.new_password));
    let new = new.ok_or(errors)?;
    accounts::reset_password(&ports, ResetPassword { token: body.0.token, new, client: client.0 }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ask for another address.
///
/// A letter with a link goes to the new address and a notice to the old one. The address changes when the link is followed.
#[utoipa::path(
    operation_id = "changeEmail",
    tag = "me",
    request_body = EmailRequest,
    responses(
        (status = 202, description = "A letter is on its way to the new address"),
        (status = 403, description = "The current password is wrong, or the sign-in too old"),
        (status = 409, description = "There is an account of that address"),
        (status = 429, description = "Too many guesses at this account, or too many letters"),
    ),
    security(("accessToken" = []))
)]
#[post("/v1/me/email")]
pub(super) async fn change_email(
    _counted: PasswordLimit,
    ports: Data<Ports>,
    caller: FreshlySignedIn,
    body: Json<EmailRequest>,
) -> Result<HttpResponse, ApiError> {
    let mut errors = FieldErrors::default();
    let new = errors.take("newEmail", EmailAddress::parse(&body.0.new_email));
    let new = new.ok_or(errors)?;
    let current = PasswordAttempt::new(&body.0.current_password);
    accounts::ask_email_change(&ports, &caller.0, AskEmailChange { current, new }).await?;
    Ok(HttpResponse::Accepted().finish())
}

async fn send(
    ports: &Ports,
    wish: RequestLetter,
    asked: &LetterRequest,
    client: &ClientInfo,
) -> Result<HttpResponse, ApiError> {
    let mut errors = FieldErrors::default();
    let email = errors.take("email", EmailAddress::parse_known(&asked.email));
    request_letter(ports, wish, email.ok_or(errors)?, client).await?;
    Ok(HttpResponse::Accepted().finish())
}

impl From<VerifyEmailError> for ApiError {
    fn from(error: VerifyEmailError) -> Self {
        match error {
            VerifyEmailError::Invalid => Self::InvalidOneTimeToken,
            VerifyEmailError::AddressTaken => Self::AddressTaken,
            VerifyEmailError::Store(store) => Self::Store(store),
        }
    }
}

impl From<ResetPasswordError> for ApiError {
    fn from(error: ResetPasswordError) -> Self {
        match error {
            ResetPasswordError::Invalid => Self::InvalidOneTimeToken,
            ResetPasswordError::Busy(busy) => Self::Busy(busy),
            ResetPasswordError::Store(store) => Self::Store(store),
        }
    }
}

impl From<AskEmailChangeError> for ApiError {
    fn from(error: AskEmailChangeError) -> Self {
        match error {
            AskEmailChangeError::NotProven(why) => why.into(),
            AskEmailChangeError::TooManyLetters(after) => Self::TooManyRequests(after),
            AskEmailChangeError::AddressTaken => Self::AddressTaken,
            AskEmailChangeError::Store(store) => Self::Store(store),
        }
    }
}
