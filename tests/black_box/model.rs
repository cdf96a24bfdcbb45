//! Operations at random, held against a model in memory: every answer is the one that the model foresees, and the ledger and the
//! sums of usage always agree with their rows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Facts, Person, Random, TestApp, UNRECONCILED};

mod account;
mod worker;

use account::{Closing, amount};
use worker::Worker;

const OPERATIONS: u64 = 10_000;
/// After each of which everything is compared.
const ROUND: u64 = 1_000;
const WORKERS: usize = 4;
const MONTHS: [&str; 3] = ["2020-01", "2020-02", "2020-03"];
/// Without which so many operations have not been about what they should.
const TO_BE_MET: [&str; 10] = [
    "accepted",
    "duplicate",
    "conflict",
    "rejected",
    "402 quota-exceeded",
    "404 not-found",
    "409 forbidden-transition",
    "409 reservation-over",
    "422 idempotency-key-reused",
    "422 invalid-request",
];

/// What is in the tables, in the model's words.
const FOUND: [&str; 7] = [
    "SELECT concat_ws(' ', 'usage of', user_id, CASE WHEN day < '2021-01-01' THEN day::text ELSE 'now' END, feature_type),
        concat_ws(' ', sum(events), sum(request_count), sum(total_tokens), sum(total_cost))
    FROM usage_daily GROUP BY 1",
    "SELECT 'hold ' || user_id || '.' || id,
        CASE WHEN ended_at IS NULL THEN 'open' ELSE coalesce('settled as ' || usage_id, 'released') END
    FROM usage_reservations",
    "SELECT 'bill ' || id, concat_ws(' ', user_id, amount, currency, status) FROM billing_history",
    "SELECT 'closed ' || user_id, concat_ws(' ', to_char(month, 'YYYY-MM'), total_cost) FROM billing_closings",
    "SELECT 'keys of ' || users.id, count(idempotency_key)::text
    FROM users LEFT JOIN user_usage_metrics ON user_id = users.id
    WHERE role = 'user' GROUP BY users.id",
    "SELECT 'audited ' || action, count(*)::text FROM audit_logs GROUP BY action",
    "SELECT 'kept', count(*)::text FROM idempotency_keys",
];

/// Closes a month, and foresees what that comes to. Gives the number of bills.
async fn close(app: &TestApp, workers: &mut [Worker<'_>], admin: &Person, month: &str) -> u64 {
    let (mut users, mut records, mut cents, mut too_much) = (0, 0, 0, BTreeSet::new());
    for account in workers.iter_mut().flat_map(|worker| &mut worker.accounts) {
        match account.close(month) {
            Closing::Nothing => {}
            Closing::TooMuch => drop(too_much.insert(account.id.clone())),
            Closing::Closed(bill) => {
                users += 1;
                records += u64::from(bill > 0);
                cents += bill;
            }
        }
    }
    let body = json!({"month": month});
    let mut answer = admin.send_json(app, "POST", "/v1/admin/billing/close", &body).await.expect(200).body;
    let told = answer["tooMuch"].take();
    let told = told.as_array().unwrap().iter().map(|user| user.as_str().unwrap().to_owned());
    assert_eq!(told.collect::<BTreeSet<_>>(), too_much);
    let expected =
        json!({"month": month, "users": users, "records": records, "amount": amount(cents), "tooMuch": null});
    assert_eq!(answer, expected);
    // The bills are the ledger's like all others from here on; their identifiers only the service knows.
    let made = format!(
        "SELECT user_id, billing_id FROM billing_closings WHERE month = '{month}-01' AND billing_id IS NOT NULL"
    );
    let made = app.facts(&[&made]).await;
    for account in workers.iter_mut().flat_map(|worker| &mut worker.accounts) {
        account.adopt_bill(month, &made);
    }
    println!("{month} closed: {users} accounts, {records} bills, {} cost too much", too_much.len());
    records
}

/// Compares all there is.
async fn compare(app: &TestApp, workers: &mut [Worker<'_>], support: &Person, closes: u64) -> usize {
    let mut expected = Facts::new();
    let (mut kept, mut audited) = (0, worker::Audited::default());
    for worker in workers.iter_mut() {
        for place in 0..worker.accounts.len() {
            worker.see_quota(place).await;
            worker.see_bills(place, support).await;
            expected.extend(worker.accounts[place].facts());
        }
        kept += worker.kept.len();
        audited.users += worker.audited.users;
        audited.quotas += worker.audited.quotas;
        audited.bills += worker.audited.bills;
        audited.steps += worker.audited.steps;
    }
    let worker::Audited { users, quotas, bills, steps } = audited;
    for (action, entries) in [
        ("user.update", users),
        ("quota.update", quotas),
        ("billing.create", bills),
        ("billing.update", steps),
        ("billing.close", closes),
        ("service_key.create", 1),
    ] {
        if entries > 0 {
            expected.insert((format!("audited {action}"), entries.to_string()));
        }
    }
    expected.insert(("kept".to_owned(), kept.to_string()));
    let found = app.facts(&FOUND).await;
    let only = |one: &Facts, other: &Facts| one.difference(other).cloned().collect::<Facts>();
    assert_eq!((only(&expected, &found), only(&found, &expected)), (Facts::new(), Facts::new()));
    assert_eq!(app.value(UNRECONCILED).await, "0");
    found.len()
}

#[tokio::test]
async fn ten_thousand_random_operations_come_to_what_a_model_foresees() {
    let (seed, begun) = (Random::seed(), Instant::now());
    let app = TestApp::builder().servers(2).start().await;
    let (grace, support) = (app.person_of_role("admin").await, app.person_of_role("support").await);
    let program = grace.program(&app).await;
    let worker = |number| {
        Worker::new(&app, (&program, &grace), (number, Random::of(seed.wrapping_add(number as u64))))
    };
    let mut workers: Vec<_> = (0..WORKERS).map(worker).collect();
    let (mut closes, mut facts) = (0, 0);
    for round in 0..OPERATIONS / ROUND {
        // Somebody new now and then, who has not been billed for months that were closed before.
        if round % 2 == 0 {
            join_all(workers.iter_mut().map(Worker::take_on_somebody)).await;
        }
        join_all(workers.iter_mut().map(|worker| worker.work(ROUND / WORKERS as u64))).await;
        let month = MONTHS[usize::try_from(round).unwrap() % MONTHS.len()];
        closes += close(&app, &mut workers, &grace, month).await;
        facts = compare(&app, &mut workers, &support, closes).await;
    }
    let mut met = BTreeMap::<_, u64>::new();
    for (answer, times) in workers.iter().flat_map(|worker| &worker.met) {
        *met.entry(answer.as_str()).or_default() += times;
    }
    println!("{OPERATIONS} operations in {:?}, {facts} facts in the end: {met:?}", begun.elapsed());
    for answer in TO_BE_MET {
        assert!(met.get(answer).is_some_and(|times| *times >= 10), "{answer} was hardly met: {met:?}");
    }
}
