//! Sessions, a statement at a time and inside a unit of work.

mod together;

use chrono::TimeDelta;
use futures_util::future::join_all;
use subtle_domain::Timestamp;
use subtle_domain::ids::SessionId;
use subtle_domain::ports::{Sessions, Store, StoreError};
use subtle_domain::session::{ClientInfo, Generation, RevocationReason, Session, SessionPolicy};
use subtle_domain::token::TokenDigest;
use subtle_domain::user::User;
use subtle_persistence::PgSessions;

use crate::support::{Home, hash, heard, later, session, session_id, start, store, user, user_id};

async fn home() -> (Home, PgSessions) {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    home.add(&user("bob")).await;
    let sessions = PgSessions::new(home.pool());
    (home, sessions)
}

async fn ids_of_live(
    sessions: &PgSessions,
    after: Option<(Timestamp, SessionId)>,
    limit: u32,
) -> Vec<String> {
    let policy = SessionPolicy::default();
    let live = sessions.live(&user_id("ada"), &policy, later(100), after, limit).await.unwrap();
    live.into_iter().map(|session| session.id.to_string()).collect()
}

#[tokio::test]
async fn a_session_begins_and_is_found_with_its_account() {
    let (_home, sessions) = home().await;
    assert!(sessions.begin(&session("s1", "ada"), &hash('a')).await.unwrap());
    let bare = Session { client: ClientInfo::default(), ..session("s2", "ada") };
    assert!(sessions.begin(&bare, &hash('a')).await.unwrap());
    let find = async |id| sessions.find(&user_id("ada"), &session_id(id)).await.unwrap();
    assert_eq!(find("s1").await, Some((session("s1", "ada"), user("ada"))));
    assert_eq!(find("s2").await, Some((bare, user("ada"))));
    assert_eq!(find("s3").await, None);
    assert_eq!(sessions.find(&user_id("bob"), &session_id("s1")).await.unwrap(), None);
}

#[tokio::test]
async fn no_session_begins_on_another_hash_or_an_account_that_is_not_active() {
    let (home, sessions) = home().await;
    home.add(&User { disabled_at: Some(start()), ..user("off") }).await;
    home.add(&User { deleted_at: Some(start()), ..user("gone") }).await;
    assert!(!sessions.begin(&session("s1", "ada"), &hash('x')).await.unwrap());
    for id in ["off", "gone", "never"] {
        assert!(!sessions.begin(&session("s1", id), &hash('a')).await.unwrap(), "{id}");
    }
    assert_eq!(home.value("SELECT count(*) FROM sessions").await, "0");
}

#[tokio::test]
async fn an_identifier_or_a_digest_that_is_there_already_is_a_conflict() {
    let (_home, sessions) = home().await;
    assert!(sessions.begin(&session("s1", "ada"), &hash('a')).await.unwrap());
    let again = sessions.begin(&session("s1", "ada"), &hash('a')).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))));
    let twin = Session { digest: session("s1", "ada").digest, ..session("s2", "ada") };
    assert!(matches!(sessions.begin(&twin, &hash('a')).await, Err(StoreError::Conflict(_))));
}

#[tokio::test]
async fn a_session_that_begins_while_its_account_is_disabled_does_not() {
    let (home, sessions) = home().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.users().lock(&user_id("ada")).await.unwrap();
    let begin = tokio::spawn(async move { sessions.begin(&session("s1", "ada"), &hash('a')).await });
    home.await_waiting(1).await;
    unit.users().save(&User { disabled_at: Some(later(1)), ..user("ada") }).await.unwrap();
    unit.sessions().revoke_all(&user_id("ada"), None, RevocationReason::Disabled, later(1)).await.unwrap();
    unit.commit().await.unwrap();
    assert!(!begin.await.unwrap().unwrap());
    assert_eq!(home.value("SELECT count(*) FROM sessions").await, "0");
}

#[tokio::test]
async fn a_session_that_begins_while_the_password_changes_does_not() {
    let (home, sessions) = home().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    assert!(unit.users().replace_hash(&user_id("ada"), &hash('a'), &hash('b'), later(1)).await.unwrap());
    let begin = tokio::spawn(async move { sessions.begin(&session("s1", "ada"), &hash('a')).await });
    home.await_waiting(1).await;
    unit.commit().await.unwrap();
    assert!(!begin.await.unwrap().unwrap());
}

#[tokio::test]
async fn of_parallel_rotations_one_steps_forward() {
    let (home, sessions) = home().await;
    home.add_session(&session("s1", "ada")).await;
    let (from, digest) = (session("s1", "ada"), TokenDigest::new("next"));
    let next = Generation::FIRST.next();
    let rotations = (0..20).map(|_| sessions.rotate(&from, next, &digest, later(5)));
    let rotated = join_all(rotations).await;
    assert_eq!(rotated.into_iter().filter(|rotated| *rotated.as_ref().unwrap()).count(), 1);
    let (found, _) = sessions.find(&user_id("ada"), &session_id("s1")).await.unwrap().unwrap();
    assert_eq!(found, Session { generation: next, digest, last_used_at: later(5), ..from });
}

#[tokio::test]
async fn a_session_that_is_revoked_or_anothers_does_not_rotate() {
    let (home, sessions) = home().await;
    home.add_session(&session("s1", "ada")).await;
    let rotate = async |session: &Session| {
        sessions
            .rotate(session, session.generation.next(), &TokenDigest::new("next"), later(5))
            .await
            .unwrap()
    };
    assert!(!rotate(&session("s1", "bob")).await);
    assert!(!rotate(&Session { generation: Generation::new(7), ..session("s1", "ada") }).await);
    let ada = user_id("ada");
    assert!(sessions.revoke(&ada, &session_id("s1"), RevocationReason::Reuse, later(4)).await.unwrap());
    assert!(!rotate(&session("s1", "ada")).await);
}

#[tokio::test]
async fn ending_a_session_is_told_once_to_all_replicas() {
    let (home, sessions) = home().await;
    home.add_session(&session("s1", "ada")).await;
    home.add_session(&session("s2", "ada")).await;
    let mut listener = home.listener().await;
    let revoke = async |user, id| {
        sessions.revoke(&user_id(user), &session_id(id), RevocationReason::SignOut, later(4)).await.unwrap()
    };
    assert!(!revoke("bob", "s1").await);
    assert!(!revoke("ada", "s9").await);
    assert!(revoke("ada", "s1").await);
    assert!(!revoke("ada", "s1").await);
    assert!(revoke("ada", "s2").await);
    assert_eq!(heard(&mut listener, 2).await, ["s:s1", "s:s2"]);
    let (found, _) = sessions.find(&user_id("ada"), &session_id("s1")).await.unwrap().unwrap();
    assert_eq!(found.revoked_at, Some(later(4)));
    assert_eq!(home.value("SELECT revoked_reason FROM sessions WHERE id = 's1'").await, "sign_out");
}

#[tokio::test]
async fn every_reason_is_known_to_the_table() {
    let (home, sessions) = home().await;
    for reason in RevocationReason::ALL {
        home.add_session(&session(reason.as_str(), "ada")).await;
        assert!(
            sessions.revoke(&user_id("ada"), &session_id(reason.as_str()), *reason, later(4)).await.unwrap()
        );
    }
}

#[tokio::test]
async fn live_sessions_come_last_used_first_and_page_by_page() {
    let (home, sessions) = home().await;
    for (id, used) in [("a", 10), ("b", 30), ("c", 20), ("d", 20), ("e", 5)] {
        home.add_session(&Session { last_used_at: later(used), ..session(id, "ada") }).await;
    }
    assert_eq!(ids_of_live(&sessions, None, 10).await, ["b", "d", "c", "a", "e"]);
    assert_eq!(ids_of_live(&sessions, None, 2).await, ["b", "d"]);
    assert_eq!(ids_of_live(&sessions, Some((later(20), session_id("d"))), 2).await, ["c", "a"]);
    assert_eq!(ids_of_live(&sessions, Some((later(10), session_id("a"))), 2).await, ["e"]);
    assert!(ids_of_live(&sessions, Some((later(5), session_id("e"))), 2).await.is_empty());
    assert!(ids_of_live(&sessions, None, 0).await.is_empty());
}

#[tokio::test]
async fn what_has_ended_in_any_way_is_not_live() {
    let (home, sessions) = home().await;
    let idle = SessionPolicy::default().idle;
    let at = later(100);
    let millisecond = TimeDelta::milliseconds(1);
    for session in [
        Session { expires_at: at, ..session("expired", "ada") },
        Session { last_used_at: at - idle, ..session("idle", "ada") },
        Session {
            last_used_at: at - idle + millisecond,
            created_at: at - idle,
            ..session("just-alive", "ada")
        },
        Session { expires_at: at + millisecond, ..session("about-to-expire", "ada") },
        session("revoked", "ada"),
        session("bobs", "bob"),
    ] {
        home.add_session(&session).await;
    }
    sessions.revoke(&user_id("ada"), &session_id("revoked"), RevocationReason::User, start()).await.unwrap();
    assert_eq!(ids_of_live(&sessions, None, 10).await, ["about-to-expire", "just-alive"]);
}

#[tokio::test]
async fn all_other_sessions_end_and_are_named_and_told() {
    let (home, sessions) = home().await;
    for (id, user) in [("s1", "ada"), ("s2", "ada"), ("s3", "ada"), ("s4", "ada"), ("b1", "bob")] {
        home.add_session(&session(id, user)).await;
    }
    let ada = user_id("ada");
    sessions.revoke(&ada, &session_id("s4"), RevocationReason::SignOut, later(1)).await.unwrap();
    let mut listener = home.listener().await;
    let keep = session_id("s2");
    let mut ended = sessions.revoke_others(&ada, &keep, RevocationReason::User, later(2)).await.unwrap();
    ended.sort();
    assert_eq!(ended, [session_id("s1"), session_id("s3")]);
    let mut told = heard(&mut listener, 2).await;
    told.sort();
    assert_eq!(told, ["s:s1", "s:s3"]);
    let alive = home.first_column("SELECT id FROM sessions WHERE revoked_at IS NULL ORDER BY id").await;
    assert_eq!(alive, ["b1", "s2"]);
    assert!(sessions.revoke_others(&ada, &keep, RevocationReason::User, later(3)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_unit_of_work_ends_sessions_and_tells_on_commit_alone() {
    let (home, _) = home().await;
    for id in ["s1", "s2"] {
        home.add_session(&session(id, "ada")).await;
    }
    let mut listener = home.listener().await;
    let store = store(home.pool());
    let (ada, reason) = (user_id("ada"), RevocationReason::PasswordChange);
    let mut undone = store.begin().await.unwrap();
    assert_eq!(undone.sessions().revoke_all(&ada, None, reason, later(1)).await.unwrap().len(), 2);
    undone.rollback().await.unwrap();
    let mut done = store.begin().await.unwrap();
    let keep = session_id("s2");
    let ended = done.sessions().revoke_all(&ada, Some(&keep), reason, later(2)).await.unwrap();
    assert_eq!(ended, [session_id("s1")]);
    done.commit().await.unwrap();
    let mut rest = store.begin().await.unwrap();
    let ended = rest.sessions().revoke_all(&ada, None, RevocationReason::Admin, later(3)).await.unwrap();
    assert_eq!(ended, [session_id("s2")]);
    rest.commit().await.unwrap();
    assert_eq!(heard(&mut listener, 2).await, ["s:s1", "s:s2"]);
}

#[tokio::test]
async fn deleting_all_sessions_tells_that_no_token_of_theirs_holds() {
    let (home, _) = home().await;
    for (id, user) in [("s1", "ada"), ("s2", "ada"), ("b1", "bob")] {
        home.add_session(&session(id, user)).await;
    }
    let mut listener = home.listener().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.sessions().delete_all(&user_id("ada")).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(heard(&mut listener, 1).await, ["u:ada"]);
    assert_eq!(home.first_column("SELECT id FROM sessions").await, ["b1"]);
}

#[tokio::test]
async fn what_other_programs_write_is_read_as_far_as_it_goes() {
    let (home, sessions) = home().await;
    home.run(
        "INSERT INTO sessions (id, user_id, refresh_token, expires_at, ip_address)
         VALUES ('s1', 'ada', 'x', now() + interval '1 day', 'localhost, probably'),
                ('s 2', 'ada', 'y', now() + interval '1 day', NULL)",
    )
    .await;
    let (found, _) = sessions.find(&user_id("ada"), &session_id("s1")).await.unwrap().unwrap();
    assert_eq!((found.client, found.salt.len()), (ClientInfo::default(), 16));
    let all = sessions.live(&user_id("ada"), &SessionPolicy::default(), later(0), None, 10).await;
    assert!(matches!(all, Err(StoreError::Corrupt { table: "sessions", column: "id" })), "{all:?}");
}

#[tokio::test]
async fn what_began_is_listed_from_the_last_ended_sessions_too_and_is_nobody_elses() {
    let (home, sessions) = home().await;
    for (id, at) in [("b1", 5), ("b2", 6), ("b3", 6)] {
        home.add_session(&Session { created_at: later(at), ..session(id, "ada") }).await;
    }
    let ada = user_id("ada");
    sessions.revoke(&ada, &session_id("b2"), RevocationReason::SignOut, later(9)).await.unwrap();
    let ids = async |after: Option<(Timestamp, String)>, limit| {
        let begun = sessions.begun(&ada, after, limit).await.unwrap();
        begun.into_iter().map(|session| session.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 2).await, ["b3", "b2"]);
    assert_eq!(ids(Some((later(6), "b3".to_owned())), 2).await, ["b2", "b1"]);
    assert_eq!(sessions.begun(&user_id("nobody"), None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_new_session_supersedes_the_longest_unused_and_only_live_ones_count() {
    let (home, sessions) = home().await;
    for (id, used, user) in
        [("s1", 3, "ada"), ("s2", 1, "ada"), ("s3", 4, "ada"), ("s4", 2, "ada"), ("b1", 0, "bob")]
    {
        home.add_session(&Session { last_used_at: later(used), ..session(id, user) }).await;
    }
    let (ada, now) = (user_id("ada"), later(10));
    sessions.revoke(&ada, &session_id("s3"), RevocationReason::SignOut, now).await.unwrap();
    let mut listener = home.listener().await;
    let policy = SessionPolicy { most: 2, ..SessionPolicy::default() };
    assert_eq!(sessions.supersede(&ada, &policy, now).await.unwrap(), [session_id("s2")]);
    assert_eq!(heard(&mut listener, 1).await, ["s:s2"]);
    assert_eq!(sessions.supersede(&ada, &policy, now).await.unwrap(), []);
    let ended = "SELECT string_agg(id || ' ' || revoked_reason, ', ' ORDER BY id) FROM sessions WHERE revoked_at IS NOT NULL";
    assert_eq!(home.value(ended).await, "s2 superseded, s3 sign_out");
}

#[tokio::test]
async fn a_session_ends_within_a_unit_of_work_when_that_commits() {
    let (home, _) = home().await;
    home.add_session(&session("s1", "ada")).await;
    let (ada, bob, s1) = (user_id("ada"), user_id("bob"), session_id("s1"));
    let mut unit = store(home.pool()).begin().await.unwrap();
    assert!(!unit.sessions().revoke(&bob, &s1, RevocationReason::Admin, later(1)).await.unwrap());
    assert!(unit.sessions().revoke(&ada, &s1, RevocationReason::Admin, later(1)).await.unwrap());
    assert!(!unit.sessions().revoke(&ada, &s1, RevocationReason::Admin, later(2)).await.unwrap());
    assert_eq!(home.value("SELECT count(*) FROM sessions WHERE revoked_at IS NULL").await, "1");
    unit.commit().await.unwrap();
    assert_eq!(home.value("SELECT revoked_reason FROM sessions").await, "admin");
}

#[tokio::test]
async fn a_device_is_new_if_there_were_others_and_none_like_it() {
    let (home, sessions) = home().await;
    let on = |id: &str, agent: Option<&str>| Session {
        client: ClientInfo { ip_address: None, user_agent: agent.map(str::to_owned) },
        ..session(id, "ada")
    };
    let phone = on("s9", Some("Phone 2_1.0 (ü)"));
    let is_new = async |session: &Session| {
        let mut unit = store(home.pool()).begin().await.unwrap();
        let within = unit.sessions().is_new_device(session).await.unwrap();
        assert_eq!(sessions.is_new_device(session).await.unwrap(), within);
        within
    };
    assert!(!is_new(&phone).await, "there is no session yet");
    home.add_session(&session("s1", "bob")).await;
    assert!(!is_new(&phone).await, "Bob's are not hers");
    home.add_session(&on("s2", Some("Laptop 1"))).await;
    assert!(is_new(&phone).await && is_new(&on("s9", None)).await);
    home.add_session(&on("s3", Some("Phone 1_9 (ü)"))).await;
    home.add_session(&on("s4", None)).await;
    assert!(!is_new(&phone).await && !is_new(&on("s9", None)).await);
    home.run("UPDATE sessions SET revoked_at = now(), revoked_reason = 'user'").await;
    assert!(!is_new(&phone).await, "ended ones were seen too");
}

#[tokio::test]
async fn a_session_begins_within_a_unit_of_work_as_it_does_alone() {
    let (home, _) = home().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    assert!(!unit.sessions().begin(&session("s1", "ada"), &hash('x')).await.unwrap());
    assert!(unit.sessions().begin(&session("s1", "ada"), &hash('a')).await.unwrap());
    unit.commit().await.unwrap();
    assert_eq!(home.value("SELECT count(*) FROM sessions").await, "1");
}
