use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use subtle_application::Ports;
use subtle_application::accounts::{self, Register, RegisterError};
use subtle_application::sessions::{
    self, NotProven, ReauthenticateError, RefreshError, Renewed, SignIn, SignInError, SignedIn,
};
use subtle_domain::email::EmailAddress;
use subtle_domain::password::{Password, PasswordAttempt};
use subtle_domain::second_factor::PresentedCode;
use subtle_domain::text::FullName;
use utoipa::ToSchema;

use super::dto::{SessionDto, UserDto};
use super::outcomes;
use crate::metrics::Metrics;
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Authenticated, Client, Json, PasswordLimit, TokenLimit};

/// What somebody tells of themselves to get an account.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RegisterRequest {
    /// Stored in lower case; one account per address.
    #[schema(example = "ada@example.com", format = "email", max_length = 254)]
    email: String,
    /// 8 to 71 bytes, not among the most common ones, no other rules.
    #[schema(example = "correct horse battery staple", min_length = 8, max_length = 71)]
    password: String,
    /// 1 to 200 characters.
    #[schema(example = "Ada Lovelace", min_length = 1, max_length = 200)]
    full_name: Option<String>,
}

/// An address and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginRequest {
    #[schema(example = "ada@example.com", format = "email", max_length = 254)]
    email: String,
    #[schema(example = "correct horse battery staple")]
    password: String,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RefreshRequest {
    /// As it was given with the session, or by the last refresh.
    #[schema(example = "ASFjbWIzeDBmNWUwMDAwYWJjZDEyMzRlZmdo")]
    refresh_token: String,
}

/// Somebody who is signed in: what they get to stay so.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthResponse {
    user: UserDto,
    /// A JWT for `Authorization: Bearer`, signed with `EdDSA` by a key of `/.well-known/jwks.json`.
    #[schema(example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2ln")]
    access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Life of the access token, in seconds.
    #[schema(example = 900)]
    expires_in: i64,
    /// Good for one refresh.
    #[schema(example = "ASFjbWIzeDBmNWUwMDAwYWJjZDEyMzRlZmdo")]
    refresh_token: String,
    session: SessionDto,
}

impl From<SignedIn> for AuthResponse {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            user: (&signed_in.user).into(),
            access_token: signed_in.access_token.expose().to_owned(),
            token_type: "Bearer",
            expires_in: signed_in.expires_in.num_seconds(),
            refresh_token: signed_in.refresh_token.expose().to_owned(),
            session: SessionDto::new(&signed_in.session.summary(), Some(&signed_in.session.id)),
        }
    }
}

/// Sign up.
///
/// Makes an account and signs its owner in.
#[utoipa::path(
    operation_id = "register",
    tag = "auth",
    request_body = RegisterRequest,
    responses(
        (status = 201, description = "The account is made and its owner signed in", body = AuthResponse),
        (status = 409, description = "There is an account of that address"),
        (status = 429, description = "Too many requests with passwords from this address"),
    )
)]
#[post("/v1/auth/register")]
pub(super) async fn register(
    _counted: PasswordLimit,
    ports: Data<Ports>,
    metrics: Data<Metrics>,
    client: Client,
    body: Json<RegisterRequest>,
) -> Result<HttpResponse, ApiError> {
    let mut errors = FieldErrors::default();
    let email = errors.take("email", EmailAddress::parse(&body.0.email));
    let password = errors.take("password", Password::parse(&body.0.password));
    let full_name = body.0.full_name.as_deref().map(FullName::parse).transpose();
    let full_name = errors.take("fullName", full_name);
    let (Some(email), Some(password), Some(full_name)) = (email, password, full_name) else {
        return Err(errors.into());
    };
    let signed_in =
        accounts::register(&ports, Register { email, password, full_name, client: client.0 }).await?;
    metrics.sessions.count("registration");
    Ok(HttpResponse::Created().json(AuthResponse::from(signed_in)))
}

/// Sign in.
///
/// An unknown address and a wrong password are answered alike, and take as long.
#[utoipa::path(
    operation_id = "login",
    tag = "auth",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "Signed in", body = AuthResponse),
        (status = 401, description = "The address or the password is wrong"),
        (
            status = 403,
            description = "A code is needed as well, the account is disabled, or its address must be verified first"
        ),
        (status = 429, description = "Too many guesses at this account, or from this address"),
    )
)]
#[post("/v1/auth/login")]
pub(super) async fn login(
    _counted: PasswordLimit,
    ports: Data<Ports>,
    metrics: Data<Metrics>,
    client: Client,
    body: Json<LoginRequest>,
) -> Result<HttpResponse, ApiError> {
    let mut errors = FieldErrors::default();
    let email = errors.take("email", EmailAddress::parse_known(&body.0.email));
    let email = email.ok_or(errors)?;
    let password = PasswordAttempt::new(&body.0.password);
    let outcome = sessions::sign_in(&ports, SignIn { email, password, client: client.0 }).await;
    metrics.sign_ins.count(outcomes::of_sign_in(&outcome));
    let signed_in = outcome?;
    metrics.sessions.count("password");
    Ok(HttpResponse::Ok().json(AuthResponse::from(signed_in)))
}

/// Exchange a refresh token.
///
/// Gives the next refresh token and an access token. The same token presented again within some seconds gets the same answer,
/// so parallel tabs and lost answers sign nobody out; presented later, it ends the session. A refresh token of the service that the
/// account was moved here from is taken as well, once: its session goes on here.
#[utoipa::path(
    operation_id = "refresh",
    tag = "auth",
    request_body = RefreshRequest,
    responses(
        (status = 200, description = "The next tokens", body = AuthResponse),
        (status = 401, description = "The token is not valid, or was spent before"),
        (status = 429, description = "Too many refreshes of this account, or from this address"),
    )
)]
#[post("/v1/auth/refresh")]
pub(super) async fn refresh(
    _counted: TokenLimit,
    ports: Data<Ports>,
    metrics: Data<Metrics>,
    client: Client,
    body: Json<RefreshRequest>,
) -> Result<HttpResponse, ApiError> {
    let outcome = sessions::refresh(&ports, &body.0.refresh_token, &client.0).await;
    metrics.refreshes.count(outcomes::of_refresh(&outcome));
    Ok(HttpResponse::Ok().json(AuthResponse::from(outcome?.into_signed_in())))
}

/// Sign out.
///
/// Ends the session of a refresh token. One that is not valid is as good as signed out.
#[utoipa::path(
    operation_id = "logout",
    tag = "auth",
    request_body = RefreshRequest,
    responses(
        (status = 204, description = "The session is over"),
        (status = 429, description = "Too many requests with tokens from this address"),
    )
)]
#[post("/v1/auth/logout")]
pub(super) async fn logout(
    _counted: TokenLimit,
    ports: Data<Ports>,
    client: Client,
    body: Json<RefreshRequest>,
) -> Result<HttpResponse, ApiError> {
    sessions::sign_out(&ports, &body.0.refresh_token, &client.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl From<RegisterError> for ApiError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::AddressTaken => Self::AddressTaken,
            RegisterError::Busy(busy) => Self::Busy(busy),
            RegisterError::Store(store) => Self::Store(store),
        }
    }
}

/// A password, from somebody who is signed in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReauthenticateRequest {
    #[schema(example = "correct horse battery staple")]
    password: String,
    /// Where a second factor is asked for: the six digits that the app shows, or a recovery code.
    #[schema(example = "123456", min_length = 6, max_length = 64)]
    code: Option<String>,
}

/// An access token in place of an older one.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RenewedDto {
    /// Of the same session.
    #[schema(example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2ln")]
    access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Life of the access token, in seconds.
    #[schema(example = 900)]
    expires_in: i64,
}

impl From<Renewed> for RenewedDto {
    fn from(renewed: Renewed) -> Self {
        Self {
            access_token: renewed.access_token.expose().to_owned(),
            token_type: "Bearer",
            expires_in: renewed.expires_in.num_seconds(),
        }
    }
}

/// Show again that it is you.
///
/// What is sensitive (password, deletion) asks for a sign-in that is not old. The answer's access token says so, and what the session
/// is refreshed to says so too; the refresh token stays as it is.
#[utoipa::path(
    operation_id = "reauthenticate",
    tag = "auth",
    request_body = ReauthenticateRequest,
    responses(
        (status = 200, description = "The sign-in is fresh again", body = RenewedDto),
        (status = 403, description = "The password or the code is wrong, or a code is needed as well"),
        (status = 429, description = "Too many guesses at this account, or from this address"),
    ),
    security(("accessToken" = []))
)]
#[post("/v1/auth/reauthenticate")]
pub(super) async fn reauthenticate(
    _counted: PasswordLimit,
    ports: Data<Ports>,
    caller: Authenticated,
    body: Json<ReauthenticateRequest>,
) -> Result<HttpResponse, ApiError> {
    let mut errors = FieldErrors::default();
    let code = body.0.code.as_deref().map(PresentedCode::parse).transpose();
    let code = errors.take("code", code).ok_or(errors)?;
    let password = PasswordAttempt::new(&body.0.password);
    let renewed = sessions::reauthenticate(&ports, &caller.0, &password, code.as_ref()).await?;
    Ok(HttpResponse::Ok().json(RenewedDto::from(renewed)))
}

impl From<NotProven> for ApiError {
    fn from(error: NotProven) -> Self {
        match error {
            NotProven::WrongPassword => Self::WrongPassword,
            NotProven::TooManyGuesses(after) => Self::TooManyRequests(after),
            NotProven::Closed => Self::account_closed(),
            NotProven::Busy(busy) => Self::Busy(busy),
            NotProven::Store(store) => Self::Store(store),
        }
    }
}

impl From<ReauthenticateError> for ApiError {
    fn from(error: ReauthenticateError) -> Self {
        match error {
            ReauthenticateError::Password(why) => why.into(),
            ReauthenticateError::Code(refused) => refused.into(),
            ReauthenticateError::Store(store) => Self::Store(store),
        }
    }
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::WrongCredentials => Self::WrongCredentials,
            SignInError::Disabled => Self::AccountDisabled,
            SignInError::Unverified => Self::EmailUnverified,
            SignInError::SecondFactorRequired(challenge) => {
                Self::SecondFactorRequired(Some(Box::new((&challenge).into())))
            }
            SignInError::TooManyGuesses(after) => Self::TooManyRequests(after),
            SignInError::Busy(busy) => Self::Busy(busy),
            SignInError::Store(store) => Self::Store(store),
        }
    }
}

impl From<RefreshError> for ApiError {
    fn from(error: RefreshError) -> Self {
        match error {
            // Whoever presents it learns no more than that.
            RefreshError::Invalid | RefreshError::Reused => Self::InvalidRefreshToken,
            RefreshError::TooMany(after) => Self::TooManyRequests(after),
            RefreshError::Store(store) => Self::Store(store),
        }
    }
}
