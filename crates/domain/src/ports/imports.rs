use std::collections::HashSet;

use async_trait::async_trait;

use super::{NewUser, StoreError};
use crate::Timestamp;
use crate::email::EmailAddress;
use crate::ids::{SessionId, UserId};
use crate::import::{ForeignAccount, ForeignIdentity, ImportedSession, TokenSigner};
use crate::second_factor::SecondFactor;
use crate::token::{RefreshToken, TokenDigest};

/// Another service's accounts, as they were at one moment.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ImportSource: Send {
    /// How many there are.
    async fn count(&mut self) -> Result<u64, StoreError>;
    /// Accounts by their identifiers: at most `limit`, behind the one of that identifier.
    async fn page<'a>(
        &mut self,
        after: Option<&'a str>,
        limit: u32,
    ) -> Result<Vec<ForeignAccount>, StoreError>;
}

/// Knows another service's refresh tokens by what may be kept of them: digests under a key, for they have as little as 60 bits.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait ImportedTokens: Send + Sync {
    /// What the database keeps of a token.
    fn digest(&self, token: &RefreshToken) -> TokenDigest;
    /// What it may have kept of a token that somebody presents, the newest secret's first; nothing if the text has not the form of one.
    fn digests(&self, token: &str) -> Vec<TokenDigest>;
    /// The tokens of a session that are computed from this and are good; `None` if its key can't be read.
    fn compute(&self, session: &str, signer: &TokenSigner) -> Option<Vec<RefreshToken>>;
}

/// An account that is about to be made of one of another service, with what comes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImport {
    /// The account.
    pub new: NewUser,
    /// Its second factor.
    pub factor: Option<SecondFactor>,
    /// By which providers its owner signed in.
    pub identities: Vec<ForeignIdentity>,
    /// Sessions that go on, each with what is kept of its tokens.
    pub sessions: Vec<(ImportedSession, Vec<TokenDigest>)>,
}

/// What there is already, of what was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlreadyThere {
    /// Accounts of these identifiers, erased ones too.
    pub ids: HashSet<UserId>,
    /// Accounts of these addresses.
    pub emails: HashSet<EmailAddress>,
}

/// What was imported, a statement at a time.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Imports: Send + Sync {
    /// The session that waits for a token of one of these digests, or was taken over with it.
    async fn session(&self, digests: &[TokenDigest]) -> Result<Option<ImportedSession>, StoreError>;
    /// Forgets a session that waits to be taken over.
    async fn forget(&self, user: &UserId, session: &SessionId) -> Result<(), StoreError>;
    /// By which providers a user signed in, in their alphabet.
    async fn identities(&self, user: &UserId) -> Result<Vec<ForeignIdentity>, StoreError>;
}

/// Importing, inside a unit of work.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ImportRepository: Send {
    /// Which of these accounts and addresses are there.
    async fn already_there(
        &mut self,
        ids: &[UserId],
        emails: &[EmailAddress],
    ) -> Result<AlreadyThere, StoreError>;
    /// Makes accounts, with what comes along; names those that were made. Others were made meanwhile, or their address was taken.
    async fn add(&mut self, imports: &[NewImport]) -> Result<HashSet<UserId>, StoreError>;
    /// Takes over a session of a user whom the caller has locked; `false` if somebody did, or it waits no more.
    async fn take(&mut self, session: &ImportedSession, now: Timestamp) -> Result<bool, StoreError>;
}
