//! Accounts of another service, and their sessions that wait to be taken over.

use std::collections::HashSet;

use futures_util::future::join_all;
use subtle_domain::ids::UserId;
use subtle_domain::import::{ForeignIdentity, ImportedSession};
use subtle_domain::ports::{Imports, NewImport, NewUser, Sessions, Store, UnitOfWork};
use subtle_domain::second_factor::{Assurance, EncryptedSecret, SecondFactor};
use subtle_domain::session::RevocationReason;
use subtle_domain::token::TokenDigest;
use subtle_domain::user::User;
use subtle_persistence::{PgImports, PgSessions};

use crate::support::{Home, email, hash, later, session_id, start, store, user, user_id};

fn digest(text: &str) -> TokenDigest {
    TokenDigest::new(text)
}

fn waiting(id: &str, owner: &str) -> ImportedSession {
    ImportedSession {
        id: session_id(id),
        user_id: user_id(owner),
        created_at: start(),
        expires_at: later(90),
        not_after: Some(later(60)),
        assurance: Assurance::SecondFactor,
        taken_at: None,
    }
}

fn google() -> ForeignIdentity {
    ForeignIdentity {
        provider: "google".to_owned(),
        provider_id: "117204631875264310984".to_owned(),
        created_at: Some(start()),
        last_sign_in_at: None,
    }
}

fn plain(id: &str) -> NewImport {
    NewImport {
        new: NewUser { user: user(id), hash: hash('a') },
        factor: None,
        identities: Vec::new(),
        sessions: Vec::new(),
    }
}

/// An account with a second factor, an identity and a session of two tokens.
fn rich(id: &str) -> NewImport {
    let with_factor = User { second_factor_at: Some(start()), ..user(id) };
    let tokens = vec![digest(&format!("{id} current")), digest(&format!("{id} parent"))];
    NewImport {
        new: NewUser { user: with_factor, hash: hash('a') },
        factor: Some(SecondFactor {
            user_id: user_id(id),
            encrypted: EncryptedSecret(vec![1, 2, 3]),
            created_at: start(),
            confirmed_at: Some(start()),
            last_step: None,
        }),
        identities: vec![google()],
        sessions: vec![(waiting(&format!("session of {id}").replace(' ', "-"), id), tokens)],
    }
}

async fn begin(home: &Home) -> Box<dyn UnitOfWork> {
    store(home.pool()).begin().await.unwrap()
}

async fn add(home: &Home, imports: &[NewImport]) -> HashSet<UserId> {
    let mut unit = begin(home).await;
    let made = unit.imports().add(imports).await.unwrap();
    unit.commit().await.unwrap();
    made
}

fn ids(names: &[&str]) -> HashSet<UserId> {
    names.iter().map(|name| user_id(name)).collect()
}

#[tokio::test]
async fn an_account_comes_with_its_factor_its_identities_and_its_sessions() {
    let home = Home::new().await;
    assert_eq!(add(&home, &[plain("ada"), rich("bob")]).await, ids(&["ada", "bob"]));
    let imports = PgImports::new(home.pool());
    assert_eq!(imports.identities(&user_id("bob")).await.unwrap(), [google()]);
    assert_eq!(imports.identities(&user_id("ada")).await.unwrap(), []);
    let known = Some(waiting("session-of-bob", "bob"));
    for token in ["bob current", "bob parent"] {
        assert_eq!(imports.session(&[digest("unknown"), digest(token)]).await.unwrap(), known, "{token}");
    }
    assert_eq!(imports.session(&[digest("unknown")]).await.unwrap(), None);
    let mut unit = begin(&home).await;
    let factor = unit.second_factors().find(&user_id("bob")).await.unwrap();
    assert_eq!(factor, rich("bob").factor);
    assert_eq!(unit.users().lock(&user_id("bob")).await.unwrap(), Some(rich("bob").new.user));
}

#[tokio::test]
async fn of_an_account_whose_identifier_or_address_is_taken_nothing_comes() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    home.run("UPDATE users SET email = 'BOB@example.com'").await;
    let mut unit = begin(&home).await;
    let asked = [user_id("ada"), user_id("bob"), user_id("cat")];
    let addresses = [email("bob@example.com"), email("cat@example.com")];
    let there = unit.imports().already_there(&asked, &addresses).await.unwrap();
    assert_eq!((there.ids, there.emails), (ids(&["ada"]), [email("bob@example.com")].into()));
    unit.rollback().await.unwrap();
    assert_eq!(add(&home, &[rich("ada"), rich("bob"), rich("cat")]).await, ids(&["cat"]));
    for table in ["second_factors", "imported_identities", "imported_refresh_tokens"] {
        let owners = home.first_column(&format!("SELECT DISTINCT user_id FROM {table}")).await;
        assert_eq!(owners, ["cat"], "{table}");
    }
    assert_eq!(add(&home, &[rich("cat")]).await, ids(&[]), "and again, nothing");
}

#[tokio::test]
async fn a_session_is_taken_once_by_whichever_token_however_many_come_at_once() {
    let home = Home::new().await;
    add(&home, &[rich("ada"), rich("bob")]).await;
    let session = waiting("session-of-ada", "ada");
    let taken = (0..20).map(|_| async {
        let mut unit = begin(&home).await;
        unit.users().lock(&user_id("ada")).await.unwrap();
        let taken = unit.imports().take(&session, later(5)).await.unwrap();
        unit.commit().await.unwrap();
        taken
    });
    assert_eq!(join_all(taken).await.into_iter().filter(|taken| *taken).count(), 1);
    let imports = PgImports::new(home.pool());
    let known = ImportedSession { taken_at: Some(later(5)), ..session };
    for token in ["ada current", "ada parent"] {
        assert_eq!(imports.session(&[digest(token)]).await.unwrap(), Some(known.clone()), "{token}");
    }
    let other = imports.session(&[digest("bob current")]).await.unwrap().unwrap();
    assert_eq!(other.taken_at, None);
}

#[tokio::test]
async fn a_session_that_waits_is_forgotten_and_one_that_was_taken_is_not() {
    let home = Home::new().await;
    add(&home, &[rich("ada"), rich("bob")]).await;
    let mut unit = begin(&home).await;
    assert!(unit.imports().take(&waiting("session-of-bob", "bob"), later(5)).await.unwrap());
    unit.commit().await.unwrap();
    let imports = PgImports::new(home.pool());
    for (owner, left) in [("ada", false), ("bob", true)] {
        let id = session_id(&format!("session-of-{owner}"));
        imports.forget(&user_id(owner), &id).await.unwrap();
        let token = digest(&format!("{owner} current"));
        assert_eq!(imports.session(&[token]).await.unwrap().is_some(), left, "{owner}");
    }
    let mut unit = begin(&home).await;
    assert!(!unit.imports().take(&waiting("session-of-ada", "ada"), later(6)).await.unwrap());
}

#[tokio::test]
async fn whatever_ends_all_sessions_ends_those_that_wait() {
    let home = Home::new().await;
    add(&home, &[rich("ada"), rich("bob"), rich("cat"), rich("dan")]).await;
    let reason = RevocationReason::PasswordChange;
    let sessions = PgSessions::new(home.pool());
    sessions.revoke_others(&user_id("ada"), &session_id("s1"), reason, later(1)).await.unwrap();
    let mut unit = begin(&home).await;
    unit.sessions().revoke_all(&user_id("bob"), None, reason, later(1)).await.unwrap();
    unit.sessions().delete_all(&user_id("cat")).await.unwrap();
    unit.commit().await.unwrap();
    let waiting = "SELECT DISTINCT user_id FROM imported_refresh_tokens";
    assert_eq!(home.first_column(waiting).await, ["dan"]);
}
