use async_trait::async_trait;

use super::StoreError;
use crate::Timestamp;
use crate::bridge::{Bridge, CodeChallenge};
use crate::ids::UserId;
use crate::token::{BridgeToken, PresentedBridgeToken, TokenDigest};

/// Makes and opens bridge tokens, and knows what verifiers stand behind challenges.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait BridgeTokens: Send + Sync {
    /// A new token for a user, of 256 bits from the system's generator (ASVS 7.2.3), and its digest.
    fn mint(&self, user: &UserId) -> (BridgeToken, TokenDigest);
    /// Takes a token apart without believing it; `None` if it is none.
    fn open(&self, token: &str) -> Option<PresentedBridgeToken>;
    /// The challenge of a verifier (RFC 7636, 4.2); `None` if it is none.
    fn challenge(&self, verifier: &str) -> Option<CodeChallenge>;
}

/// Bridge tokens, a statement at a time.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Bridges: Send + Sync {
    /// The user's token of a digest, redeemed or not.
    async fn find(&self, user: &UserId, digest: &TokenDigest) -> Result<Option<Bridge>, StoreError>;
}

/// Bridge tokens inside a unit of work.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait BridgeRepository: Send {
    /// Writes a token.
    async fn add(&mut self, bridge: &Bridge) -> Result<(), StoreError>;
    /// Redeems a token if nobody has, and it has not expired; what was handed over with it is forgotten. `false` if somebody was faster.
    async fn spend(&mut self, bridge: &Bridge, now: Timestamp) -> Result<bool, StoreError>;
}
