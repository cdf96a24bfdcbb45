use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post};
use serde::{Deserialize, Serialize};
use subtle_application::Ports;
use subtle_application::admin::{self, RemoveSecondFactorError};
use subtle_application::second_factor::{
    self, CodeRefused, ConfirmError, Confirmed, EnrolError, NoSecondFactor, SecondFactorStatus,
};
use subtle_application::sessions::{self, CompleteSignIn, CompleteSignInError};
use subtle_domain::ids::UserId;
use subtle_domain::ports::Enrolment;
use subtle_domain::second_factor::{Challenge, InvalidCode, PresentedCode};
use subtle_domain::token::RecoveryCode;
use utoipa::ToSchema;

use super::auth::{AuthResponse, RenewedDto};
use super::dto::time;
use super::outcomes;
use crate::metrics::Metrics;
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Admin, Authenticated, Client, FreshlySignedIn, Id, Json, PasswordLimit};
use crate::turns::Turns;

/// What stands for a password that was shown, until a code is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Challenge)]
pub(crate) struct ChallengeDto {
    /// For `POST /v1/auth/second-factor`.
    #[schema(example = "ch_AQAAAYvPh3gAY21iM3gwZjVlMDAwMA")]
    challenge: String,
    /// From when on it is good for nothing: in five minutes.
    #[schema(format = DateTime, example = "2026-11-25T08:05:00.000Z")]
    expires_at: String,
}

impl From<&Challenge> for ChallengeDto {
    fn from(challenge: &Challenge) -> Self {
        Self { challenge: challenge.token.expose().to_owned(), expires_at: time(challenge.expires_at) }
    }
}

/// The second step of a sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecondStepRequest {
    /// As the first step gave it: `secondFactor.challenge` of its problem `second-factor-required`.
    #[schema(example = "ch_AQAAAYvPh3gAY21iM3gwZjVlMDAwMA")]
    challenge: String,
    /// The six digits that the app shows, or a recovery code.
    #[schema(example = "123456", min_length = 6, max_length = 64)]
    code: String,
}

/// A code from the app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeRequest {
    /// The six digits that the app shows.
    #[schema(example = "123456", min_length = 6, max_length = 64)]
    code: String,
}

/// Whether a code is asked for at sign-in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecondFactorDto {
    /// Whether it is.
    enabled: bool,
    /// Since when; null while it is not.
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    since: Option<String>,
    /// How many recovery codes there are for when the app is lost.
    #[schema(example = 10)]
    recovery_codes_left: u32,
}

impl From<SecondFactorStatus> for SecondFactorDto {
    fn from(status: SecondFactorStatus) -> Self {
        match status {
            SecondFactorStatus::Off => Self { enabled: false, since: None, recovery_codes_left: 0 },
            SecondFactorStatus::On { since, codes_left } => {
                Self { enabled: true, since: Some(time(since)), recovery_codes_left: codes_left }
            }
        }
    }
}

/// A secret for an app, shown this once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EnrolmentDto {
    /// To be typed into the app: base32 of 160 bits, for TOTP with HMAC-SHA-1, six digits and 30 seconds.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// The same for a QR code, which apps read.
    #[schema(example = "otpauth://totp/subtle:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    uri: String,
}

impl From<Enrolment> for EnrolmentDto {
    fn from(enrolment: Enrolment) -> Self {
        Self { secret: enrolment.secret.expose().to_owned(), uri: enrolment.uri.expose().to_owned() }
    }
}

/// Recovery codes, shown this once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecoveryCodesDto {
    /// Ten, each good for one sign-in. To be written down.
    #[schema(example = json!(["k7w2mq-xr4tzb-c5dhga-n3vyle"]))]
    recovery_codes: Vec<String>,
}

impl From<Vec<RecoveryCode>> for RecoveryCodesDto {
    fn from(codes: Vec<RecoveryCode>) -> Self {
        Self { recovery_codes: codes.iter().map(in_groups).collect() }
    }
}

/// A recovery code as people read it: in groups of six.
fn in_groups(code: &RecoveryCode) -> String {
    let mut grouped = String::with_capacity(RecoveryCode::LENGTH + 3);
    for (place, letter) in code.expose().chars().enumerate() {
        if place > 0 && place % 6 == 0 {
            grouped.push('-');
        }
        grouped.push(letter);
    }
    grouped
}

/// A second factor that is asked for from now on.
#[derive(Serialize, ToSchema)]
pub(super) struct ConfirmedDto {
    #[serde(flatten)]
    codes: RecoveryCodesDto,
    /// Its `amr` tells of the code.
    #[serde(flatten)]
    renewed: RenewedDto,
}

impl From<Confirmed> for ConfirmedDto {
    fn from(confirmed: Confirmed) -> Self {
        Self { codes: confirmed.codes.into(), renewed: confirmed.renewed.into() }
    }
}

/// Sign in, second step.
///
/// Where a second factor is asked for, signing in answers 403 `second-factor-required` with a challenge. With that and a code the
/// session begins. A code is good once; a recovery code takes the place of the app's.
#[utoipa::path(
    operation_id = "completeLogin",
    tag = "auth",
    request_body = SecondStepRequest,
    responses(
        (status = 200, description = "Signed in", body = AuthResponse),
        (status = 401, description = "The challenge is not valid any more: sign in again"),
        (status = 403, description = "The code is not right, or was used before"),
        (status = 429, description = "Too many codes of this account, or too many requests from this address"),
    )
)]
#[post("/v1/auth/second-factor")]
pub(super) async fn complete_login(
    _counted: PasswordLimit,
    ports: Data<Ports>,
    turns: Data<Turns>,
    metrics: Data<Metrics>,
    client: Client,
    body: Json<SecondStepRequest>,
) -> Result<HttpResponse, ApiError> {
    let _turn = Turns::take(&turns, &body.0.challenge).await?;
    let mut errors = FieldErrors::default();
    let code = errors.take("code", PresentedCode::parse(&body.0.code)).ok_or(errors)?;
    let command = CompleteSignIn { challenge: body.0.challenge, code, client: client.0 };
    let outcome = sessions::complete_sign_in(&ports, command).await;
    metrics.sign_in_codes.count(outcomes::of_code(&outcome));
    let signed_in = outcome?;
    metrics.sessions.count("second_factor");
    Ok(HttpResponse::Ok().json(AuthResponse::from(signed_in)))
}

/// See your second factor.
#[utoipa::path(
    operation_id = "showSecondFactor",
    tag = "me",
    responses((status = 200, description = "Whether a code is asked for", body = SecondFactorDto)),
    security(("accessToken" = []))
)]
#[get("/v1/me/second-factor")]
pub(super) async fn show(ports: Data<Ports>, caller: Authenticated) -> Result<HttpResponse, ApiError> {
    let status = second_factor::show_second_factor(&ports, &caller.0).await?;
    Ok(HttpResponse::Ok().json(SecondFactorDto::from(status.ok_or_else(ApiError::account_closed)?)))
}

/// Get a secret for your app.
///
/// Nothing is asked of you before you have confirmed it by a code. A newer secret takes the place of one that was not confirmed.
#[utoipa::path(
    operation_id = "enrolSecondFactor",
    tag = "me",
    responses(
        (status = 201, description = "The secret", body = EnrolmentDto),
        (status = 403, description = "The sign-in is too old: `reauthentication-required`"),
        (status = 409, description = "There is a second factor: delete it first"),
    ),
    security(("accessToken" = []))
)]
#[post("/v1/me/second-factor")]
pub(super) async fn enrol(
    ports: Data<Ports>,
    turns: Data<Turns>,
    caller: FreshlySignedIn,
) -> Result<HttpResponse, ApiError> {
    let _turn = Turns::take(&turns, caller.0.caller().user_id.as_str()).await?;
    let enrolment = second_factor::enrol_second_factor(&ports, &caller.0).await?;
    Ok(HttpResponse::Created().json(EnrolmentDto::from(enrolment)))
}

/// Turn your second factor on.
///
/// By the first code that your app shows, within a quarter of an hour. Your other sessions end, for they began without one.
#[utoipa::path(
    operation_id = "confirmSecondFactor",
    tag = "me",
    request_body = CodeRequest,
    responses(
        (status = 200, description = "A code is asked for from now on", body = ConfirmedDto),
        (status = 403, description = "The code is not right, or the sign-in too old"),
        (status = 409, description = "There is no secret to confirm, or a second factor already"),
        (status = 429, description = "Too many codes of this account, or too many requests from this address"),
    ),
    security(("accessToken" = []))
)]
#[post("/v1/me/second-factor/confirm")]
pub(super) async fn confirm(
    _counted: PasswordLimit,
    ports: Data<Ports>,
    turns: Data<Turns>,
    caller: FreshlySignedIn,
    body: Json<CodeRequest>,
) -> Result<HttpResponse, ApiError> {
    let _turn = Turns::take(&turns, caller.0.caller().user_id.as_str()).await?;
    let mut errors = FieldErrors::default();
    let code = match PresentedCode::parse(&body.0.code) {
        Ok(PresentedCode::OneTime(code)) => code,
        Ok(PresentedCode::Recovery(_)) | Err(InvalidCode) => {
            errors.note("code", "must be the six digits that the app shows");
            return Err(errors.into());
        }
    };
    let confirmed = second_factor::confirm_second_factor(&ports, &caller.0, &code).await?;
    Ok(HttpResponse::Ok().json(ConfirmedDto::from(confirmed)))
}

/// Get new recovery codes.
///
/// The older ones are good for nothing from then on.
#[utoipa::path(
    operation_id = "replaceRecoveryCodes",
    tag = "me",
    responses(
        (status = 200, description = "The codes", body = RecoveryCodesDto),
        (status = 403, description = "The sign-in is too old: `reauthentication-required`"),
        (status = 404, description = "There is no second factor"),
        (status = 429, description = "Too many changes of the second factor"),
    ),
    security(("accessToken" = []))
)]
#[post("/v1/me/second-factor/recovery-codes")]
pub(super) async fn replace_codes(
    ports: Data<Ports>,
    turns: Data<Turns>,
    caller: FreshlySignedIn,
) -> Result<HttpResponse, ApiError> {
    let _turn = Turns::take(&turns, caller.0.caller().user_id.as_str()).await?;
    let codes = second_factor::replace_recovery_codes(&ports, &caller.0).await?;
    Ok(HttpResponse::Ok().json(RecoveryCodesDto::from(codes)))
}

/// Turn your second factor off.
#[utoipa::path(
    operation_id = "deleteSecondFactor",
    tag = "me",
    responses(
        (status = 204, description = "The password is enough from now on"),
        (status = 403, description = "The sign-in is too old: `reauthentication-required`"),
        (status = 404, description = "There is no second factor"),
    ),
    security(("accessToken" = []))
)]
#[delete("/v1/me/second-factor")]
pub(super) async fn remove(
    ports: Data<Ports>,
    turns: Data<Turns>,
    caller: FreshlySignedIn,
) -> Result<HttpResponse, ApiError> {
    let _turn = Turns::take(&turns, caller.0.caller().user_id.as_str()).await?;
    second_factor::remove_second_factor(&ports, &caller.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Turn somebody's second factor off.
///
/// For administrators, and people who have lost app and recovery codes. A letter tells them. Nobody helps themselves so.
#[utoipa::path(
    operation_id = "deleteUserSecondFactor",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account")),
    responses(
        (status = 204, description = "Their password is enough from now on"),
        (status = 404, description = "There is no such account, or it has no second factor"),
        (status = 409, description = "It is your own account"),
    ),
    security(("accessToken" = []))
)]
#[delete("/v1/admin/users/{id}/second-factor")]
pub(super) async fn remove_theirs(
    ports: Data<Ports>,
    Admin { by, asked: Id(id) }: Admin<Id<UserId>>,
) -> Result<HttpResponse, ApiError> {
    admin::remove_user_second_factor(&ports, &by, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl From<CodeRefused> for ApiError {
    fn from(error: CodeRefused) -> Self {
        match error {
            CodeRefused::Missing => Self::SecondFactorRequired(None),
            CodeRefused::Wrong => Self::WrongCode,
            CodeRefused::TooMany(after) => Self::TooManyRequests(after),
            CodeRefused::Store(store) => Self::Store(store),
        }
    }
}

impl From<CompleteSignInError> for ApiError {
    fn from(error: CompleteSignInError) -> Self {
        match error {
            CompleteSignInError::InvalidChallenge => Self::InvalidChallenge,
            CompleteSignInError::Code(refused) => refused.into(),
            CompleteSignInError::Store(store) => Self::Store(store),
        }
    }
}

impl From<EnrolError> for ApiError {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::AlreadyOn => Self::SecondFactorState(error.to_string()),
            EnrolError::Closed => Self::account_closed(),
            EnrolError::Store(store) => Self::Store(store),
        }
    }
}

impl From<ConfirmError> for ApiError {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::AlreadyOn | ConfirmError::NotEnrolled => Self::SecondFactorState(error.to_string()),
            ConfirmError::Code(refused) => refused.into(),
            ConfirmError::Closed => Self::account_closed(),
            ConfirmError::Store(store) => Self::Store(store),
        }
    }
}

impl From<NoSecondFactor> for ApiError {
    fn from(error: NoSecondFactor) -> Self {
        match error {
            NoSecondFactor::Off => Self::NotFound,
            NoSecondFactor::TooMany(after) => Self::TooManyRequests(after),
            NoSecondFactor::Closed => Self::account_closed(),
            NoSecondFactor::Store(store) => Self::Store(store),
        }
    }
}

impl From<RemoveSecondFactorError> for ApiError {
    fn from(error: RemoveSecondFactorError) -> Self {
        match error {
            RemoveSecondFactorError::NotFound => Self::NotFound,
            RemoveSecondFactorError::OwnAccount => Self::OwnAccount,
            RemoveSecondFactorError::Forbidden(why) => why.into(),
            RemoveSecondFactorError::Store(store) => Self::Store(store),
        }
    }
}
