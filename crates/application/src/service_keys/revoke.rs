use subtle_domain::audit::AuditAction;
use subtle_domain::ids::ServiceKeyId;
use subtle_domain::ports::StoreError;

use crate::Ports;
use crate::actor::{Actor, Told};
use crate::admin::{Forbidden, Privileged};
use crate::again::again;

/// Why a key is not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeKeyError {
    /// There is no such key.
    #[error("there is no such service key")]
    NotFound,
    /// Who acts has lost the privilege since they were found to hold it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a key good for nothing: here at once, on other servers within a second. One that was revoked before stays so.
pub async fn revoke_service_key(
    ports: &Ports,
    by: &Privileged,
    id: &ServiceKeyId,
) -> Result<(), RevokeKeyError> {
    let now = ports.clock.now();
    let entry = || {
        let told = Told::facts([("serviceKeyId", id.to_string())]);
        ports.audit_entry(&Actor::from(by), AuditAction::ServiceKeyRevoked, None, told, now)
    };
    let revoked = again(|| async {
        let mut unit = ports.store.begin().await?;
        let refused = if let Err(lost) = by.confirm(unit.as_mut()).await? {
            Err(RevokeKeyError::Forbidden(lost))
        } else {
            match unit.service_keys().lock(id).await? {
                Some(key) if key.revoked_at.is_none() => {
                    unit.service_keys().revoke(id, now).await?;
                    unit.audit().append(&entry()).await?;
                    return unit.commit().await.map(Ok);
                }
                Some(_) => Ok(()),
                None => Err(RevokeKeyError::NotFound),
            }
        };
        unit.rollback().await.map(|()| refused)
    });
    revoked.await??;
    ports.key_cache.forget(id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::authenticate::tests::key;
    use super::*;
    use crate::admin::tests::{grace, unit_of_grace};
    use crate::test_ports::{self, NOW, was};
    use subtle_domain::service_key::ServiceKey;
    use subtle_domain::user::Role;

    #[tokio::test]
    async fn a_key_in_force_is_revoked_with_its_audit_entry() {
        let mut mocks = test_ports::Mocks::default();
        let mut unit = unit_of_grace(Role::Admin);
        unit.service_keys.expect_lock().returning(|_| Ok(Some(key())));
        unit.service_keys.expect_revoke().withf(|_, now| *now == NOW).times(1).returning(|_, _| Ok(()));
        unit.audit
            .expect_append()
            .withf(|entry| entry.action == AuditAction::ServiceKeyRevoked)
            .times(1)
            .returning(|_| Ok(()));
        let committed = mocks.expect_unit(unit);
        revoke_service_key(&mocks.ports(), &grace(), &key().id).await.unwrap();
        assert!(was(&committed));
    }

    #[tokio::test]
    async fn a_second_time_changes_nothing_and_a_missing_key_is_told() {
        for (found, done) in [(Some(ServiceKey { revoked_at: Some(NOW), ..key() }), true), (None, false)] {
            let mut mocks = test_ports::Mocks::default();
            let mut unit = unit_of_grace(Role::Admin);
            unit.service_keys.expect_lock().returning(move |_| Ok(found.clone()));
            let committed = mocks.expect_unit(unit);
            assert_eq!(revoke_service_key(&mocks.ports(), &grace(), &key().id).await.is_ok(), done);
            assert!(!was(&committed));
        }
    }
}
