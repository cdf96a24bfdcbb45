use chrono::TimeDelta;
use subtle_domain::Timestamp;
use subtle_domain::ids::{ServiceKeyId, UserId};
use subtle_domain::ports::StoreError;
use subtle_domain::service_key::{Scope, ServiceKey, ServiceKeyDigest};
use subtle_domain::session::ClientInfo;

use crate::Ports;

/// To what the time of a key's last use is kept.
const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// A program whose key was found to be good for what it asks. There is no other way to get one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    key_id: ServiceKeyId,
    maker: UserId,
    client: ClientInfo,
}

impl Service {
    /// By which key it comes.
    #[must_use]
    pub fn key_id(&self) -> &ServiceKeyId {
        &self.key_id
    }

    /// Whose idempotency keys are its own.
    pub(crate) fn caller(&self) -> String {
        format!("key:{}", self.key_id)
    }

    /// The administrator who made the key, under whom audit entries stand.
    #[must_use]
    pub fn maker(&self) -> &UserId {
        &self.maker
    }

    /// Where it comes from.
    #[must_use]
    pub fn client(&self) -> &ClientInfo {
        &self.client
    }
}

/// Why a service key is not good for what is asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceKeyRefused {
    /// There is no such key, or it was revoked.
    #[error("the service key is not valid")]
    Invalid,
    /// The key lacks the scope.
    #[error("the service key lacks the scope {0}")]
    Scope(Scope),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes a service key for the program that holds it, if it is in force and has the scope.
pub async fn authenticate_service(
    ports: &Ports,
    presented: &str,
    scope: Scope,
    client: ClientInfo,
) -> Result<Service, ServiceKeyRefused> {
    let now = ports.clock.now();
    let digest = ports.service_key_secrets.digest(presented).ok_or(ServiceKeyRefused::Invalid)?;
    let key = find(ports, digest, now).await?;
    let key = key.filter(|key| key.revoked_at.is_none()).ok_or(ServiceKeyRefused::Invalid)?;
    if !key.scopes.allow(scope) {
        tracing::warn!(key = %key.id, %scope, "a service key was refused");
        return Err(ServiceKeyRefused::Scope(scope));
    }
    Ok(Service { key_id: key.id, maker: key.created_by, client })
}

async fn find(
    ports: &Ports,
    digest: ServiceKeyDigest,
    now: Timestamp,
) -> Result<Option<ServiceKey>, StoreError> {
    if let Some(known) = ports.key_cache.find(&digest, now) {
        return Ok(Some(known));
    }
    let Some(mut key) = ports.service_keys.find(&digest).await? else { return Ok(None) };
    let in_force = key.revoked_at.is_none();
    if in_force && key.last_used_at.is_none_or(|last| now - last >= MINUTE) {
        ports.service_keys.touch(&key.id, now).await?;
        key.last_used_at = Some(now);
    }
    ports.key_cache.remember(digest, key.clone(), now);
    Ok(Some(key))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::test_ports::{self, NOW};
    use subtle_domain::service_key::Scopes;
    use subtle_domain::text::Label;

    pub(crate) fn key() -> ServiceKey {
        ServiceKey {
            id: ServiceKeyId::parse("k1").unwrap(),
            name: Label::parse("gateway").unwrap(),
            scopes: Scopes::parse(&["usage:write", "billing:write"]).unwrap(),
            created_by: UserId::parse("grace").unwrap(),
            created_at: NOW,
            last_used_at: Some(NOW),
            revoked_at: None,
        }
    }

    pub(crate) fn service() -> Service {
        Service { key_id: key().id, maker: key().created_by, client: ClientInfo::default() }
    }

    fn mocks(found: Option<ServiceKey>) -> test_ports::Mocks {
        let mut mocks = test_ports::Mocks::default();
        mocks
            .service_key_secrets
            .expect_digest()
            .returning(|presented| (presented == "sk_good").then_some(ServiceKeyDigest([1; 32])));
        mocks
            .service_keys
            .expect_find()
            .withf(|digest| digest.0 == [1; 32])
            .times(0..=1)
            .returning(move |_| Ok(found.clone()));
        mocks
    }

    async fn ask(
        mocks: test_ports::Mocks,
        presented: &str,
        scope: Scope,
    ) -> Result<Service, ServiceKeyRefused> {
        authenticate_service(&mocks.ports(), presented, scope, ClientInfo::default()).await
    }

    #[tokio::test]
    async fn a_key_in_force_is_good_for_its_scopes_alone() {
        assert_eq!(ask(mocks(Some(key())), "sk_good", Scope::UsageWrite).await.unwrap(), service());
        let refused = ask(mocks(Some(key())), "sk_good", Scope::QuotaWrite).await;
        assert!(matches!(refused, Err(ServiceKeyRefused::Scope(Scope::QuotaWrite))));
    }

    #[tokio::test]
    async fn unknown_revoked_and_malformed_keys_look_the_same() {
        let revoked = ServiceKey { revoked_at: Some(NOW), ..key() };
        for (found, presented) in [(None, "sk_good"), (Some(revoked), "sk_good"), (Some(key()), "nonsense")] {
            let refused = ask(mocks(found), presented, Scope::UsageWrite).await;
            assert!(matches!(refused, Err(ServiceKeyRefused::Invalid)));
        }
    }

    #[tokio::test]
    async fn a_key_that_was_just_used_is_not_asked_for_again() {
        let ports = mocks(Some(key())).ports();
        for _ in 0..3 {
            let client = ClientInfo::default();
            authenticate_service(&ports, "sk_good", Scope::UsageWrite, client).await.unwrap();
        }
    }

    #[tokio::test]
    async fn its_last_use_is_kept_to_the_minute() {
        let unused = ServiceKey { last_used_at: None, ..key() };
        let old = ServiceKey { last_used_at: Some(NOW - MINUTE), ..key() };
        for found in [unused, old] {
            let mut mocks = mocks(Some(found));
            mocks
                .service_keys
                .expect_touch()
                .withf(|id, now| *id == key().id && *now == NOW)
                .times(1)
                .returning(|_, _| Ok(()));
            ask(mocks, "sk_good", Scope::UsageWrite).await.unwrap();
        }
    }
}
