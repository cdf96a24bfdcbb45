use async_trait::async_trait;

use super::{Credentials, StoreError};
use crate::Timestamp;
use crate::email::EmailAddress;
use crate::ids::UserId;
use crate::second_factor::{Challenge, EncryptedSecret, SecondFactor, TotpStep};
use crate::token::{
    ForeignSecret, OneTimeCode, PresentedChallenge, RecoveryCode, TokenDigest, TotpSecret, TotpUri,
};

/// A new secret, as it is shown and as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// For the owner's app, by hand.
    pub secret: TotpSecret,
    /// For the owner's app, by a picture.
    pub uri: TotpUri,
    /// For the store.
    pub encrypted: EncryptedSecret,
}

/// A code that was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RightCode {
    /// Of which half minute it is.
    pub step: TotpStep,
    /// The secret encrypted by the newest key, where an older one had done that.
    pub reencrypted: Option<EncryptedSecret>,
}

/// Makes secrets and checks codes: TOTP with HMAC-SHA-1, six digits and half minutes, which is what all apps know.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait Authenticators: Send + Sync {
    /// A new secret of 160 bits (RFC 4226, 4) for an account of that address.
    fn enrol(&self, user: &UserId, email: &EmailAddress) -> Enrolment;
    /// Keeps the secret that another service shares with a user's app, in base32; `None` if it is none.
    fn adopt(&self, user: &UserId, secret: &ForeignSecret) -> Option<EncryptedSecret>;
    /// Whether a user's code is right at `now`, or was in the half minute before or after (RFC 6238, 5.2).
    fn check(
        &self,
        user: &UserId,
        encrypted: &EncryptedSecret,
        code: &OneTimeCode,
        now: Timestamp,
    ) -> Option<RightCode>;
    /// A new recovery code.
    fn recovery_code(&self) -> RecoveryCode;
    /// What the database keeps of it.
    fn digest(&self, code: &RecoveryCode) -> TokenDigest;
}

/// Makes and opens what stands for a password that was shown, until a code is.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait Challenges: Send + Sync {
    /// A challenge for an account. It dies with the password and with the second factor.
    fn mint(&self, known: &Credentials, expires_at: Timestamp) -> Challenge;
    /// Takes one apart without believing it; `None` if it is none.
    fn open(&self, token: &str) -> Option<PresentedChallenge>;
    /// Whether it was made by us for that account as it is.
    fn is_authentic(&self, challenge: &PresentedChallenge, known: &Credentials) -> bool;
}

/// Second factors, a statement at a time.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SecondFactors: Send + Sync {
    /// How many recovery codes a user has left.
    async fn codes_left(&self, user: &UserId) -> Result<u32, StoreError>;
}

/// Second factors inside a unit of work. Who asks for them holds the lock on the account.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SecondFactorRepository: Send {
    /// A user's factor, confirmed or not.
    async fn find(&mut self, user: &UserId) -> Result<Option<SecondFactor>, StoreError>;
    /// Writes a user's factor in the place of the one that they have, if they have one.
    async fn put(&mut self, factor: &SecondFactor) -> Result<(), StoreError>;
    /// Uses a recovery code up; `false` if the user has none of that digest.
    async fn spend(&mut self, user: &UserId, digest: &TokenDigest) -> Result<bool, StoreError>;
    /// Makes these the user's recovery codes, and no others.
    async fn replace_codes(&mut self, user: &UserId, digests: &[TokenDigest]) -> Result<(), StoreError>;
    /// Forgets a user's factor and their recovery codes.
    async fn remove(&mut self, user: &UserId) -> Result<(), StoreError>;
}
