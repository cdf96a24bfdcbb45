//! Bridge tokens.

use futures_util::future::join_all;
use subtle_domain::bridge::{Bridge, CodeChallenge, LIFE};
use subtle_domain::ids::BridgeId;
use subtle_domain::ports::{Bridges, Store};
use subtle_domain::token::TokenDigest;
use subtle_persistence::{PgBridges, PgCleaner};

use crate::support::{Home, later, session, session_id, start, store, user_id};

fn bridge(id: &str, user: &str) -> Bridge {
    Bridge {
        id: BridgeId::parse(id).unwrap(),
        user_id: user_id(user),
        session_id: Some(session_id("s1")),
        digest: TokenDigest::new(format!("digest of {id}")),
        challenge: CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").ok(),
        data: Some(r#"{"n": 12345678901234567890.10, "tab": "ü"}"#.to_owned()),
        client: session("s1", user).client,
        created_at: start(),
        expires_at: start() + LIFE,
        used_at: None,
    }
}

async fn add(home: &Home, bridge: &Bridge) {
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.bridges().add(bridge).await.unwrap();
    unit.commit().await.unwrap();
}

async fn spend(home: &Home, bridge: &Bridge, seconds: i64) -> bool {
    let mut unit = store(home.pool()).begin().await.unwrap();
    let spent = unit.bridges().spend(bridge, later(seconds)).await.unwrap();
    unit.commit().await.unwrap();
    spent
}

#[tokio::test]
async fn a_token_is_found_by_its_user_and_digest_as_it_was_written() {
    let home = Home::of_three().await;
    let bare = Bridge { session_id: None, challenge: None, data: None, ..bridge("b2", "ada") };
    for written in [bridge("b1", "ada"), bare] {
        add(&home, &written).await;
        let bridges = PgBridges::new(home.pool());
        let found = bridges.find(&written.user_id, &written.digest).await.unwrap();
        assert_eq!(found, Some(written.clone()));
        assert_eq!(bridges.find(&user_id("bob"), &written.digest).await.unwrap(), None);
    }
}

#[tokio::test]
async fn it_is_redeemed_once_and_what_it_carried_is_forgotten() {
    let home = Home::of_three().await;
    let written = bridge("b1", "ada");
    add(&home, &written).await;
    assert!(!spend(&home, &Bridge { user_id: user_id("bob"), ..written.clone() }, 5).await);
    assert!(!spend(&home, &written, 60).await, "its minute is over");
    assert!(spend(&home, &written, 59).await);
    assert!(!spend(&home, &written, 59).await);
    let found = PgBridges::new(home.pool()).find(&written.user_id, &written.digest).await.unwrap();
    assert_eq!(found, Some(Bridge { used_at: Some(later(59)), data: None, ..written }));
}

#[tokio::test]
async fn of_many_who_redeem_it_at_once_one_does() {
    let home = Home::of_three().await;
    let written = bridge("b1", "ada");
    add(&home, &written).await;
    let pool = home.pool();
    let tries = (0..30).map(async |_| {
        let mut unit = store(pool.clone()).begin().await.unwrap();
        let spent = unit.bridges().spend(&written, later(1)).await.unwrap();
        unit.commit().await.unwrap();
        spent
    });
    assert_eq!(join_all(tries).await.into_iter().filter(|spent| *spent).count(), 1);
}

#[tokio::test]
async fn those_that_have_been_over_for_an_hour_are_forgotten() {
    let home = Home::of_three().await;
    for written in [bridge("b1", "ada"), bridge("b2", "bob")] {
        add(&home, &Bridge { expires_at: later(5), ..written }).await;
    }
    add(&home, &Bridge { expires_at: later(6), ..bridge("b3", "ada") }).await;
    let left = "SELECT string_agg(id, ' ' ORDER BY id) FROM bridge_tokens";
    let cleaner = PgCleaner::new(home.pool(), None);
    assert_eq!(cleaner.clean(later(5 + 3_600)).await.unwrap(), 0);
    assert_eq!(home.value(left).await, "b1 b2 b3");
    assert_eq!(cleaner.clean(later(6 + 3_600)).await.unwrap(), 2);
    assert_eq!(home.value(left).await, "b3");
}

#[tokio::test]
async fn a_session_that_is_held_is_not_ended_before_the_unit_of_work_is() {
    let home = Home::of_three().await;
    home.add_session(&session("s1", "ada")).await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    let held = unit.sessions().hold(&user_id("ada"), &session_id("s1")).await.unwrap();
    assert_eq!(held, Some(session("s1", "ada").summary()));
    assert_eq!(unit.sessions().hold(&user_id("bob"), &session_id("s1")).await.unwrap(), None);
    let pool = home.pool();
    let ends = async {
        use subtle_domain::ports::Sessions;
        use subtle_domain::session::RevocationReason;
        let sessions = subtle_persistence::PgSessions::new(pool);
        sessions.revoke(&user_id("ada"), &session_id("s1"), RevocationReason::User, later(1)).await.unwrap()
    };
    let commits = async {
        home.await_waiting(1).await;
        unit.commit().await.unwrap();
    };
    assert!(tokio::join!(ends, commits).0);
}
