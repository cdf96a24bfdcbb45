//! Accounts, a statement at a time.

use futures_util::future::join_all;
use subtle_domain::ports::{Accounts, StoreError};
use subtle_domain::text::FullName;
use subtle_domain::user::{ProfileChange, User};
use subtle_persistence::PgAccounts;

use crate::support::{Home, email, hash, later, start, user, user_id};

async fn with(users: &[User]) -> (Home, PgAccounts) {
    let home = Home::new().await;
    for user in users {
        home.add(user).await;
    }
    let accounts = PgAccounts::new(home.pool());
    (home, accounts)
}

fn named(name: Option<&str>) -> ProfileChange {
    let full_name = name.map(|name| FullName::parse(name).unwrap());
    ProfileChange { full_name: Some(full_name), ..ProfileChange::default() }
}

#[tokio::test]
async fn an_account_is_found_as_it_was_made() {
    let (_home, accounts) = with(&[user("ada")]).await;
    assert_eq!(accounts.find(&user_id("ada")).await.unwrap(), Some(user("ada")));
    assert_eq!(accounts.find(&user_id("bob")).await.unwrap(), None);
}

#[tokio::test]
async fn accounts_that_are_asked_for_at_the_same_time_are_found_each_by_who_asked() {
    let (home, accounts) = with(&[user("ada"), user("bob"), user("eve")]).await;
    let asked = ["ada", "nobody", "bob", "ada", "eve"];
    // Few rows are looked for in all of them, many by the index: the policies hold for one after the other, either way.
    for _ in 0..2 {
        let found = join_all((0..60).map(|turn| {
            let id = asked[turn % asked.len()];
            let (id, accounts) = (user_id(id), &accounts);
            async move { (id.clone(), accounts.find(&id).await.unwrap()) }
        }));
        for (id, found) in found.await {
            let is_known = ["ada", "bob", "eve"].contains(&id.as_str());
            assert_eq!(found, is_known.then(|| user(id.as_str())));
        }
        home.run(
            "INSERT INTO users (id, email, password_hash, updated_at)
             SELECT 'u' || n, n || '@example.com', repeat('x', 60), now() FROM generate_series(1, 2000) n
             ON CONFLICT DO NOTHING",
        )
        .await;
        home.run("ANALYZE users").await;
    }
}

#[tokio::test]
async fn an_erased_account_is_found_too() {
    let erased = User { deleted_at: Some(later(9)), disabled_at: Some(later(8)), ..user("ada") };
    let (_home, accounts) = with(std::slice::from_ref(&erased)).await;
    assert_eq!(accounts.find(&user_id("ada")).await.unwrap(), Some(erased));
}

#[tokio::test]
async fn credentials_are_found_by_address_and_by_identifier() {
    let (_home, accounts) = with(&[user("ada")]).await;
    let credentials = accounts.credentials_of_address(&email("Ada@Example.com")).await.unwrap().unwrap();
    assert_eq!((&credentials.user, &credentials.hash), (&user("ada"), &hash('a')));
    assert_eq!(accounts.credentials(&user_id("ada")).await.unwrap(), Some(credentials));
    assert_eq!(accounts.credentials(&user_id("bob")).await.unwrap(), None);
    assert_eq!(accounts.credentials_of_address(&email("bob@example.com")).await.unwrap(), None);
}

#[tokio::test]
async fn an_address_that_another_program_wrote_in_capitals_is_found() {
    let (home, accounts) = with(&[user("ada")]).await;
    home.run("UPDATE users SET email = 'Ada@Example.COM'").await;
    let found = accounts.credentials_of_address(&email("ada@example.com")).await.unwrap();
    assert_eq!(found.unwrap().user.email.as_str(), "Ada@Example.COM");
}

#[tokio::test]
async fn a_profile_change_touches_what_it_names() {
    let (_home, accounts) = with(&[user("ada"), user("bob")]).await;
    let renamed = accounts.change_profile(&user_id("ada"), &named(Some("Augusta")), later(5)).await.unwrap();
    let wanted = User { full_name: FullName::parse("Augusta").ok(), updated_at: later(5), ..user("ada") };
    assert_eq!(renamed, Some(wanted.clone()));
    assert_eq!(accounts.find(&user_id("ada")).await.unwrap(), Some(wanted.clone()));
    let emptied = accounts.change_profile(&user_id("ada"), &named(None), later(6)).await.unwrap();
    assert_eq!(emptied, Some(User { full_name: None, updated_at: later(6), ..wanted }));
    assert_eq!(accounts.find(&user_id("bob")).await.unwrap(), Some(user("bob")));
}

#[tokio::test]
async fn the_profile_of_an_account_that_is_not_active_is_left_alone() {
    let disabled = User { disabled_at: Some(start()), ..user("off") };
    let erased = User { deleted_at: Some(start()), ..user("gone") };
    let (_home, accounts) = with(&[disabled.clone(), erased]).await;
    for id in ["off", "gone", "never"] {
        let change = accounts.change_profile(&user_id(id), &named(Some("X")), later(5)).await.unwrap();
        assert_eq!(change, None, "{id}");
    }
    assert_eq!(accounts.find(&user_id("off")).await.unwrap(), Some(disabled));
}

#[tokio::test]
async fn a_hash_is_replaced_only_if_it_is_the_expected_one() {
    let (_home, accounts) = with(&[user("ada")]).await;
    let ada = user_id("ada");
    assert!(!accounts.replace_hash(&ada, &hash('x'), &hash('b')).await.unwrap());
    assert!(accounts.replace_hash(&ada, &hash('a'), &hash('b')).await.unwrap());
    assert!(!accounts.replace_hash(&ada, &hash('a'), &hash('c')).await.unwrap());
    let credentials = accounts.credentials(&ada).await.unwrap().unwrap();
    assert_eq!((credentials.hash, credentials.user), (hash('b'), user("ada")));
}

#[tokio::test]
async fn an_unfit_value_is_named_by_table_and_column() {
    let (home, accounts) = with(&[user("ada")]).await;
    home.run("ALTER TABLE users DROP CONSTRAINT valid_role, DROP CONSTRAINT valid_subscription_tier").await;
    for (change, undo, column) in [
        ("role = 'king'", "role = 'user'", "role"),
        ("subscription_tier = 'gold'", "subscription_tier = 'free'", "subscription_tier"),
        ("password_hash = repeat('ä', 60)", "password_hash = repeat('a', 60)", "password_hash"),
    ] {
        home.run(&format!("UPDATE users SET {change}")).await;
        let outcome = accounts.credentials(&user_id("ada")).await;
        let named =
            matches!(outcome, Err(StoreError::Corrupt { table: "users", column: at }) if at == column);
        assert!(named, "{column}: {outcome:?}");
        home.run(&format!("UPDATE users SET {undo}")).await;
    }
    home.run("INSERT INTO users (id, email, password_hash) VALUES ('a b', 'x@example.com', repeat('*', 60))")
        .await;
    let outcome = accounts.credentials_of_address(&email("x@example.com")).await;
    assert!(matches!(outcome, Err(StoreError::Corrupt { table: "users", column: "id" })), "{outcome:?}");
}
