//! Accounts inside a unit of work.

use subtle_domain::ports::{Accounts, NewUser, Store, StoreError};
use subtle_domain::text::AvatarUrl;
use subtle_domain::user::{Role, SubscriptionTier, User};
use subtle_persistence::PgAccounts;

use crate::support::{Home, email, hash, later, store, user, user_id};

fn new(user: User) -> NewUser {
    NewUser { user, hash: hash('a') }
}

#[tokio::test]
async fn an_address_is_taken_once_whatever_its_case() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    home.run("UPDATE users SET email = 'ADA@example.com'").await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    let same_address = User { email: email("ada@example.com"), ..user("eve") };
    assert!(!unit.users().add(&new(same_address)).await.unwrap());
    let same_id = User { email: email("other@example.com"), ..user("ada") };
    assert!(!unit.users().add(&new(same_id)).await.unwrap());
    // A refusal is no error: the unit of work goes on.
    assert!(unit.users().add(&new(user("bob"))).await.unwrap());
    unit.commit().await.unwrap();
    assert_eq!(home.value("SELECT count(*) FROM users").await, "2");
}

#[tokio::test]
async fn of_parallel_sign_ups_with_one_address_one_succeeds() {
    let home = Home::new().await;
    let store = store(home.pool());
    let sign_up = |number: u32| {
        let store = store.clone();
        async move {
            let mut unit = store.begin().await.unwrap();
            let user = User { email: email("same@example.com"), ..user(&format!("u{number}")) };
            let added = unit.users().add(&new(user)).await.unwrap();
            unit.commit().await.unwrap();
            added
        }
    };
    let added = futures_util::future::join_all((0..10).map(sign_up)).await;
    assert_eq!(added.into_iter().filter(|added| *added).count(), 1);
    assert_eq!(home.value("SELECT count(*) FROM users").await, "1");
}

#[tokio::test]
async fn saving_writes_all_of_the_state_and_nothing_else() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let changed = User {
        email: email("new@example.com"),
        full_name: None,
        avatar_url: AvatarUrl::parse("https://example.com/other.png").ok(),
        subscription_tier: SubscriptionTier::Enterprise,
        role: Role::Admin,
        email_verified: false,
        updated_at: later(5),
        disabled_at: Some(later(6)),
        deleted_at: Some(later(7)),
        ..user("ada")
    };
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.users().save(&changed).await.unwrap();
    unit.commit().await.unwrap();
    let accounts = PgAccounts::new(home.pool());
    let credentials = accounts.credentials(&user_id("ada")).await.unwrap().unwrap();
    assert_eq!((credentials.user, credentials.hash), (changed, hash('a')));
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.users().save(&user("ada")).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(accounts.find(&user_id("ada")).await.unwrap(), Some(user("ada")));
}

#[tokio::test]
async fn saving_what_is_not_there_or_with_a_taken_address_is_a_conflict() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    home.add(&user("bob")).await;
    let store = store(home.pool());
    let mut unit = store.begin().await.unwrap();
    assert!(matches!(unit.users().save(&user("eve")).await, Err(StoreError::Conflict(_))));
    assert!(matches!(unit.users().set_hash(&user_id("eve"), &hash('b')).await, Err(StoreError::Conflict(_))));
    let taken = User { email: email("bob@example.com"), ..user("ada") };
    assert!(matches!(unit.users().save(&taken).await, Err(StoreError::Conflict(_))));
}

#[tokio::test]
async fn a_locked_account_is_changed_by_one_at_a_time() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let store = store(home.pool());
    let mut first = store.begin().await.unwrap();
    assert_eq!(first.users().lock(&user_id("ada")).await.unwrap(), Some(user("ada")));
    let second = tokio::spawn({
        let store = store.clone();
        async move {
            let mut unit = store.begin().await.unwrap();
            let seen = unit.users().lock_address(&email("ada@example.com")).await.unwrap();
            unit.rollback().await.unwrap();
            seen
        }
    });
    home.await_waiting(1).await;
    let promoted = User { role: Role::Admin, ..user("ada") };
    first.users().save(&promoted).await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), Some(promoted));
}

#[tokio::test]
async fn locking_finds_erased_accounts_and_misses_none_that_are_not_there() {
    let home = Home::new().await;
    let erased = User { deleted_at: Some(later(1)), ..user("ada") };
    home.add(&erased).await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    assert_eq!(unit.users().lock(&user_id("ada")).await.unwrap(), Some(erased));
    assert_eq!(unit.users().lock(&user_id("bob")).await.unwrap(), None);
    assert_eq!(unit.users().lock_address(&email("bob@example.com")).await.unwrap(), None);
}

#[tokio::test]
async fn a_locked_account_still_takes_activity() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.users().lock(&user_id("ada")).await.unwrap();
    home.run("SET lock_timeout = '1s'; INSERT INTO user_activity (user_id, action) VALUES ('ada', 'x')")
        .await;
}

#[tokio::test]
async fn a_hash_is_replaced_by_compare_and_set_or_set_outright() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let ada = user_id("ada");
    let mut unit = store(home.pool()).begin().await.unwrap();
    assert!(!unit.users().replace_hash(&ada, &hash('x'), &hash('b'), later(5)).await.unwrap());
    assert!(unit.users().replace_hash(&ada, &hash('a'), &hash('b'), later(5)).await.unwrap());
    assert!(!unit.users().replace_hash(&ada, &hash('a'), &hash('c'), later(6)).await.unwrap());
    unit.commit().await.unwrap();
    let accounts = PgAccounts::new(home.pool());
    let credentials = accounts.credentials(&ada).await.unwrap().unwrap();
    assert_eq!((credentials.hash, credentials.user.updated_at), (hash('b'), later(5)));
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.users().set_hash(&ada, &hash('d')).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(accounts.credentials(&ada).await.unwrap().unwrap().hash, hash('d'));
}

#[tokio::test]
async fn erasing_traces_leaves_the_books_and_other_people() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    home.add(&user("bob")).await;
    for id in ["ada", "bob"] {
        home.run(&format!(
            "INSERT INTO user_activity (user_id, action) VALUES ('{id}', 'x');
             INSERT INTO admin_notes (user_id, admin_id, note) VALUES ('{id}', 'ada', 'on {id} by ada');
             INSERT INTO bridge_tokens (user_id, token, expires_at) VALUES ('{id}', '{id}', now());
             INSERT INTO sync_logs (user_id, event_type, event_source) VALUES ('{id}', 'x', 'x');
             INSERT INTO sync_places (user_id) VALUES ('{id}');
             INSERT INTO mail_outbox (id, user_id, kind, recipient, due_at) VALUES ('{id}', '{id}', 'x', 'x', now());
             INSERT INTO one_time_tokens (user_id, purpose, id, digest, salt, email, expires_at)
             VALUES ('{id}', 'verify_email', '{id}', '{id}', '', 'x', now() + interval '1 day');
             INSERT INTO second_factors (user_id, sealed) VALUES ('{id}', '');
             INSERT INTO recovery_codes (user_id, digest) VALUES ('{id}', '{id}');
             INSERT INTO imported_identities (user_id, provider, provider_id) VALUES ('{id}', 'google', '{id}');
             INSERT INTO mail_requests (id, purpose, email) VALUES ('{id}', 'reset_password', '{id}@example.com');
             INSERT INTO idempotency_keys (caller, key, fingerprint, answer) VALUES ('user:{id}', 'of {id}', '', 'x');
             INSERT INTO user_usage_metrics (user_id) VALUES ('{id}');
             INSERT INTO billing_history (user_id, amount, status) VALUES ('{id}', 1, 'pending');
             INSERT INTO audit_logs (admin_id, user_id, action) VALUES ('{id}', '{id}', 'x');"
        ))
        .await;
    }
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.users().erase_traces(&user_id("ada"), &email("ada@example.com")).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(home.first_column("SELECT id FROM mail_requests").await, ["bob"]);
    assert_eq!(home.first_column("SELECT key FROM idempotency_keys").await, ["of bob"]);
    for table in [
        "user_activity",
        "admin_notes",
        "bridge_tokens",
        "sync_logs",
        "sync_places",
        "mail_outbox",
        "one_time_tokens",
        "second_factors",
        "recovery_codes",
        "imported_identities",
    ] {
        assert_eq!(home.first_column(&format!("SELECT user_id FROM {table}")).await, ["bob"], "{table}");
    }
    for table in ["user_usage_metrics", "billing_history", "audit_logs", "users"] {
        assert_eq!(home.value(&format!("SELECT count(*) FROM {table}")).await, "2", "{table}");
    }
}

#[tokio::test]
async fn an_account_moves_to_an_address_that_nobody_has_whatever_its_case() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    home.add(&user("bob")).await;
    home.run("UPDATE users SET email = 'BOB@example.com' WHERE id = 'bob'").await;
    let store = store(home.pool());
    for (new, moved) in [("bob@example.com", false), ("ada@new.example", true)] {
        let mut unit = store.begin().await.unwrap();
        let mut ada = unit.users().lock(&user_id("ada")).await.unwrap().unwrap();
        ada.move_to(email(new), later(9));
        assert_eq!(unit.users().move_to(&ada).await.unwrap(), moved, "{new}");
        if moved {
            unit.commit().await.unwrap();
        } else {
            unit.rollback().await.unwrap();
        }
    }
    let ada = PgAccounts::new(home.pool()).find(&user_id("ada")).await.unwrap().unwrap();
    assert_eq!((ada.email.as_str(), ada.updated_at), ("ada@new.example", later(9)));
}

#[tokio::test]
async fn of_two_accounts_that_move_to_one_address_at_once_one_gets_it() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    home.add(&user("bob")).await;
    let store = store(home.pool());
    let moved = |id: &'static str| {
        let store = store.clone();
        async move {
            let mut unit = store.begin().await.unwrap();
            let moved = User { email: email("same@example.com"), ..user(id) };
            let moved = unit.users().move_to(&moved).await.unwrap();
            let end = if moved { unit.commit() } else { unit.rollback() };
            end.await.unwrap();
            moved
        }
    };
    let (ada, bob) = tokio::join!(moved("ada"), moved("bob"));
    assert!(ada != bob);
    assert_eq!(home.value("SELECT count(*) FROM users WHERE email = 'same@example.com'").await, "1");
}
