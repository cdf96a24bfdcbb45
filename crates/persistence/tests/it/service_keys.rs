//! Service keys.

use subtle_domain::ids::ServiceKeyId;
use subtle_domain::ports::{ServiceKeys, Store, StoreError};
use subtle_domain::service_key::{Scopes, ServiceKey, ServiceKeyDigest};
use subtle_domain::text::Label;
use subtle_persistence::PgServiceKeys;

use crate::support::store;
use crate::support::{Home, later, start, user, user_id};

async fn home() -> Home {
    let home = Home::new().await;
    home.add(&user("root")).await;
    home
}

fn id(text: &str) -> ServiceKeyId {
    ServiceKeyId::parse(text).unwrap()
}

fn key(text: &str) -> ServiceKey {
    ServiceKey {
        id: id(text),
        name: Label::parse("Inference").unwrap(),
        scopes: Scopes::parse(&["usage:write", "quota:write"]).unwrap(),
        created_by: user_id("root"),
        created_at: start(),
        last_used_at: None,
        revoked_at: None,
    }
}

fn digest(filler: u8) -> ServiceKeyDigest {
    ServiceKeyDigest([filler; 32])
}

async fn add(home: &Home, key: &ServiceKey, filler: u8) {
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.service_keys().add(key, &digest(filler)).await.unwrap();
    unit.commit().await.unwrap();
}

#[tokio::test]
async fn a_key_is_found_by_its_digest_alone() {
    let home = home().await;
    add(&home, &key("k1"), 1).await;
    let keys = PgServiceKeys::new(home.pool());
    assert_eq!(keys.find(&digest(1)).await.unwrap(), Some(key("k1")));
    assert_eq!(keys.find(&digest(2)).await.unwrap(), None);
}

#[tokio::test]
async fn all_keys_are_listed_newest_first_the_revoked_ones_too() {
    let home = home().await;
    add(&home, &key("k1"), 1).await;
    add(&home, &key("k2"), 2).await;
    add(&home, &ServiceKey { created_at: later(1), ..key("k0") }, 3).await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.service_keys().revoke(&id("k1"), later(9)).await.unwrap();
    unit.commit().await.unwrap();
    let all = PgServiceKeys::new(home.pool()).all().await.unwrap();
    let told: Vec<_> = all.iter().map(|key| (key.id.as_str(), key.revoked_at)).collect();
    assert_eq!(told, [("k0", None), ("k2", None), ("k1", Some(later(9)))]);
}

#[tokio::test]
async fn a_digest_or_an_identifier_that_is_taken_and_an_unknown_maker_are_conflicts() {
    let home = home().await;
    add(&home, &key("k1"), 1).await;
    let of_nobody = ServiceKey { created_by: user_id("nobody"), ..key("k2") };
    for (key, filler) in [(key("k1"), 2), (key("k2"), 1), (of_nobody, 2)] {
        let mut unit = store(home.pool()).begin().await.unwrap();
        let refused = unit.service_keys().add(&key, &digest(filler)).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn the_last_use_only_moves_forward() {
    let home = home().await;
    add(&home, &key("k1"), 1).await;
    add(&home, &key("k2"), 2).await;
    let keys = PgServiceKeys::new(home.pool());
    for (at, seen) in [(60, 60), (30, 60), (90, 90), (90, 90)] {
        keys.touch(&id("k1"), later(at)).await.unwrap();
        assert_eq!(keys.find(&digest(1)).await.unwrap().unwrap().last_used_at, Some(later(seen)), "{at}");
    }
    assert_eq!(keys.find(&digest(2)).await.unwrap().unwrap().last_used_at, None);
    keys.touch(&id("nothing"), later(1)).await.unwrap();
}

#[tokio::test]
async fn a_scope_that_nobody_knows_makes_its_key_corrupt() {
    let home = home().await;
    for (scopes, filler) in [("{usage:write,everything}", 1), ("{}", 2), ("{usage:write,NULL}", 3)] {
        add(&home, &key(&format!("k{filler}")), filler).await;
        home.run(&format!("UPDATE service_keys SET scopes = '{scopes}' WHERE id = 'k{filler}'")).await;
        let found = PgServiceKeys::new(home.pool()).find(&digest(filler)).await;
        assert!(
            matches!(found, Err(StoreError::Corrupt { table: "service_keys", column: "scopes" })),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn a_key_that_is_locked_is_waited_for() {
    let home = home().await;
    add(&home, &key("k1"), 1).await;
    let mut first = store(home.pool()).begin().await.unwrap();
    assert_eq!(first.service_keys().lock(&id("k1")).await.unwrap(), Some(key("k1")));
    assert_eq!(first.service_keys().lock(&id("k2")).await.unwrap(), None);
    let mut second = store(home.pool()).begin().await.unwrap();
    let waiting = tokio::spawn(async move { second.service_keys().lock(&id("k1")).await.unwrap() });
    home.await_waiting(1).await;
    first.service_keys().revoke(&id("k1"), later(5)).await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().revoked_at, Some(later(5)));
}
