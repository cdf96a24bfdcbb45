//! Second factors and recovery codes.

use futures_util::future::join_all;
use subtle_domain::ports::{SecondFactors, Sessions, Store, UnitOfWork};
use subtle_domain::second_factor::{Assurance, EncryptedSecret, SecondFactor, TotpStep};
use subtle_domain::session::Session;
use subtle_domain::token::TokenDigest;
use subtle_domain::user::User;
use subtle_persistence::{PgSecondFactors, PgSessions};

use crate::support::{Home, hash, later, session, session_id, start, store, user, user_id};

fn pending(id: &str) -> SecondFactor {
    SecondFactor {
        user_id: user_id(id),
        encrypted: EncryptedSecret(vec![0, 1, 255]),
        created_at: start(),
        confirmed_at: None,
        last_step: None,
    }
}

fn digests(names: &[&str]) -> Vec<TokenDigest> {
    names.iter().map(|name| TokenDigest::new(*name)).collect()
}

async fn begin(home: &Home) -> Box<dyn UnitOfWork> {
    store(home.pool()).begin().await.unwrap()
}

async fn left(home: &Home, id: &str) -> u32 {
    PgSecondFactors::new(home.pool()).codes_left(&user_id(id)).await.unwrap()
}

#[tokio::test]
async fn a_factor_is_written_over_by_its_owners_next_and_by_nobody_elses() {
    let home = Home::of_three().await;
    let confirmed =
        SecondFactor { confirmed_at: Some(later(1)), last_step: Some(TotpStep(7)), ..pending("ada") };
    let mut unit = begin(&home).await;
    for factor in [&pending("ada"), &confirmed, &pending("bob")] {
        unit.second_factors().put(factor).await.unwrap();
    }
    unit.commit().await.unwrap();
    let mut unit = begin(&home).await;
    assert_eq!(unit.second_factors().find(&user_id("ada")).await.unwrap(), Some(confirmed));
    assert_eq!(unit.second_factors().find(&user_id("bob")).await.unwrap(), Some(pending("bob")));
    unit.second_factors().put(&pending("ada")).await.unwrap();
    assert_eq!(unit.second_factors().find(&user_id("ada")).await.unwrap(), Some(pending("ada")));
    assert_eq!(unit.second_factors().find(&user_id("never")).await.unwrap(), None);
}

#[tokio::test]
async fn a_recovery_code_is_good_once_however_many_show_it_at_once() {
    let home = Home::of_three().await;
    let mut unit = begin(&home).await;
    unit.second_factors().replace_codes(&user_id("ada"), &digests(&["one", "two"])).await.unwrap();
    unit.commit().await.unwrap();
    let shown = (0..10).map(|_| async {
        let mut unit = begin(&home).await;
        unit.users().lock(&user_id("ada")).await.unwrap();
        let spent = unit.second_factors().spend(&user_id("ada"), &TokenDigest::new("one")).await.unwrap();
        unit.commit().await.unwrap();
        spent
    });
    assert_eq!(join_all(shown).await.into_iter().filter(|spent| *spent).count(), 1);
    assert_eq!((left(&home, "ada").await, left(&home, "bob").await), (1, 0));
    let mut unit = begin(&home).await;
    assert!(!unit.second_factors().spend(&user_id("bob"), &TokenDigest::new("two")).await.unwrap());
}

#[tokio::test]
async fn new_codes_take_the_place_of_older_ones_and_go_with_the_factor() {
    let home = Home::of_three().await;
    let mut unit = begin(&home).await;
    for id in ["ada", "bob"] {
        unit.second_factors().put(&pending(id)).await.unwrap();
        unit.second_factors().replace_codes(&user_id(id), &digests(&["one", "two"])).await.unwrap();
    }
    unit.second_factors().replace_codes(&user_id("ada"), &digests(&["three"])).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!((left(&home, "ada").await, left(&home, "bob").await), (1, 2));
    let mut unit = begin(&home).await;
    unit.second_factors().remove(&user_id("ada")).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!((left(&home, "ada").await, left(&home, "bob").await), (0, 2));
    assert_eq!(home.first_column("SELECT user_id FROM second_factors").await, ["bob"]);
}

#[tokio::test]
async fn no_session_begins_by_a_password_alone_once_a_second_factor_is_asked_for() {
    let home = Home::new().await;
    home.add(&User { second_factor_at: Some(later(1)), ..user("ada") }).await;
    let sessions = PgSessions::new(home.pool());
    assert!(!sessions.begin(&session("s1", "ada"), &hash('a')).await.unwrap());
    let with_code = Session { assurance: Assurance::SecondFactor, ..session("s2", "ada") };
    assert!(sessions.begin(&with_code, &hash('a')).await.unwrap());
    let (found, owner) = sessions.find(&user_id("ada"), &session_id("s2")).await.unwrap().unwrap();
    assert_eq!((found, owner.second_factor_at), (with_code, Some(later(1))));
}

#[tokio::test]
async fn a_session_that_begins_while_a_second_factor_is_added_does_not() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let sessions = PgSessions::new(home.pool());
    let mut unit = begin(&home).await;
    let ada = unit.users().lock(&user_id("ada")).await.unwrap().unwrap();
    let begin = tokio::spawn(async move { sessions.begin(&session("s1", "ada"), &hash('a')).await });
    home.await_waiting(1).await;
    unit.users().save(&User { second_factor_at: Some(later(1)), ..ada }).await.unwrap();
    unit.commit().await.unwrap();
    assert!(!begin.await.unwrap().unwrap());
    assert_eq!(home.value("SELECT count(*) FROM sessions").await, "0");
}

#[tokio::test]
async fn a_session_is_raised_while_it_lives() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    home.add_session(&session("s1", "ada")).await;
    home.add_session(&session("s2", "ada")).await;
    home.run("UPDATE sessions SET revoked_at = now(), revoked_reason = 'user' WHERE id = 's2'").await;
    let mut unit = begin(&home).await;
    let raised = unit.sessions().raise(&user_id("ada"), &session_id("s1")).await.unwrap();
    let expected = Session { assurance: Assurance::SecondFactor, ..session("s1", "ada") };
    assert_eq!(raised, Some(expected));
    assert_eq!(unit.sessions().raise(&user_id("ada"), &session_id("s2")).await.unwrap(), None);
    assert_eq!(unit.sessions().raise(&user_id("bob"), &session_id("s1")).await.unwrap(), None);
}
