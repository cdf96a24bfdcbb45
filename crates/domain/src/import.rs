//! Accounts of another service: what is read there, what becomes of each here, and the sessions that go on.

mod judge;
mod session;

pub use judge::{Imported, Verdict, judge};
pub use session::{ImportedSession, SessionLoss};

use crate::Timestamp;
use crate::second_factor::Assurance;
use crate::token::{ForeignSecret, RefreshToken};
use crate::user::vocabulary;

/// An account as the other service keeps it, with what hangs on it. Nothing of it is believed yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForeignAccount {
    /// Its identifier.
    pub id: String,
    /// Its address, if it has one.
    pub email: Option<String>,
    /// The hash of its password, if it has one.
    pub hash: Option<ForeignSecret>,
    /// What is so about it.
    pub marks: Vec<Mark>,
    /// What its owner may be called, the best first.
    pub names: Vec<String>,
    /// Where their picture may be, the best first.
    pub pictures: Vec<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Until when it is closed.
    pub banned_until: Option<Timestamp>,
    /// By which providers its owner signs in.
    pub identities: Vec<ForeignIdentity>,
    /// Its second factors that are asked for, the one used last first.
    pub factors: Vec<ForeignFactor>,
    /// Its sessions.
    pub sessions: Vec<ForeignSession>,
}

impl ForeignAccount {
    /// Whether that is so about it.
    #[must_use]
    pub fn has(&self, mark: Mark) -> bool {
        self.marks.contains(&mark)
    }
}

vocabulary! {
    /// What may be so about an account of another service.
    Mark {
        /// Its address was shown to be its owner's.
        Confirmed = "confirmed",
        /// It belongs to nobody who has said who they are.
        Anonymous = "anonymous",
        /// Its owner was erased.
        Deleted = "deleted",
        /// Its owner signs in by an organisation's own service (SAML).
        SingleSignOn = "single_sign_on",
        /// Another account has the same address and comes first.
        Shadowed = "shadowed",
        /// It has a telephone number.
        Phone = "phone",
        /// It has rights over others.
        Privileged = "privileged",
    }
}

/// By which provider, and as whom there, the owner of an account signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignIdentity {
    /// The provider: `google`, `email`.
    pub provider: String,
    /// Who they are there.
    pub provider_id: String,
    /// Since when.
    pub created_at: Option<Timestamp>,
    /// When they last signed in by it.
    pub last_sign_in_at: Option<Timestamp>,
}

/// A second factor of another service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignFactor {
    /// Codes of an app (TOTP), computed from this.
    App(ForeignSecret),
    /// Something that has no place here: messages to a telephone, a security key.
    Other,
}

/// A session of another service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignSession {
    /// Its identifier.
    pub id: String,
    /// When its owner signed in.
    pub created_at: Option<Timestamp>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// When it ends at the latest, if that was said.
    pub not_after: Option<Timestamp>,
    /// How sure the other service was of who began it.
    pub assurance: Assurance,
    /// Whether it is not the owner's own but that of a program which they let act for them.
    pub is_programs: bool,
    /// The refresh tokens that are good for it, as far as they are kept.
    pub tokens: Vec<RefreshToken>,
    /// What those that are not kept are computed from.
    pub signer: Option<TokenSigner>,
}

/// What refresh tokens of a session are computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSigner {
    /// The key, as it is kept.
    pub key: ForeignSecret,
    /// The number of the token that was given out last.
    pub counter: i64,
}

vocabulary! {
    /// Why an account of another service has no place here.
    Refusal {
        /// It belongs to nobody who has said who they are.
        Anonymous = "anonymous",
        /// Its owner was erased there.
        Deleted = "deleted",
        /// It has a telephone number and no address.
        PhoneOnly = "phone_only",
        /// It has no address.
        NoAddress = "no_address",
        /// Letters can't reach its address.
        UnfitAddress = "unfit_address",
        /// Its identifier can't be one here.
        UnfitId = "unfit_id",
        /// Another account has its address.
        AddressTaken = "address_taken",
    }
}

vocabulary! {
    /// What is not as it was about an account that was taken.
    Change {
        /// The address is written in another way, that means the same mailbox.
        AddressRewritten = "address_rewritten",
        /// There was no password: the way in is a letter (reset of the password).
        NoPassword = "no_password",
        /// The hash of the password is of a kind that does not verify here: likewise.
        PasswordLeftOut = "password_left_out",
        /// No name that was given is fit to be one.
        NameLeftOut = "name_left_out",
        /// No picture that was given is fit to be one.
        PictureLeftOut = "picture_left_out",
        /// The telephone number has no place here.
        PhoneLeftOut = "phone_left_out",
        /// Rights over others come by no import.
        RightsLeftOut = "rights_left_out",
        /// It is closed until an administrator opens it: the ban would have ended by itself.
        BanWithoutEnd = "ban_without_end",
        /// When it was made is not known: it counts as made by the import.
        BeginningUnknown = "beginning_unknown",
        /// One second factor came, and others did not.
        FactorsLeftOut = "factors_left_out",
        /// None of its second factors could come. It is closed until an administrator opens it, for a password alone must not open it.
        ClosedWithoutFactor = "closed_without_factor",
        /// Its owner signed in by an organisation's own service: the way in is a letter now.
        SingleSignOnLeftOut = "single_sign_on_left_out",
    }
}
