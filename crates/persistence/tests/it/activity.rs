//! The activity timeline: written behind the requests' backs, and what becomes of entries that can't be written.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text, Timestamptz};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use subtle_domain::Timestamp;
use subtle_domain::activity::{ActivityAction, ActivityEntry};
use subtle_domain::ids::ActivityId;
use subtle_domain::ports::ActivityLog;
use subtle_persistence::{Database, PgActivityLog, PoolOptions};

use crate::support::{Home, start, user_id};

fn entry(id: &str, user: &str) -> ActivityEntry {
    ActivityEntry {
        id: ActivityId::parse(id).unwrap(),
        user_id: user_id(user),
        action: ActivityAction::SignIn,
        details: Vec::new(),
        at: start(),
    }
}

fn entry_about(id: &str, user: &str, detail: &str) -> ActivityEntry {
    ActivityEntry { details: vec![("detail", detail.to_owned())], ..entry(id, user) }
}

#[derive(QueryableByName, Debug, PartialEq, Eq)]
struct Row {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    user_id: String,
    #[diesel(sql_type = Text)]
    action: String,
    #[diesel(sql_type = Nullable<Text>)]
    data: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    created_at: Timestamp,
}

const IDS: &str = "SELECT string_agg(id, ' ' ORDER BY id) FROM user_activity";
const COUNT: &str = "SELECT count(*) FROM user_activity";

async fn rows(home: &Home) -> Vec<Row> {
    diesel::sql_query("SELECT id, user_id, action, data::text, created_at FROM user_activity ORDER BY id")
        .load(&mut home.connection().await)
        .await
        .unwrap()
}

/// Hands entries over and waits until they are written; tells how many were lost.
async fn written(home: &Home, entries: Vec<ActivityEntry>) -> u64 {
    let (log, writer) = PgActivityLog::start(home.pool());
    for entry in entries {
        log.record(entry);
    }
    writer.close().await;
    log.lost()
}

#[tokio::test]
async fn an_entry_is_written_with_its_details_as_a_json_object() {
    let home = Home::of_three().await;
    let mut told = entry_about("a1", "ada", "\"quoted\"\\ 🦀");
    told.details.push(("ipAddress", "::1".into()));
    told.action = ActivityAction::SignInRefused;
    assert_eq!(written(&home, vec![told, entry("a2", "bob")]).await, 0);
    let data = r#"{"detail": "\"quoted\"\\ 🦀", "ipAddress": "::1"}"#;
    let row = |id: &str, user: &str, action: &str, data: Option<&str>| Row {
        id: id.into(),
        user_id: user.into(),
        action: action.into(),
        data: data.map(Into::into),
        created_at: start(),
    };
    let expected = [row("a1", "ada", "sign_in_refused", Some(data)), row("a2", "bob", "sign_in", None)];
    assert_eq!(rows(&home).await, expected);
}

#[tokio::test]
async fn entries_arrive_without_the_log_being_closed() {
    let home = Home::of_three().await;
    let (log, _writer) = PgActivityLog::start(home.pool());
    log.record(entry("a1", "ada"));
    home.await_value(IDS, "a1").await;
}

#[tokio::test]
async fn entries_of_unknown_and_erased_accounts_are_left_out() {
    let home = Home::of_three().await;
    let entries = vec![entry("a1", "ada"), entry("a2", "nobody"), entry("a3", "eve"), entry("a4", "bob")];
    assert_eq!(written(&home, entries).await, 0);
    assert_eq!(home.value(IDS).await, "a1 a4");
}

#[tokio::test]
async fn an_entry_that_the_database_refuses_does_not_spoil_its_neighbours() {
    let home = Home::of_three().await;
    let entries = vec![entry("a1", "ada"), entry_about("a2", "ada", "\0"), entry_about("a3", "ada", "fine")];
    assert_eq!(written(&home, entries).await, 1);
    assert_eq!(home.value(IDS).await, "a1 a3");
}

#[tokio::test]
async fn an_entry_that_is_there_already_is_left_alone() {
    let home = Home::of_three().await;
    assert_eq!(written(&home, vec![entry("a1", "ada")]).await, 0);
    let again = vec![entry_about("a1", "ada", "changed"), entry("a2", "ada"), entry("a2", "ada")];
    assert_eq!(written(&home, again).await, 0);
    let rows = rows(&home).await;
    assert_eq!(
        rows.iter().map(|row| (row.id.as_str(), row.data.is_some())).collect::<Vec<_>>(),
        [("a1", false), ("a2", false)]
    );
}

#[tokio::test]
async fn closing_writes_all_that_was_handed_over_however_much_it_is() {
    let home = Home::of_three().await;
    let entries = (0..1_234).map(|number| entry(&format!("a{number}"), "ada")).collect();
    assert_eq!(written(&home, entries).await, 0);
    assert_eq!(home.value(COUNT).await, "1234");
}

#[tokio::test]
async fn dropping_the_writer_writes_what_was_handed_over_too() {
    let home = Home::of_three().await;
    let (log, writer) = PgActivityLog::start(home.pool());
    log.record(entry("a1", "ada"));
    drop(writer);
    home.await_value(IDS, "a1").await;
}

// The test has the runtime's only thread, so nothing is written while it records.
#[tokio::test]
async fn what_finds_no_room_is_dropped_and_counted() {
    let home = Home::of_three().await;
    let (log, writer) = PgActivityLog::start(home.pool());
    for number in 0..10_007 {
        log.record(entry(&format!("a{number}"), "ada"));
    }
    assert_eq!(log.lost(), 7);
    writer.close().await;
    assert_eq!(home.value(COUNT).await, "10000");
}

#[tokio::test]
async fn what_comes_after_closing_is_counted_as_lost() {
    let home = Home::of_three().await;
    let (log, writer) = PgActivityLog::start(home.pool());
    writer.close().await;
    log.record(entry("a1", "ada"));
    assert_eq!(log.lost(), 1);
    assert_eq!(home.value(COUNT).await, "0");
}

#[tokio::test]
async fn entries_wait_for_a_database_that_is_busy() {
    let home = Home::of_three().await;
    let mut options = PoolOptions::from_url(home.url()).unwrap();
    options.lock = Duration::from_millis(50);
    let (log, writer) = PgActivityLog::start(Database::new(options).unwrap());
    let mut blocker = home.connection().await;
    blocker.batch_execute("BEGIN; LOCK TABLE user_activity IN ACCESS EXCLUSIVE MODE").await.unwrap();
    log.record(entry("a1", "ada"));
    let waiting = "SELECT query_start FROM pg_stat_activity WHERE datname = current_database() \
                   AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO user_activity%'";
    let mut tries = BTreeSet::new();
    let two_tries = async {
        while tries.len() < 2 {
            tries.extend(home.first_column(waiting).await);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), two_tries).await.unwrap();
    blocker.batch_execute("COMMIT").await.unwrap();
    writer.close().await;
    assert_eq!((log.lost(), home.value(IDS).await.as_str()), (0, "a1"));
}

#[tokio::test]
async fn a_connection_that_was_killed_is_replaced() {
    let home = Home::of_three().await;
    let (log, writer) = PgActivityLog::start(home.pool());
    log.record(entry("a1", "ada"));
    home.await_value(IDS, "a1").await;
    home.kill_all().await;
    log.record(entry("a2", "ada"));
    writer.close().await;
    assert_eq!((log.lost(), home.value(IDS).await.as_str()), (0, "a1 a2"));
}

#[tokio::test]
async fn an_account_that_is_erased_while_its_entry_is_written_keeps_none() {
    let home = Home::of_three().await;
    let (log, writer) = PgActivityLog::start(home.pool());
    let mut eraser = home.connection().await;
    eraser
        .batch_execute(
            "BEGIN; UPDATE users SET email = 'deleted@erased.invalid', deleted_at = now() WHERE id = 'ada'",
        )
        .await
        .unwrap();
    log.record(entry("a1", "ada"));
    home.await_waiting(1).await;
    eraser.batch_execute("DELETE FROM user_activity WHERE user_id = 'ada'; COMMIT").await.unwrap();
    writer.close().await;
    assert_eq!((log.lost(), home.value(COUNT).await.as_str()), (0, "0"));
}

/// Nothing listens there: each try fails at once, and the paused clock runs through the pauses.
#[tokio::test(start_paused = true)]
async fn a_database_that_stays_away_costs_the_entries_and_they_are_counted() {
    let options = PoolOptions::from_url("postgres://nobody@/nothing?host=%2Fnonexistent").unwrap();
    let (log, writer) = PgActivityLog::start(Database::new(options).unwrap());
    let began = tokio::time::Instant::now();
    for id in ["a1", "a2", "a3"] {
        log.record(entry(id, "ada"));
    }
    writer.close().await;
    assert_eq!(log.lost(), 3);
    assert!(began.elapsed() >= Duration::from_secs(5), "was given up after {:?}", began.elapsed());
}

mod reported {
    use subtle_domain::activity::ReportedActivity;
    use subtle_domain::ids::ActivityId;
    use subtle_domain::ports::Store;
    use subtle_domain::text::Label;

    use crate::support::{Home, start, store, user_id};

    fn told(id: &str, user: &str, data: Option<&str>) -> ReportedActivity {
        ReportedActivity {
            id: ActivityId::parse(id).unwrap(),
            user_id: user_id(user),
            action: Label::parse("export \u{1f980}").unwrap(),
            data: data.map(str::to_owned),
            at: start(),
        }
    }

    #[tokio::test]
    async fn what_is_told_of_accounts_that_are_there_is_written_with_every_digit() {
        let home = Home::of_three().await;
        let mut unit = store(home.pool()).begin().await.unwrap();
        let written = unit
            .activity()
            .report(&[
                told("r1", "bob", Some(r#"{"n": 123456789012345678901234567890.5}"#)),
                told("r2", "eve", None),
                told("r3", "nobody", None),
                told("r4", "ada", None),
                told("r5", "bob", Some("null")),
            ])
            .await
            .unwrap();
        assert_eq!(written, [true, false, false, true, true]);
        unit.commit().await.unwrap();
        let rows = "SELECT concat_ws(' ', id, user_id, action, data) FROM user_activity ORDER BY id";
        assert_eq!(
            home.first_column(rows).await,
            [
                r#"r1 bob export 🦀 {"n": 123456789012345678901234567890.5}"#,
                "r4 ada export 🦀",
                "r5 bob export 🦀 null"
            ]
        );
    }

    #[tokio::test]
    async fn an_erasure_waits_for_what_is_being_written_and_takes_it_along() {
        let home = Home::of_three().await;
        let store = store(home.pool());
        let mut unit = store.begin().await.unwrap();
        unit.activity().report(&[told("r1", "ada", None)]).await.unwrap();
        let erasing = async {
            let mut unit = store.begin().await.unwrap();
            unit.users().lock(&user_id("ada")).await.unwrap();
            unit.users()
                .erase_traces(&user_id("ada"), &crate::support::email("ada@example.com"))
                .await
                .unwrap();
            unit.commit().await.unwrap();
        };
        let writing = async {
            home.await_waiting(1).await;
            unit.commit().await.unwrap();
        };
        tokio::join!(erasing, writing);
        assert_eq!(home.value("SELECT count(*) FROM user_activity").await, "0");
    }
}
