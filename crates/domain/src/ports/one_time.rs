use async_trait::async_trait;

use super::StoreError;
use crate::Timestamp;
use crate::ids::{OneTimeTokenId, UserId};
use crate::one_time::{OneTimeRecord, Purpose};
use crate::token::{OneTimeToken, TokenDigest};

/// Makes the tokens of letters. A token can be computed again from what is kept of it.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait OneTimeTokens: Send + Sync {
    /// The token of an identifier, by the newest secret: 256 bits.
    fn mint(&self, id: &OneTimeTokenId, purpose: Purpose, salt: &[u8]) -> OneTimeToken;
    /// The token of a record, by whichever secret made it; `None` if none of them did.
    fn mint_again(&self, record: &OneTimeRecord) -> Option<OneTimeToken>;
    /// What the database keeps of what was presented.
    fn digest(&self, presented: &str) -> TokenDigest;
}

/// What is kept of tokens, a statement at a time.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait OneTimeRecords: Send + Sync {
    /// The record of a digest, expired or not.
    async fn find(&self, digest: &TokenDigest) -> Result<Option<OneTimeRecord>, StoreError>;
}

/// What is kept of tokens inside a unit of work. Who changes a user's holds the lock on their account.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait OneTimeRepository: Send {
    /// Keeps a token in the place of an older one of that user and purpose, which is good for nothing from then on; `false` if there
    /// is one that was made after `unless_after`.
    async fn put(&mut self, record: &OneTimeRecord, unless_after: Timestamp) -> Result<bool, StoreError>;
    /// Uses a token up; `false` if that was done before, or a newer one has taken its place.
    async fn spend(&mut self, record: &OneTimeRecord) -> Result<bool, StoreError>;
    /// Makes all tokens of a user good for nothing, or those of one purpose.
    async fn void(&mut self, user: &UserId, purpose: Option<Purpose>) -> Result<(), StoreError>;
}
