//! The second factor: codes from an app that the owner carries (TOTP, RFC 6238), and recovery codes for when it is lost.

use chrono::TimeDelta;

use crate::Timestamp;
use crate::ids::UserId;
use crate::token::{ChallengeToken, OneTimeCode, RecoveryCode};
use crate::user::vocabulary;

vocabulary! {
    /// How sure we are of who began a session.
    Assurance {
        /// They knew the password.
        Password = "password",
        /// They knew the password and had a code.
        SecondFactor = "second_factor",
    }
}

impl Assurance {
    /// The claim `amr` of access tokens (RFC 8176, 2).
    #[must_use]
    pub fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Password => &["pwd"],
            Self::SecondFactor => &["pwd", "otp", "mfa"],
        }
    }

    /// What a claim `amr` tells.
    #[must_use]
    pub fn of_methods<T: AsRef<str>>(methods: &[T]) -> Self {
        if methods.iter().any(|method| method.as_ref() == "mfa") {
            Self::SecondFactor
        } else {
            Self::Password
        }
    }
}

/// How many recovery codes an account has at most.
pub const RECOVERY_CODES: usize = 10;

/// How long somebody who has shown the password may take to show a code.
pub const CHALLENGE_LIFE: TimeDelta = TimeDelta::minutes(5);

/// How long a new secret waits for its first code.
pub const ENROLMENT_LIFE: TimeDelta = TimeDelta::minutes(15);

/// The half minute that a code is of, counted from 1970 (RFC 6238, 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TotpStep(pub i64);

/// What is kept of the app's secret: encrypted, for codes are computed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedSecret(pub Vec<u8>);

/// An account's second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// Whose it is. They have at most one.
    pub user_id: UserId,
    /// What its codes are computed from.
    pub encrypted: EncryptedSecret,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it is asked for: its first code was right.
    pub confirmed_at: Option<Timestamp>,
    /// Of which half minute the last code was that was taken.
    pub last_step: Option<TotpStep>,
}

impl SecondFactor {
    /// Whether it still waits for its first code.
    #[must_use]
    pub fn is_pending(&self, now: Timestamp) -> bool {
        self.confirmed_at.is_none() && now < self.created_at + ENROLMENT_LIFE
    }

    /// Whether a code of that half minute may be taken: each is good once, and none that is older (RFC 6238, 5.2; ASVS 6.5.1).
    #[must_use]
    pub fn accepts(&self, step: TotpStep) -> bool {
        self.last_step.is_none_or(|last| last < step)
    }
}

/// A code as somebody has typed it, of whichever kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresentedCode {
    /// Six digits from the app.
    OneTime(OneTimeCode),
    /// One of the codes that were written down.
    Recovery(RecoveryCode),
}

/// Why a text is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the six digits that the app shows, or a recovery code")]
pub struct InvalidCode;

impl PresentedCode {
    /// Takes six digits, or the 24 letters and digits of a recovery code in either case. Spaces and hyphens are people's.
    pub fn parse(text: &str) -> Result<Self, InvalidCode> {
        if text.len() > 64 {
            return Err(InvalidCode);
        }
        let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        match bare.len() {
            6 if bare.bytes().all(|b| b.is_ascii_digit()) => Ok(Self::OneTime(OneTimeCode::new(bare))),
            RecoveryCode::LENGTH if bare.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Ok(Self::Recovery(RecoveryCode::new(bare.to_ascii_lowercase())))
            }
            _ => Err(InvalidCode),
        }
    }
}

/// What somebody who has shown the password gets instead of a session, to come back with and a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The token.
    pub token: ChallengeToken,
    /// From when on it is good for nothing.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor() -> SecondFactor {
        SecondFactor {
            user_id: UserId::parse("ada").unwrap(),
            encrypted: EncryptedSecret(vec![1]),
            created_at: Timestamp::UNIX_EPOCH,
            confirmed_at: None,
            last_step: None,
        }
    }

    #[test]
    fn a_code_is_good_once_and_no_older_one_is_after_it() {
        assert!(factor().accepts(TotpStep(7)));
        let used = SecondFactor { last_step: Some(TotpStep(7)), ..factor() };
        assert_eq!([6, 7, 8].map(|step| used.accepts(TotpStep(step))), [false, false, true]);
    }

    #[test]
    fn an_enrolment_waits_for_its_first_code_for_a_quarter_of_an_hour() {
        let end = factor().created_at + ENROLMENT_LIFE;
        assert!(factor().is_pending(end - TimeDelta::milliseconds(1)));
        assert!(!factor().is_pending(end));
        let confirmed = SecondFactor { confirmed_at: Some(factor().created_at), ..factor() };
        assert!(!confirmed.is_pending(factor().created_at));
    }

    #[test]
    fn codes_are_taken_as_people_type_them() {
        let digits = PresentedCode::OneTime(OneTimeCode::new("012345"));
        for text in ["012345", "012 345", " 012-345 "] {
            assert_eq!(PresentedCode::parse(text).unwrap(), digits, "{text}");
        }
        let code = PresentedCode::Recovery(RecoveryCode::new("abcdef234567ghijklmnopqr"));
        for text in ["abcdef-234567-ghijkl-mnopqr", "ABCDEF 234567 GHIJKL MNOPQR", "abcdef234567ghijklmnopqr"]
        {
            assert_eq!(PresentedCode::parse(text).unwrap(), code, "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_code() {
        let long = "0".repeat(1_000);
        for text in [
            "",
            "12345",
            "1234567",
            "12345a",
            "١٢٣٤٥٦",
            "abcdef-234567",
            "abcdef-234567-ghijkl-mnopq\0",
            &long,
        ] {
            assert_eq!(PresentedCode::parse(text), Err(InvalidCode), "{text:?}");
        }
    }

    #[test]
    fn the_level_is_read_from_the_methods_that_tell_it() {
        for level in Assurance::ALL {
            assert_eq!(Assurance::of_methods(level.methods()), *level);
        }
        assert_eq!(Assurance::of_methods::<&str>(&[]), Assurance::Password);
    }
}
