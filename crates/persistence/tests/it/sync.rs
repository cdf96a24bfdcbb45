//! Sync logs: places, order, and who is told.

use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::FutureExt;
use futures_util::future::join_all;
use subtle_domain::ids::SyncEventId;
use subtle_domain::ports::{Clock, Store, StoreError, SyncEvents, SyncSignals};
use subtle_domain::sync::{EventName, Place, PlacedEvent, SyncEvent};
use subtle_domain::text::ErrorMessage;
use subtle_persistence::{Database, PgSyncEvents, RevocationFeed, RevocationList};

use crate::support::{Home, later, session, session_id, start, store, user_id};

pub(crate) fn event(id: &str, user: &str) -> SyncEvent {
    SyncEvent {
        id: SyncEventId::parse(id).unwrap(),
        user_id: user_id(user),
        event_type: EventName::parse_type("settings.changed").unwrap(),
        source: EventName::parse_source("mac_app").unwrap(),
        data: Some(r#"{"n": 12345678901234567890.10, "theme": "dark"}"#.to_owned()),
        success: false,
        error: Some(ErrorMessage::parse("timeout,\nthen nothing").unwrap()),
        client: session("s1", user).client,
        at: later(7),
    }
}

async fn append(pool: &Database, id: &str, user: &str) -> PlacedEvent {
    let mut unit = store(pool.clone()).begin().await.unwrap();
    let placed = unit.sync().append(&event(id, user)).await.unwrap();
    unit.commit().await.unwrap();
    placed
}

/// The events of a user behind a place, as `place id`.
async fn listed(pool: &Database, user: &str, place: i64) -> Vec<String> {
    let events = PgSyncEvents::new(pool.clone());
    let events = events.after(&user_id(user), Place::new(place), 1_000).await.unwrap();
    events.iter().map(|placed| format!("{} {}", placed.place, placed.event.id)).collect()
}

#[tokio::test]
async fn each_person_has_places_of_their_own_and_events_are_read_as_they_were_written() {
    let home = Home::of_three().await;
    let pool = home.pool();
    let bare = SyncEvent { data: None, error: None, success: true, ..event("e3", "ada") };
    let first = append(&pool, "e1", "ada").await;
    assert_eq!(first, PlacedEvent { place: Place::new(1), event: event("e1", "ada") });
    assert_eq!(append(&pool, "e2", "bob").await.place, Place::new(1));
    let mut unit = store(home.pool()).begin().await.unwrap();
    let third = unit.sync().append(&bare).await.unwrap();
    assert_eq!(unit.sync().find(&user_id("ada"), &bare.id).await.unwrap(), Some(third.clone()));
    assert_eq!(unit.sync().find(&user_id("bob"), &bare.id).await.unwrap(), None);
    unit.commit().await.unwrap();
    assert_eq!(third, PlacedEvent { place: Place::new(2), event: bare });
    let events = PgSyncEvents::new(pool.clone());
    let read = async |place, limit| events.after(&user_id("ada"), Place::new(place), limit).await.unwrap();
    assert_eq!(read(0, 9).await, [first.clone(), third.clone()]);
    assert_eq!(read(0, 1).await, [first]);
    assert_eq!(read(1, 9).await, [third]);
    let last = async |user| events.last(&user_id(user)).await.unwrap().number();
    assert_eq!((last("ada").await, last("bob").await, last("eve").await), (2, 1, 0));
}

#[tokio::test]
async fn who_is_slow_to_commit_is_waited_for_so_that_nothing_appears_behind_what_was_read() {
    let home = Home::of_three().await;
    let (pool, slow_pool) = (home.pool(), home.pool());
    append(&pool, "first", "ada").await;
    let mut slow = store(slow_pool).begin().await.unwrap();
    let slow_place = slow.sync().append(&event("slow", "ada")).await.unwrap().place;
    let quick = append(&pool, "quick", "ada");
    let slow = async {
        home.await_waiting(1).await;
        assert_eq!(
            listed(&pool, "ada", 0).await,
            ["1 first"],
            "nothing that a later commit could come before"
        );
        append(&pool, "bobs", "bob").await;
        slow.commit().await.unwrap();
    };
    let (quick, ()) = tokio::join!(quick, slow);
    assert_eq!((slow_place, quick.place), (Place::new(2), Place::new(3)));
    assert_eq!(listed(&pool, "ada", 0).await, ["1 first", "2 slow", "3 quick"]);
}

#[tokio::test]
async fn what_is_undone_leaves_no_gap() {
    let home = Home::of_three().await;
    let pool = home.pool();
    for undone in ["u1", "u2"] {
        let mut unit = store(home.pool()).begin().await.unwrap();
        unit.sync().append(&event(undone, "ada")).await.unwrap();
        unit.rollback().await.unwrap();
    }
    append(&pool, "e1", "ada").await;
    drop(store(home.pool()).begin().await.unwrap());
    append(&pool, "e2", "ada").await;
    assert_eq!(listed(&pool, "ada", 0).await, ["1 e1", "2 e2"]);
}

#[tokio::test]
async fn of_many_who_write_at_once_whoever_reads_on_misses_none_and_sees_none_twice() {
    let home = Home::of_three().await;
    let (pool, reading) = (home.pool(), home.pool());
    let names: Vec<String> = (0..60).map(|number| format!("e{number}")).collect();
    let writes = join_all(names.iter().map(|name| append(&pool, name, "ada")));
    let follow = async {
        let events = PgSyncEvents::new(reading);
        let (mut place, mut seen) = (Place::START, Vec::new());
        while seen.len() < 60 {
            let next = events.after(&user_id("ada"), place, 7).await.unwrap();
            place = next.last().map_or(place, |last| last.place);
            seen.extend(next);
        }
        seen
    };
    let (written, seen) = tokio::join!(writes, follow);
    let places: Vec<_> = seen.iter().map(|event| event.place.number()).collect();
    assert_eq!(places, (1..=60).collect::<Vec<_>>());
    assert!(written.iter().all(|event| seen.contains(event)));
}

#[tokio::test]
async fn rows_of_other_programs_have_no_place() {
    let home = Home::of_three().await;
    let pool = home.pool();
    home.run("INSERT INTO sync_logs (user_id, event_type, event_source) VALUES ('ada', 'x', 'y'), ('ada', 'x', 'y')")
        .await;
    append(&pool, "e1", "ada").await;
    assert_eq!(listed(&pool, "ada", 0).await, ["1 e1"]);
    assert_eq!(home.value("SELECT count(*) FROM sync_logs").await, "3");
}

#[tokio::test]
async fn nobody_has_a_log_who_is_not_there() {
    let home = Home::of_three().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    assert!(matches!(unit.sync().append(&event("e1", "nobody")).await, Err(StoreError::Conflict(_))));
}

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> subtle_domain::Timestamp {
        start()
    }
}

async fn feed(home: &Home) -> (Arc<RevocationList>, RevocationFeed) {
    let list = Arc::new(RevocationList::new(TimeDelta::minutes(15)));
    let feed = RevocationFeed::start(home.pool(), Arc::clone(&list), Arc::new(Still));
    assert!(feed.status().ready().await);
    (list, feed)
}

#[tokio::test]
async fn those_who_follow_on_another_replica_are_woken_by_the_commit() {
    let home = Home::of_three().await;
    let (list, _feed) = feed(&home).await;
    let follow = |user: &str| list.signals().listen(&user_id(user), &session_id("s1"));
    let (mut ada, mut bob) = (follow("ada"), follow("bob"));
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.sync().append(&event("e1", "ada")).await.unwrap();
    assert!(ada.heard().now_or_never().is_none(), "not before");
    unit.commit().await.unwrap();
    ada.heard().await;
    assert!(bob.heard().now_or_never().is_none());
}

#[tokio::test]
async fn those_who_follow_look_again_when_a_lost_connection_is_back() {
    let home = Home::of_three().await;
    let (list, _feed) = feed(&home).await;
    let mut ada = list.signals().listen(&user_id("ada"), &session_id("s1"));
    home.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'subtle revocations'",
    )
    .await;
    ada.heard().await;
}

#[tokio::test]
async fn what_other_programs_wrote_is_told_apart() {
    let home = Home::of_three().await;
    let pool = home.pool();
    append(&pool, "e1", "ada").await;
    home.run(
        "INSERT INTO sync_logs (id, user_id, event_type, event_source, data) VALUES
            ('p2', 'ada', 'sync', 'prisma', '{\"n\": 1}'), ('p1', 'ada', 'sync', 'prisma', NULL), ('p3', 'bob', 'x', 'x', NULL)",
    )
    .await;
    let events = PgSyncEvents::new(pool);
    let ids = async |after: Option<&str>, limit| {
        let found = events.unplaced(&user_id("ada"), after.map(str::to_owned), limit).await.unwrap();
        found.into_iter().map(|event| event.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 10).await, ["p1", "p2"]);
    assert_eq!(ids(None, 1).await, ["p1"]);
    assert_eq!(ids(Some("p1"), 10).await, ["p2"]);
}
