use subtle_domain::audit::AuditAction;
use subtle_domain::ports::StoreError;
use subtle_domain::service_key::{Scopes, ServiceKey, ServiceKeySecret};
use subtle_domain::text::Label;

use crate::Ports;
use crate::actor::{Actor, Told};
use crate::admin::{Forbidden, Privileged};
use crate::again::again;

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewServiceKey {
    /// What to call it.
    pub name: Label,
    /// What it may be used for.
    pub scopes: Scopes,
}

/// Makes a service key. Its secret is known to nobody after this.
pub async fn create_service_key(
    ports: &Ports,
    by: &Privileged,
    new: NewServiceKey,
) -> Result<(ServiceKey, ServiceKeySecret), Forbidden> {
    let now = ports.clock.now();
    let secret = ports.service_key_secrets.generate();
    let no_digest = || StoreError::Defect("a new secret has no digest".into());
    let digest = ports.service_key_secrets.digest(secret.expose()).ok_or_else(no_digest)?;
    let key = ServiceKey {
        id: ports.ids.service_key_id(),
        name: new.name,
        scopes: new.scopes,
        created_by: by.user_id().clone(),
        created_at: now,
        last_used_at: None,
        revoked_at: None,
    };
    let scopes: Vec<_> = key.scopes.as_slice().iter().map(|scope| scope.as_str()).collect();
    let facts = [
        ("serviceKeyId", key.id.to_string()),
        ("name", key.name.as_str().to_owned()),
        ("scopes", scopes.join(" ")),
    ];
    let entry =
        ports.audit_entry(&Actor::from(by), AuditAction::ServiceKeyCreated, None, Told::facts(facts), now);
    let made = again(|| async {
        let mut unit = ports.store.begin().await?;
        if let Err(lost) = by.confirm(unit.as_mut()).await? {
            return unit.rollback().await.map(|()| Err(lost));
        }
        unit.service_keys().add(&key, &digest).await?;
        unit.audit().append(&entry).await?;
        unit.commit().await.map(Ok)
    });
    made.await??;
    Ok((key, secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::{grace, unit_of_grace};
    use crate::test_ports::{self, was};
    use subtle_domain::service_key::ServiceKeyDigest;
    use subtle_domain::user::Role;

    fn mocks() -> test_ports::Mocks {
        let mut mocks = test_ports::Mocks::default();
        mocks.service_key_secrets.expect_generate().returning(|| ServiceKeySecret::new("sk_new".to_owned()));
        mocks.service_key_secrets.expect_digest().returning(|_| Some(ServiceKeyDigest([7; 32])));
        mocks
    }

    fn new() -> NewServiceKey {
        NewServiceKey {
            name: Label::parse("gateway").unwrap(),
            scopes: Scopes::parse(&["usage:write"]).unwrap(),
        }
    }

    #[tokio::test]
    async fn only_its_digest_is_kept_and_the_trail_names_it() {
        let mut mocks = mocks();
        let mut unit = unit_of_grace(Role::Admin);
        unit.service_keys
            .expect_add()
            .withf(|key, digest| key.created_by.as_str() == "grace" && digest.0 == [7; 32])
            .times(1)
            .returning(|_, _| Ok(()));
        unit.audit
            .expect_append()
            .withf(|entry| {
                entry.action == AuditAction::ServiceKeyCreated
                    && entry.facts.contains(&("serviceKeyId", "k-new".to_owned()))
                    && entry.facts.iter().all(|(_, value)| !value.contains("sk_new"))
            })
            .times(1)
            .returning(|_| Ok(()));
        let committed = mocks.expect_unit(unit);
        let (key, secret) = create_service_key(&mocks.ports(), &grace(), new()).await.unwrap();
        assert_eq!((key.id.as_str(), secret.expose()), ("k-new", "sk_new"));
        assert!(was(&committed));
    }

    #[tokio::test]
    async fn who_lost_the_privilege_makes_none() {
        let mut mocks = mocks();
        let committed = mocks.expect_unit(unit_of_grace(Role::Support));
        let refused = create_service_key(&mocks.ports(), &grace(), new()).await;
        assert!(matches!(refused, Err(Forbidden::Role(Role::Support))));
        assert!(!was(&committed));
    }
}
