use async_trait::async_trait;

use super::StoreError;
use crate::Timestamp;
use crate::ids::ServiceKeyId;
use crate::service_key::{ServiceKey, ServiceKeyDigest, ServiceKeySecret};

/// Makes secrets of service keys, and what the database keeps of them.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait ServiceKeySecrets: Send + Sync {
    /// A new secret, of 256 bits from the system's generator (ASVS 7.2.3).
    fn generate(&self) -> ServiceKeySecret;
    /// What the database keeps of what was presented; `None` if it does not look like a secret.
    fn digest(&self, presented: &str) -> Option<ServiceKeyDigest>;
}

/// Service keys, a statement at a time.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ServiceKeys: Send + Sync {
    /// The key of a digest, revoked or not.
    async fn find(&self, digest: &ServiceKeyDigest) -> Result<Option<ServiceKey>, StoreError>;
    /// All keys, newest first, the revoked ones too.
    async fn all(&self) -> Result<Vec<ServiceKey>, StoreError>;
    /// Notes that a key was used.
    async fn touch(&self, id: &ServiceKeyId, now: Timestamp) -> Result<(), StoreError>;
}

/// Service keys inside a unit of work.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ServiceKeyRepository: Send {
    /// Writes a new key.
    async fn add(&mut self, key: &ServiceKey, digest: &ServiceKeyDigest) -> Result<(), StoreError>;
    /// A key, which nobody else changes before this unit of work ends.
    async fn lock(&mut self, id: &ServiceKeyId) -> Result<Option<ServiceKey>, StoreError>;
    /// Makes a key good for nothing from now on.
    async fn revoke(&mut self, id: &ServiceKeyId, now: Timestamp) -> Result<(), StoreError>;
}
