//! The activity timeline: what happened on an account, for the person and for support.

use crate::Timestamp;
use crate::ids::{ActivityId, UserId};
use crate::text::Label;
use crate::user::vocabulary;

vocabulary! {
    /// What the service itself writes into the timeline.
    ActivityAction {
        /// The account was made.
        SignUp = "sign_up",
        /// A session began.
        SignIn = "sign_in",
        /// A sign-in was refused: wrong password, disabled account, too many guesses.
        SignInRefused = "sign_in_refused",
        /// A session was ended by its owner.
        SignOut = "sign_out",
        /// A refresh token was refused that once was good: its session is over.
        RefreshRefused = "refresh_refused",
        /// A spent refresh token came back; the session was ended.
        RefreshReused = "refresh_reused",
        /// The password was changed.
        PasswordChanged = "password_changed",
        /// A change of password was refused.
        PasswordChangeRefused = "password_change_refused",
        /// The password was replaced by who followed the link in a letter.
        PasswordReset = "password_reset",
        /// The address was shown to be theirs.
        EmailVerified = "email_verified",
        /// Another address was asked for.
        EmailChangeAsked = "email_change_asked",
        /// A change of address was refused.
        EmailChangeRefused = "email_change_refused",
        /// The address was replaced.
        EmailChanged = "email_changed",
        /// Name or picture were changed.
        ProfileChanged = "profile_changed",
        /// The password was right, and a code is asked for as well.
        SecondFactorAsked = "second_factor_asked",
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

/// A row of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityEntry {
    /// Its identifier.
    pub id: ActivityId,
    /// On whose account it happened.
    pub user_id: UserId,
    /// What happened.
    pub action: ActivityAction,
    /// What is worth knowing about it, by name. Never a secret.
    pub details: Vec<(&'static str, String)>,
    /// When.
    pub at: Timestamp,
}

/// What another program tells of what happened on an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedActivity {
    /// The identifier of the row that it becomes.
    pub id: ActivityId,
    /// On whose account it happened.
    pub user_id: UserId,
    /// What happened.
    pub action: Label,
    /// What is worth knowing about it: a JSON document, if there is one.
    pub data: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A row of the timeline as it is read: other programs write rows too, with actions and data of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedActivity {
    /// Its identifier.
    pub id: String,
    /// What happened.
    pub action: String,
    /// What is worth knowing about it: a JSON document, if there is one.
    pub data: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A place in a timeline: behind the row of that time and identifier.
pub type ActivityCursor = (Timestamp, String);

/// A timeline in figures: the seed's four.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivitySummary {
    /// Rows in all.
    pub total_actions: i64,
    /// Rows of the last seven days, counted from midnight UTC.
    pub actions_this_week: i64,
    /// When the last of them happened.
    pub last_activity: Option<Timestamp>,
    /// The action of most rows; of several, the first in the alphabet.
    pub most_common_action: Option<String>,
}
