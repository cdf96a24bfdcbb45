//! Servers that are killed at any moment, under clients who try again until they are answered: what commits together is there
//! together, and once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::future::try_join_all;
use tokio::task::{JoinHandle, block_in_place};

use crate::support::{Facts, Person, Random, TestApp, UNRECONCILED, eventually};

mod clients;

use clients::{SERVICE_KEY, Shared, Stubborn};

const KILLS: u64 = 16;

/// Tables that are written in the midst of something, and what is written last: the more often.
const WRITTEN: [&str; 4] = ["audit_logs", "idempotency_keys", "usage_daily", "audit_logs"];

const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// What is there, in the clients' words.
const FOUND: [&str; 8] = [
    "SELECT 'usage of ' || user_id, concat_ws(' ', count(*), count(DISTINCT idempotency_key),
        sum(request_count), sum(total_tokens), sum(total_cost))
    FROM user_usage_metrics GROUP BY user_id",
    "SELECT 'hold ' || user_id || '.' || id,
        CASE WHEN ended_at IS NULL THEN 'open' ELSE coalesce('settled as ' || usage_id, 'released') END
    FROM usage_reservations",
    "SELECT 'bill ' || id, concat_ws(' ', user_id, amount, status) FROM billing_history",
    // One entry for the making and one for each step, in their order.
    "SELECT 'trail of bill ' || (details->'about'->>'billingId'),
        string_agg(concat_ws(' ', action, details->'changes'->'status'->>'before',
            details->'changes'->'status'->>'after'), ', ' ORDER BY created_at, id)
    FROM audit_logs WHERE details->'about' ? 'billingId' GROUP BY details->'about'->>'billingId'",
    "SELECT 'tier of ' || id, subscription_tier FROM users WHERE subscription_tier <> 'free'
    UNION ALL SELECT 'limit of ' || user_id, amount::bigint::text FROM user_quotas",
    "SELECT 'trail of user ' || user_id, string_agg(concat_ws(' ', field, change->>'before', change->>'after'), ', '
        ORDER BY created_at, id)
    FROM audit_logs, jsonb_each(details->'changes') AS changed (field, change)
    WHERE action IN ('user.update', 'quota.update') GROUP BY user_id",
    "SELECT 'keys', count(*)::text FROM idempotency_keys",
    "SELECT 'service key', id FROM service_keys",
];

/// Service keys without their one entry, and entries without their key.
const KEYS_WITHOUT_ENTRY: &str = "
    SELECT count(*) FROM service_keys made FULL JOIN (
        SELECT details->'about'->>'serviceKeyId' AS id, count(*) AS entries
        FROM audit_logs WHERE action = 'service_key.create' GROUP BY 1
    ) told ON told.id = made.id
    WHERE made.id IS NULL OR told.entries IS DISTINCT FROM 1";

/// Clients of every kind, each with accounts of their own.
async fn clients(app: &TestApp, shared: &Arc<Shared>, seed: u64) -> Vec<JoinHandle<Facts>> {
    let grace = app.person_of_role("admin").await;
    let program = grace.program(app).await;
    let mut tasks = Vec::new();
    for number in 0..3 {
        let user = app.person().await.id;
        let client = |by: &Person, kind: u64| {
            Stubborn::new(app, by, shared, Random::of(seed.wrapping_add(kind * 10 + number)))
        };
        tasks.push(tokio::spawn(client(&program, 1).tell_usage(user.clone(), number)));
        // Administrators make bills too, with keys of their own.
        let biller = if number == 0 { &grace } else { &program };
        tasks.push(tokio::spawn(client(biller, 2).make_bills(user, number)));
        let user = app.person().await.id;
        tasks.push(tokio::spawn(client(&program, 3).hold_and_settle(user.clone(), number)));
        let admin = app.person_of_role("admin").await;
        tasks.push(tokio::spawn(client(&admin, 4).change_users(user)));
    }
    tasks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_random_kills_all_that_was_tried_again_is_there_once_with_its_audit_entries() {
    let seed = Random::seed();
    let mut random = Random::of(seed);
    let mut app = TestApp::builder().servers(2).start().await;
    let shared = Arc::new(Shared::new(vec![app.url_of(0, ""), app.url_of(1, "")]));
    let clients = clients(&app, &shared, seed).await;
    let (begun, mut running) = (Instant::now(), vec![0, 1]);
    for _ in 0..KILLS {
        let wanted = shared.answered.load(Ordering::SeqCst) + 50 + random.below(150);
        eventually("clients are answered", async || shared.answered.load(Ordering::SeqCst) >= wanted).await;
        // Half of them hit whoever is just about to write there.
        let holder = app.connect().await;
        if random.once_in(2) {
            let table = random.pick(&WRITTEN);
            holder.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN SHARE MODE")).await.unwrap();
            eventually("some wait", async || app.value(WAITING).await.parse::<u8>().unwrap() >= 3).await;
        }
        let place = random.place(running.len());
        // Whoever begins something now begins it at the other one: this one's port may soon be another test's.
        shared.servers.lock().unwrap().remove(place);
        block_in_place(|| app.server_mut(running.remove(place)).kill());
        drop(holder);
        let next = block_in_place(|| app.add_server());
        running.push(next);
        shared.servers.lock().unwrap().push(app.url_of(next, ""));
    }
    shared.stopping.store(true, Ordering::SeqCst);
    let mut told = Facts::new();
    for facts in try_join_all(clients).await.unwrap() {
        told.extend(facts);
    }
    println!("{KILLS} kills in {:?}: {shared}", begun.elapsed());
    let keyed =
        told.iter().filter(|(what, _)| what.starts_with("bill ") || what.starts_with("hold ")).count();
    told.insert(("keys".to_owned(), keyed.to_string()));
    let found = app.facts(&FOUND).await;
    println!("{} facts, {} audit entries", told.len(), app.value("SELECT count(*) FROM audit_logs").await);
    let only = |one: &Facts, other: &Facts| one.difference(other).cloned().collect::<Facts>();
    assert_eq!(only(&told, &found), Facts::new(), "lost");
    let verdict = app.run(&["audit", "verify"]).await;
    println!("{}", String::from_utf8_lossy(&verdict.stdout).trim_end());
    assert!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stderr));
    let (untold, too_much): (Facts, Facts) =
        only(&found, &told).into_iter().partition(|(what, _)| what == SERVICE_KEY);
    assert_eq!(too_much, Facts::new(), "too much");
    let unanswered = shared.unanswered.load(Ordering::SeqCst);
    // And the one that the clients come with.
    assert!(untold.len() as u64 <= unanswered + 1, "{untold:?}");
    assert_eq!(app.value(UNRECONCILED).await, "0");
    assert_eq!(app.value(KEYS_WITHOUT_ENTRY).await, "0");
    assert!(unanswered > 0, "no kill hit anything");
}
