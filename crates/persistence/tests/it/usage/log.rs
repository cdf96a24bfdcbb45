//! The log: what becomes of events, together and at once.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bigdecimal::BigDecimal;
use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use subtle_domain::money::Cost;
use subtle_domain::ports::{NotRecorded, StoreError, UsageLog};
use subtle_domain::throttle::RetryAfter;
use subtle_domain::usage::{Recorded, Usage, UsageEvent};
use subtle_persistence::{Database, PgUsageLog, PoolOptions};

use super::{ROWS, accepted, event, usage, usage_id};
use crate::support::{Home, later};

/// Sums of rows and of the rollup, which must be the same: events, requests, tokens, cost.
const SUMMED: &str = "SELECT concat_ws(' ', count(*), sum(request_count), sum(total_tokens), sum(total_cost))
    FROM user_usage_metrics";
const ROLLED_UP: &str =
    "SELECT concat_ws(' ', sum(events), sum(request_count), sum(total_tokens), sum(total_cost))
    FROM usage_daily";

async fn assert_sums(home: &Home, wanted: &str) {
    assert_eq!(home.value(SUMMED).await, wanted);
    assert_eq!(home.value(ROLLED_UP).await, wanted);
}

/// Hands each batch over by a caller of its own, all at once.
async fn told(home: &Home, batches: Vec<Vec<UsageEvent>>) -> Vec<Result<Vec<Recorded>, NotRecorded>> {
    let (log, writers) = PgUsageLog::start(home.pool(), PgUsageLog::WRITERS);
    let told = join_all(batches.into_iter().map(|batch| log.record(batch))).await;
    writers.close().await;
    told
}

/// Hands one batch over.
async fn recorded(home: &Home, events: Vec<UsageEvent>) -> Vec<Recorded> {
    told(home, vec![events]).await.pop().unwrap().unwrap()
}

#[tokio::test]
async fn what_waits_and_what_was_written_can_be_seen() {
    let home = Home::of_three().await;
    let (log, writers) = PgUsageLog::start(home.pool(), PgUsageLog::WRITERS);
    let mut holder = home.connection().await;
    holder.batch_execute("BEGIN; LOCK TABLE user_usage_metrics").await.unwrap();
    let batch = vec![event("e1", "ada", None), event("e2", "bob", None), event("e3", "nobody", None)];
    let mut told = std::pin::pin!(log.record(batch));
    tokio::select! {
        biased;
        _ = &mut told => unreachable!("the table is locked"),
        () = std::future::ready(()) => assert_eq!(log.waiting(), 3),
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    told.await.unwrap();
    writers.close().await;
    assert_eq!((log.waiting(), log.written().events.get(), log.written().took.count()), (0, 3, 1));
}

#[tokio::test]
async fn each_event_is_judged_on_its_own_and_in_its_place() {
    let home = Home::of_three().await;
    assert_eq!(recorded(&home, vec![event("e1", "ada", Some("k1"))]).await, [accepted("e1")]);
    let other = UsageEvent { usage: usage(2, 200, "0.00003"), ..event("e5", "ada", Some("k1")) };
    let events = vec![
        event("e2", "nobody", Some("k1")),
        event("e3", "ada", Some("k1")),
        event("e4", "eve", None),
        other,
        event("e6", "bob", Some("k1")),
        event("e7", "ada", Some("k2")),
    ];
    let wanted = [
        Recorded::UnknownUser,
        Recorded::Duplicate(usage_id("e1")),
        Recorded::UnknownUser,
        Recorded::Conflict(usage_id("e1")),
        accepted("e6"),
        accepted("e7"),
    ];
    assert_eq!(recorded(&home, events).await, wanted);
    assert_sums(&home, "3 3 600 0.0000900000").await;
}

#[tokio::test]
async fn of_events_under_one_key_in_one_batch_the_first_counts() {
    let home = Home::of_three().await;
    let other = UsageEvent { at: later(1), ..event("e3", "ada", Some("k")) };
    let events = vec![event("e1", "ada", Some("k")), event("e2", "ada", Some("k")), other];
    let first = usage_id("e1");
    let wanted = [accepted("e1"), Recorded::Duplicate(first.clone()), Recorded::Conflict(first)];
    assert_eq!(recorded(&home, events).await, wanted);
    assert_sums(&home, "1 1 200 0.0000300000").await;
}

#[tokio::test]
async fn who_leaves_the_time_out_means_the_same_event_later() {
    let home = Home::of_three().await;
    let untimed = |id, at| UsageEvent { at, at_given: false, ..event(id, "ada", Some("k")) };
    recorded(&home, vec![untimed("e1", later(0))]).await;
    let again = recorded(&home, vec![untimed("e2", later(90_000)), event("e3", "ada", Some("k"))]).await;
    assert_eq!(again, [Recorded::Duplicate(usage_id("e1")), Recorded::Conflict(usage_id("e1"))]);
}

#[tokio::test]
async fn events_without_a_key_all_count() {
    let home = Home::of_three().await;
    let events = vec![event("e1", "ada", None), event("e2", "ada", None)];
    assert_eq!(recorded(&home, events).await, [accepted("e1"), accepted("e2")]);
    assert_sums(&home, "2 2 400 0.0000600000").await;
}

#[tokio::test]
async fn nothing_is_written_for_no_events() {
    let home = Home::of_three().await;
    assert_eq!(recorded(&home, Vec::new()).await, []);
    assert_eq!(home.value(ROWS).await, "0");
}

/// Sixteen callers hand over the events `0..60` from different places, forwards and backwards, each under the same keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_with_the_same_keys_in_any_order_neither_deadlock_nor_count_twice() {
    let home = Home::of_three().await;
    let spent = |n: usize| usage(1, i64::try_from(n).unwrap(), &format!("0.{n:05}"));
    let shuffled = |caller: usize| -> Vec<_> {
        let numbers = (0..60).map(|n| (n * 7 + caller * 11) % 60);
        let numbers: Vec<_> =
            if caller.is_multiple_of(2) { numbers.collect() } else { numbers.rev().collect() };
        numbers
            .into_iter()
            .map(|n| UsageEvent {
                usage: spent(n),
                ..event(
                    &format!("c{caller}-{n}"),
                    if n.is_multiple_of(2) { "ada" } else { "bob" },
                    Some(&format!("k{n}")),
                )
            })
            .collect()
    };
    // Logs of their own are servers of their own: nothing but the database keeps them apart.
    let servers: Vec<_> = (0..4)
        .map(|_| PgUsageLog::start(home.pool_with("connection_limit=2"), PgUsageLog::WRITERS))
        .collect();
    let calls = (0..16).map(|caller| {
        let log = servers.get(caller % 4).map(|(log, _)| log).unwrap();
        log.record(shuffled(caller))
    });
    let outcomes = join_all(calls).await;
    let all: Vec<_> = outcomes.into_iter().flat_map(Result::unwrap).collect();
    let new: HashSet<_> =
        all.iter().filter_map(|one| if let Recorded::Accepted(id) = one { Some(id) } else { None }).collect();
    let repeated = all.iter().filter(|one| matches!(one, Recorded::Duplicate(_))).count();
    assert_eq!((all.len(), new.len(), repeated), (960, 60, 900));
    let cost: BigDecimal = (0..60).map(|n| spent(n).cost.value().clone()).sum();
    assert_eq!(cost, "0.0177".parse::<BigDecimal>().unwrap());
    assert_sums(&home, "60 60 1770 0.0177000000").await;
    for (log, writers) in servers {
        writers.close().await;
        drop(log);
    }
    // A backend tells of its deadlocks, which the log would have got over, when it ends.
    let left = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'subtle'";
    home.await_value(left, 0).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(home.value(deadlocks).await, "0");
}

#[tokio::test]
async fn a_full_log_says_so_at_once_and_has_room_again_later() {
    let home = Home::of_three().await;
    let (log, writers) = PgUsageLog::start(home.pool(), PgUsageLog::WRITERS);
    let log = Arc::new(log);
    let mut blocker = home.connection().await;
    blocker.batch_execute("BEGIN; LOCK TABLE user_usage_metrics IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let batch =
        |many: usize, name: &str| (0..many).map(|n| event(&format!("{name}{n}"), "ada", None)).collect();
    let waiting = tokio::spawn({
        let (log, events) = (Arc::clone(&log), batch(19_999, "a"));
        async move { log.record(events).await }
    });
    home.await_waiting(1).await;
    let refused = log.record(batch(2, "b")).await;
    let second = RetryAfter(Duration::from_secs(1));
    assert!(matches!(refused, Err(NotRecorded::Busy(wait)) if wait == second), "{refused:?}");
    blocker.batch_execute("COMMIT").await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().len(), 19_999);
    assert_eq!(log.record(batch(2, "b")).await.unwrap(), [accepted("b0"), accepted("b1")]);
    assert_eq!(home.value(ROWS).await, "20001");
    writers.close().await;
}

#[tokio::test]
async fn closing_answers_those_who_wait_and_refuses_those_who_come() {
    let home = Home::of_three().await;
    let (log, writers) = PgUsageLog::start(home.pool(), PgUsageLog::WRITERS);
    let calls = (0..50).map(|n| log.record(vec![event(&format!("e{n}"), "ada", None)]));
    // Joined in order: all have handed theirs over before the writers are told to end.
    let (told, ()) = tokio::join!(join_all(calls), writers.close());
    assert!(told.iter().all(|one| matches!(one.as_deref(), Ok([Recorded::Accepted(_)]))), "{told:?}");
    assert_eq!(home.value(ROWS).await, "50");
    let late = log.record(vec![event("late", "ada", None)]).await;
    assert!(matches!(late, Err(NotRecorded::Store(StoreError::Unavailable(_)))), "{late:?}");
    assert_eq!(home.value(ROWS).await, "50");
}

#[tokio::test]
async fn an_event_that_the_database_refuses_costs_only_its_caller() {
    let home = Home::of_three().await;
    let too_much = Cost::from_stored("10000000000".parse().unwrap());
    let bad = UsageEvent { usage: Usage { cost: too_much, ..usage(1, 1, "0") }, ..event("bad", "ada", None) };
    let batches = vec![
        vec![event("e1", "ada", Some("k1"))],
        vec![bad],
        vec![event("e2", "bob", None), event("e3", "ada", Some("k1"))],
    ];
    let mut told = told(&home, batches).await.into_iter();
    assert_eq!(told.next().unwrap().unwrap(), [accepted("e1")]);
    let refused = told.next().unwrap();
    assert!(matches!(refused, Err(NotRecorded::Store(StoreError::Conflict(_)))), "{refused:?}");
    assert_eq!(told.next().unwrap().unwrap(), [accepted("e2"), Recorded::Duplicate(usage_id("e1"))]);
    assert_sums(&home, "2 2 400 0.0000600000").await;
}

/// The deletion is not committed when the statement looks for the account, and is when its foreign key is checked.
#[tokio::test]
async fn an_account_that_is_deleted_meanwhile_costs_only_its_own_caller() {
    let home = Home::of_three().await;
    let mut eraser = home.connection().await;
    eraser.batch_execute("BEGIN; DELETE FROM users WHERE id = 'bob'").await.unwrap();
    let (log, writers) = PgUsageLog::start(home.pool(), PgUsageLog::WRITERS);
    let callers = async {
        tokio::join!(
            log.record(vec![event("e1", "ada", None)]),
            log.record(vec![event("e2", "bob", None)]),
            log.record(vec![event("e3", "ada", None)]),
        )
    };
    let deletion = async {
        home.await_waiting(1).await;
        eraser.batch_execute("COMMIT").await.unwrap();
    };
    let ((one, two, three), ()) = tokio::join!(callers, deletion);
    assert_eq!((one.unwrap(), three.unwrap()), (vec![accepted("e1")], vec![accepted("e3")]));
    assert_eq!(two.unwrap(), [Recorded::UnknownUser]);
    assert_sums(&home, "2 2 400 0.0000600000").await;
    writers.close().await;
}

#[tokio::test]
async fn a_lost_connection_costs_no_event_and_counts_none_twice() {
    let home = Home::of_three().await;
    let (log, writers) = PgUsageLog::start(home.pool(), PgUsageLog::WRITERS);
    let mut blocker = home.connection().await;
    blocker.batch_execute("BEGIN; LOCK TABLE user_usage_metrics IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let killed = async {
        home.await_waiting(1).await;
        home.kill_all().await;
        home.await_waiting(1).await;
        blocker.batch_execute("COMMIT").await.unwrap();
    };
    let events = vec![event("e1", "ada", Some("k1")), event("e2", "ada", None)];
    let (told, ()) = tokio::join!(log.record(events), killed);
    assert_eq!(told.unwrap(), [accepted("e1"), accepted("e2")]);
    assert_sums(&home, "2 2 400 0.0000600000").await;
    writers.close().await;
}

/// As after a commit whose answer was lost.
#[tokio::test]
async fn a_statement_that_is_sent_twice_tells_the_same_and_counts_once() {
    let home = Home::of_three().await;
    let events = || vec![event("e1", "ada", Some("k1")), event("e2", "ada", None), event("e3", "bob", None)];
    let wanted = [accepted("e1"), accepted("e2"), accepted("e3")];
    assert_eq!(recorded(&home, events()).await, wanted);
    assert_eq!(recorded(&home, events()).await, wanted);
    assert_sums(&home, "3 3 600 0.0000900000").await;
}

#[tokio::test]
async fn an_identifier_that_is_taken_without_a_key_is_an_error_and_counts_nothing() {
    let home = Home::of_three().await;
    recorded(&home, vec![event("e1", "ada", None)]).await;
    let other = UsageEvent { usage: usage(9, 9, "9"), ..event("e1", "ada", None) };
    let refused = told(&home, vec![vec![other]]).await.pop().unwrap();
    assert!(matches!(refused, Err(NotRecorded::Store(StoreError::Conflict(_)))), "{refused:?}");
    assert_sums(&home, "1 1 200 0.0000300000").await;
}

/// Nothing listens there.
#[tokio::test]
async fn a_database_that_is_away_is_told_to_each_caller() {
    let options = PoolOptions::from_url("postgres://nobody@/nothing?host=%2Fnonexistent").unwrap();
    let (log, writers) = PgUsageLog::start(Database::new(options).unwrap(), PgUsageLog::WRITERS);
    let calls = ["e1", "e2", "e3"].map(|id| log.record(vec![event(id, "ada", None)]));
    for told in join_all(calls).await {
        assert!(matches!(told, Err(NotRecorded::Store(StoreError::Unavailable(_)))), "{told:?}");
    }
    writers.close().await;
}

/// Else whoever comes while the database is mute waits twice as long as those before.
#[tokio::test]
async fn who_waits_behind_a_statement_that_fails_is_told_with_it() {
    let home = Home::of_three().await;
    let mut blocker = home.connection().await;
    blocker.batch_execute("BEGIN; LOCK TABLE user_usage_metrics IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (log, writers) = PgUsageLog::start(home.pool(), NonZeroUsize::MIN);
    let first = async {
        let told = log.record(vec![event("e1", "ada", None)]).await;
        blocker.batch_execute("COMMIT").await.unwrap();
        told
    };
    let second = async {
        home.await_waiting(1).await;
        log.record(vec![event("e2", "ada", None)]).await
    };
    for told in <[_; 2]>::from(tokio::join!(first, second)) {
        assert!(matches!(told, Err(NotRecorded::Store(StoreError::Unavailable(_)))), "{told:?}");
    }
    assert_eq!(log.record(vec![event("e3", "ada", None)]).await.unwrap(), [accepted("e3")]);
    assert_sums(&home, "1 1 200 0.0000300000").await;
    writers.close().await;
}

#[tokio::test]
async fn a_day_ends_at_midnight_utc_and_usage_without_a_feature_has_a_row_of_its_own() {
    let home = Home::of_three().await;
    assert_eq!(home.value("SHOW timezone").await, "Asia/Tokyo");
    let on = |id: &str, time: &str| UsageEvent { at: super::at(time), ..event(id, "ada", None) };
    let events = vec![
        on("e1", "2026-11-25T23:59:59.999Z"),
        on("e2", "2026-11-26T00:00:00Z"),
        UsageEvent { feature: None, ..on("e3", "2026-11-26T15:00:00Z") },
        on("e4", "2026-11-26T23:00:00Z"),
    ];
    recorded(&home, events).await;
    let rows =
        home.first_column("SELECT concat_ws('/', day, feature_type, events) FROM usage_daily ORDER BY 1");
    assert_eq!(rows.await, ["2026-11-25/chat/1", "2026-11-26//1", "2026-11-26/chat/2"]);
    let features = "SELECT coalesce(feature_type, 'NULL') FROM user_usage_metrics WHERE id = 'e3'";
    assert_eq!(home.value(features).await, "NULL");
}

#[tokio::test]
async fn sums_go_beyond_what_a_row_holds() {
    let home = Home::of_three().await;
    let most = usage(2_147_483_647, 2_147_483_647, "9999999999.9999999999");
    let events = (0..3).map(|n| UsageEvent { usage: most.clone(), ..event(&format!("e{n}"), "ada", None) });
    recorded(&home, events.clone().take(2).collect()).await;
    recorded(&home, events.skip(2).collect()).await;
    assert_sums(&home, "3 6442450941 6442450941 29999999999.9999999997").await;
}

#[tokio::test]
async fn each_users_sums_are_their_own() {
    let home = Home::of_three().await;
    let events = ["ada", "bob", "ada", "bob", "ada"].iter().enumerate();
    recorded(&home, events.map(|(n, user)| event(&format!("e{n}"), user, None)).collect()).await;
    let rows = home.first_column("SELECT user_id || ' ' || events FROM usage_daily ORDER BY 1").await;
    assert_eq!(rows, ["ada 3", "bob 2"]);
    let counted: BTreeMap<_, _> = rows.iter().filter_map(|row| row.split_once(' ')).collect();
    assert_eq!(counted.len(), 2);
}
