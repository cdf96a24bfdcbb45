//! Letters: what is told to whom by e-mail, and how long that is tried.

use chrono::TimeDelta;

use crate::Timestamp;
use crate::email::EmailAddress;
use crate::ids::{LetterId, OneTimeTokenId, UserId};
use crate::one_time::Purpose;
use crate::session::ClientInfo;
use crate::user::vocabulary;

vocabulary! {
    /// What a letter is about.
    LetterKind {
        /// To a new account: follow the link to show that the address is yours.
        VerifyEmail = "verify_email",
        /// Follow the link to choose a new password.
        ResetPassword = "reset_password",
        /// To an account's new address: follow the link to make it so.
        ConfirmNewEmail = "confirm_new_email",
        /// To an account's address: somebody wants to replace it.
        EmailChangeAsked = "email_change_asked",
        /// To the old and the new address: it was replaced.
        EmailChanged = "email_changed",
        /// The password was reset.
        PasswordChanged = "password_changed",
        /// A session began on a device that was not seen before.
        NewDevice = "new_device",
        /// A second factor is asked for from now on.
        SecondFactorAdded = "second_factor_added",
        /// A second factor is no longer asked for.
        SecondFactorRemoved = "second_factor_removed",
        /// New recovery codes took the place of the older ones.
        RecoveryCodesMade = "recovery_codes_made",
        /// A recovery code took the place of a code from the app.
        RecoveryCodeUsed = "recovery_code_used",
    }
}

impl LetterKind {
    /// What the token in its link is good for, if it has one.
    #[must_use]
    pub fn purpose(self) -> Option<Purpose> {
        match self {
            Self::VerifyEmail => Some(Purpose::VerifyEmail),
            Self::ResetPassword => Some(Purpose::ResetPassword),
            Self::ConfirmNewEmail => Some(Purpose::ChangeEmail),
            Self::EmailChangeAsked
            | Self::EmailChanged
            | Self::PasswordChanged
            | Self::NewDevice
            | Self::SecondFactorAdded
            | Self::SecondFactorRemoved
            | Self::RecoveryCodesMade
            | Self::RecoveryCodeUsed => None,
        }
    }

    /// The letter that carries tokens of that purpose.
    #[must_use]
    pub fn that_carries(purpose: Purpose) -> Self {
        match purpose {
            Purpose::VerifyEmail => Self::VerifyEmail,
            Purpose::ResetPassword => Self::ResetPassword,
            Purpose::ChangeEmail => Self::ConfirmNewEmail,
        }
    }
}

/// A letter that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its identifier, the same however often it is tried.
    pub id: LetterId,
    /// Whose account it is about.
    pub user_id: UserId,
    /// What it is about.
    pub kind: LetterKind,
    /// To which address.
    pub recipient: EmailAddress,
    /// The token in its link, if it has one. Without that token the letter is worth nothing.
    pub token: Option<OneTimeTokenId>,
    /// The address that an account has now, or shall have, where the letter tells of one.
    pub new_email: Option<EmailAddress>,
    /// Who did what the letter tells of.
    pub client: ClientInfo,
    /// When that was.
    pub created_at: Timestamp,
}

/// Somebody who knows an address asks for a letter to it. Whether it has an account is looked up behind their back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterRequest {
    /// Its identifier.
    pub id: LetterId,
    /// What for.
    pub purpose: Purpose,
    /// To which address.
    pub email: EmailAddress,
    /// When.
    pub at: Timestamp,
}

/// How often a letter is tried, the first time included: over a little more than seven hours.
pub const TRIES: u32 = 7;

/// How long a try may take: then whoever made it is taken for dead, and another one makes the next.
pub const LONGEST_TRY: TimeDelta = TimeDelta::minutes(2);

/// How long to wait after so many tries that failed; `None` when it is time to give up.
#[must_use]
pub fn pause_after(tries: u32) -> Option<TimeDelta> {
    match tries {
        0 | 1 => Some(TimeDelta::seconds(5)),
        2 => Some(TimeDelta::seconds(30)),
        3 => Some(TimeDelta::minutes(2)),
        4 => Some(TimeDelta::minutes(10)),
        5 => Some(TimeDelta::hours(1)),
        6 => Some(TimeDelta::hours(6)),
        _ => None,
    }
}

/// What makes two `User-Agent`s one device: all but the numbers. A browser that was updated is still the same.
#[must_use]
pub fn device_of(user_agent: &str) -> String {
    user_agent.chars().filter(|c| !DEVICE_NOISE.contains(*c)).collect()
}

/// What of a `User-Agent` says nothing of the device: version numbers.
pub const DEVICE_NOISE: &str = "0123456789._";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_tried_seven_times_with_longer_and_longer_pauses() {
        let pauses: Vec<_> = (1..TRIES).map(|tries| pause_after(tries).unwrap()).collect();
        assert!(pauses.is_sorted());
        assert_eq!(pauses.iter().sum::<TimeDelta>(), TimeDelta::seconds(5 + 30 + 120 + 600 + 3_600 + 21_600));
        for tries in [TRIES, TRIES + 1, u32::MAX] {
            assert_eq!(pause_after(tries), None, "{tries}");
        }
    }

    #[test]
    fn each_purpose_has_one_letter_that_carries_its_token() {
        for purpose in Purpose::ALL {
            assert_eq!(LetterKind::that_carries(*purpose).purpose(), Some(*purpose));
        }
        let carriers = LetterKind::ALL.iter().filter(|kind| kind.purpose().is_some());
        assert_eq!(carriers.count(), Purpose::ALL.len());
    }

    #[test]
    fn an_updated_browser_is_the_same_device_and_another_browser_is_not() {
        let of = |version: &str| device_of(&format!("Mozilla/5.0 (iPhone; CPU iPhone OS {version}) Safari"));
        assert_eq!(of("17_2"), of("18_0_1"));
        assert_ne!(of("17_2"), device_of("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Safari"));
    }
}
