//! What becomes of sign-ins, in words for those who watch over the service.

use subtle_application::second_factor::CodeRefused;
use subtle_application::sessions::{CompleteSignInError, RefreshError, Refreshed, SignInError, SignedIn};

pub(super) fn of_sign_in(outcome: &Result<SignedIn, SignInError>) -> &'static str {
    match outcome {
        Ok(_) => "succeeded",
        Err(SignInError::WrongCredentials) => "wrong_credentials",
        Err(SignInError::SecondFactorRequired(_)) => "second_factor_asked",
        Err(SignInError::TooManyGuesses(_)) => "throttled",
        Err(SignInError::Disabled) => "disabled",
        Err(SignInError::Unverified) => "unverified",
        Err(SignInError::Busy(_)) => "busy",
        Err(SignInError::Store(_)) => "failed",
    }
}

pub(super) fn of_code(outcome: &Result<SignedIn, CompleteSignInError>) -> &'static str {
    match outcome {
        Ok(_) => "succeeded",
        Err(CompleteSignInError::InvalidChallenge) => "invalid_challenge",
        Err(CompleteSignInError::Code(CodeRefused::Wrong | CodeRefused::Missing)) => "wrong_code",
        Err(CompleteSignInError::Code(CodeRefused::TooMany(_))) => "throttled",
        Err(CompleteSignInError::Code(CodeRefused::Store(_)) | CompleteSignInError::Store(_)) => "failed",
    }
}

pub(super) fn of_refresh(outcome: &Result<Refreshed, RefreshError>) -> &'static str {
    match outcome {
        Ok(Refreshed::Rotated(_)) => "rotated",
        Ok(Refreshed::Repeated(_)) => "repeated",
        Err(RefreshError::Reused) => "reused",
        Err(RefreshError::Invalid) => "refused",
        Err(RefreshError::TooMany(_)) => "throttled",
        Err(RefreshError::Store(_)) => "failed",
    }
}
