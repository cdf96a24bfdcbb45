//! Every error there is, as `application/problem+json` (RFC 9457).

use std::fmt;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use subtle_domain::billing::ForbiddenTransition;
use subtle_domain::ports::{HasherBusy, StoreError};
use subtle_domain::throttle::RetryAfter;
use utoipa::ToSchema;

use crate::routes::{ChallengeDto, QuotaDto};

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The field's name; empty where the body as a whole is at fault.
    #[schema(example = "password")]
    field: String,
    /// What is wrong with it.
    #[schema(example = "must be at least 8 characters")]
    message: String,
}

/// What is wrong with the fields of a request, all of them at once.
#[derive(Debug, Default)]
pub(crate) struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Takes the value of a field, or notes what is wrong with it.
    pub(crate) fn take<T, E: fmt::Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.note(field, error)).ok()
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes what is wrong with a field.
    pub(crate) fn note(&mut self, field: &str, message: impl fmt::Display) {
        // A name that the client made up is not sent back whole.
        let field = field.chars().take(100).collect();
        self.0.push(FieldError { field, message: message.to_string() });
    }
}

impl From<FieldErrors> for ApiError {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors.0)
    }
}

/// An error as the body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem<'a> {
    /// What kind of problem it is: stable, for programs.
    #[schema(example = "urn:subtle:problem:invalid-request")]
    r#type: String,
    /// The kind of problem in words.
    #[schema(example = "The request has unfit values")]
    title: &'static str,
    /// The status of the answer.
    #[schema(example = 422)]
    status: u16,
    /// This problem in words.
    #[schema(example = "password: must be at least 8 characters")]
    detail: String,
    /// Under which the logs know the request.
    #[schema(example = "IUYNuHhkFVeBOEfQ5ITyJg")]
    request_id: String,
    /// What is wrong with which field, where fields are at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// Where the quota stands that is used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<&'a QuotaDto>,
    /// With what to bring the code that a sign-in asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_factor: Option<&'a ChallengeDto>,
}

/// Why a request is not answered as it wished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    Malformed(String),
    #[error("the request has unfit values")]
    Invalid(Vec<FieldError>),
    #[error("the request needs an access token")]
    AuthenticationRequired,
    #[error("{0}")]
    InvalidToken(String),
    #[error("the address or the password is wrong")]
    WrongCredentials,
    #[error("the current password is wrong")]
    WrongPassword,
    #[error("the password is right, and a code is needed as well")]
    SecondFactorRequired(Option<Box<ChallengeDto>>),
    #[error("the code is not right, or was used before")]
    WrongCode,
    #[error("the challenge is not valid any more: sign in again")]
    InvalidChallenge,
    #[error("{0}")]
    SecondFactorState(String),
    #[error("the refresh token is not valid")]
    InvalidRefreshToken,
    #[error("the bridge token is not valid")]
    InvalidBridgeToken,
    #[error("the token is not known, was used, or is past its time")]
    InvalidOneTimeToken,
    #[error("{0}")]
    Forbidden(String),
    #[error("the sign-in is too old for this: POST /v1/auth/reauthenticate")]
    SignInTooOld,
    #[error("the account is disabled")]
    AccountDisabled,
    #[error("the address must be verified first")]
    EmailUnverified,
    #[error("there is no such thing here")]
    NotFound,
    #[error("this path does not take that method")]
    MethodNotAllowed(Vec<Method>),
    #[error("the headers are too large")]
    HeadersTooLarge,
    #[error("the request took too long to arrive")]
    RequestTimeout,
    #[error("there is an account of that address already")]
    AddressTaken,
    #[error("administrators cannot demote, disable or delete their own account")]
    OwnAccount,
    #[error("the idempotency key was used for another request")]
    KeyTaken,
    #[error("{0}")]
    Transition(ForbiddenTransition),
    #[error("{0}")]
    ReservationOver(String),
    #[error("{0}")]
    QuotaExceeded(String, Box<QuotaDto>),
    #[error("too much waits to be done already; try again in {} s", .0.seconds())]
    UsageBusy(RetryAfter),
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("{0}")]
    UnsupportedMediaType(String),
    #[error("too many requests; try again in {} s", .0.seconds())]
    TooManyRequests(RetryAfter),
    #[error("too many sign-ins at once; try again in {} s", .0.retry_after.seconds())]
    Busy(HasherBusy),
    #[error("the service is not ready")]
    NotReady,
    #[error("something went wrong on our side")]
    Store(#[from] StoreError),
    #[error("something went wrong on our side")]
    Internal,
}

impl ApiError {
    /// What the token of an account that is closed is answered.
    pub(crate) fn account_closed() -> Self {
        Self::InvalidToken("the account is closed".to_owned())
    }

    /// What programs know it by.
    pub(crate) fn name(&self) -> &'static str {
        self.kind().1
    }

    /// Status, stable name and title.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed-request", "The request can't be read"),
            Self::Invalid(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid-request", "The request has unfit values")
            }
            Self::AuthenticationRequired => {
                (StatusCode::UNAUTHORIZED, "authentication-required", "An access token is needed")
            }
            Self::InvalidToken(_) => {
                (StatusCode::UNAUTHORIZED, "invalid-token", "The access token is not valid")
            }
            Self::WrongCredentials => (StatusCode::UNAUTHORIZED, "wrong-credentials", "The sign-in failed"),
            Self::WrongPassword => (StatusCode::FORBIDDEN, "wrong-password", "The current password is wrong"),
            Self::SecondFactorRequired(_) => {
                (StatusCode::FORBIDDEN, "second-factor-required", "A code is needed as well")
            }
            Self::WrongCode => (StatusCode::FORBIDDEN, "wrong-code", "The code is wrong"),
            Self::InvalidChallenge => {
                (StatusCode::UNAUTHORIZED, "invalid-challenge", "The challenge is not valid")
            }
            Self::SecondFactorState(_) => {
                (StatusCode::CONFLICT, "second-factor-state", "The second factor is not in that state")
            }
            Self::InvalidRefreshToken => {
                (StatusCode::UNAUTHORIZED, "invalid-refresh-token", "The refresh token is not valid")
            }
            Self::InvalidBridgeToken => {
                (StatusCode::UNAUTHORIZED, "invalid-bridge-token", "The bridge token is not valid")
            }
            Self::InvalidOneTimeToken => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid-one-time-token", "The token is not valid")
            }
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "This is not permitted"),
            Self::SignInTooOld => {
                (StatusCode::FORBIDDEN, "reauthentication-required", "Show again that it is you")
            }
            Self::AccountDisabled => (StatusCode::FORBIDDEN, "account-disabled", "The account is disabled"),
            Self::EmailUnverified => {
                (StatusCode::FORBIDDEN, "email-unverified", "The address is not verified")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::MethodNotAllowed(_) => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here")
            }
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers-too-large",
                "The headers are too large",
            ),
            Self::RequestTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "request-timeout", "The request took too long")
            }
            Self::AddressTaken => (StatusCode::CONFLICT, "address-taken", "The address has an account"),
            Self::OwnAccount => (StatusCode::CONFLICT, "own-account", "Not on one's own account"),
            Self::KeyTaken => {
                (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", "The key was used before")
            }
            Self::Transition(_) => (StatusCode::CONFLICT, "forbidden-transition", "There is no such step"),
            Self::ReservationOver(_) => {
                (StatusCode::CONFLICT, "reservation-over", "The reservation has ended")
            }
            Self::QuotaExceeded(..) => {
                (StatusCode::PAYMENT_REQUIRED, "quota-exceeded", "The quota is used up")
            }
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::UnsupportedMediaType(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body is of another type")
            }
            Self::TooManyRequests(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "There were too many requests")
            }
            Self::Busy(_) | Self::UsageBusy(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "busy", "The service is busy")
            }
            Self::NotReady | Self::Store(StoreError::Unavailable(_) | StoreError::Again(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The service is unavailable")
            }
            Self::Internal
            | Self::Store(StoreError::Conflict(_) | StoreError::Corrupt { .. } | StoreError::Defect(_)) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong")
            }
        }
    }

    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Invalid(errors) => errors
                .iter()
                .map(|error| match error.field.as_str() {
                    "" => error.message.clone(),
                    field => format!("{field}: {}", error.message),
                })
                .collect::<Vec<_>>()
                .join("; "),
            Self::Store(StoreError::Unavailable(_) | StoreError::Again(_)) => {
                "the service can't be reached for the moment; try again".to_owned()
            }
            other => other.to_string(),
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Invalid(errors) => errors.clone(),
            Self::InvalidOneTimeToken => {
                vec![FieldError { field: "token".to_owned(), message: self.to_string() }]
            }
            _ => Vec::new(),
        }
    }

    /// The answer to the request of that identifier.
    pub(crate) fn respond(&self, request_id: &str) -> HttpResponse {
        let (status, name, title) = self.kind();
        let mut response = HttpResponse::build(status);
        let challenge = match self {
            Self::InvalidToken(_)
            | Self::InvalidRefreshToken
            | Self::InvalidBridgeToken
            | Self::InvalidChallenge => Some("Bearer error=\"invalid_token\""),
            Self::AuthenticationRequired | Self::WrongCredentials => Some("Bearer"),
            _ => None,
        };
        if let Some(challenge) = challenge {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        let retry_after = match self {
            Self::TooManyRequests(after) | Self::UsageBusy(after) => Some(after.seconds()),
            Self::Busy(busy) => Some(busy.retry_after.seconds()),
            _ if status == StatusCode::SERVICE_UNAVAILABLE => Some(1),
            _ => None,
        };
        if let Some(seconds) = retry_after {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if let Self::MethodNotAllowed(methods) = self {
            let allowed: Vec<_> = methods.iter().map(Method::as_str).collect();
            response.insert_header((header::ALLOW, allowed.join(", ")));
        }
        if matches!(self, Self::RequestTimeout | Self::TooLarge(_)) {
            // What is left of the body is not waited for.
            response.force_close();
        }
        let problem = Problem {
            r#type: format!("urn:subtle:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: self.detail(),
            request_id: request_id.to_owned(),
            errors: self.fields(),
            second_factor: if let Self::SecondFactorRequired(challenge) = self {
                challenge.as_deref()
            } else {
                None
            },
            quota: if let Self::QuotaExceeded(_, quota) = self { Some(quota) } else { None },
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        response.insert_header((header::CONTENT_TYPE, "application/problem+json")).body(body)
    }

    /// What the framework raised by itself, as one of ours.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::REQUEST_TIMEOUT => Self::RequestTimeout,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Self::HeadersTooLarge,
            status if status.is_client_error() => {
                Self::Malformed(status.canonical_reason().unwrap_or("the request can't be read").to_owned())
            }
            _ => Self::Internal,
        }
    }
}

/// The edge renders every error with its request's identifier; this is for what does not pass it.
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.kind().0
    }

    fn error_response(&self) -> HttpResponse {
        self.respond("")
    }
}

impl From<HasherBusy> for ApiError {
    fn from(busy: HasherBusy) -> Self {
        Self::Busy(busy)
    }
}
