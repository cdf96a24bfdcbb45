//! The ledger.

use std::sync::Arc;

use diesel_async::SimpleAsyncConnection;
use subtle_domain::Timestamp;
use subtle_domain::billing::{BillingQuery, BillingRecord, BillingStatus, Closing, MonthlyCost};
use subtle_domain::ids::BillingId;
use subtle_domain::money::Amount;
use subtle_domain::ports::{Billing, Store, StoreError, UnitOfWork};
use subtle_domain::text::Description;
use subtle_domain::usage::Month;
use subtle_persistence::{PgBilling, PgStore};
use tokio::task::JoinSet;

use crate::support::{Home, later, start, store, user_id};

fn record(id: &str, user: &str, at: Timestamp) -> BillingRecord {
    BillingRecord {
        id: BillingId::parse(id).unwrap(),
        user_id: user_id(user),
        amount: Amount::parse("12.34").unwrap(),
        currency: "EUR".to_owned(),
        status: BillingStatus::Pending,
        description: Description::parse("Seats").ok(),
        created_at: at,
    }
}

async fn added(home: &Home, record: &BillingRecord) -> bool {
    let mut unit = store(home.pool()).begin().await.unwrap();
    let added = unit.billing().add(record).await.unwrap();
    unit.commit().await.unwrap();
    added
}

async fn moved(store: &PgStore, record: &BillingRecord, from: BillingStatus, to: BillingStatus) -> bool {
    let mut unit = store.begin().await.unwrap();
    let moved = unit.billing().transition(record, from, to).await.unwrap();
    unit.commit().await.unwrap();
    moved
}

#[tokio::test]
async fn a_record_is_found_as_it_was_written() {
    let home = Home::of_three().await;
    let written = record("b1", "ada", start());
    assert!(added(&home, &written).await);
    let bare = BillingRecord { description: None, ..record("b2", "bob", later(1)) };
    assert!(added(&home, &bare).await);
    let mut unit = store(home.pool()).begin().await.unwrap();
    assert_eq!(unit.billing().find(&written.id).await.unwrap(), Some(written));
    assert_eq!(unit.billing().find(&bare.id).await.unwrap(), Some(bare));
    assert_eq!(unit.billing().find(&BillingId::parse("b3").unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn unknown_and_erased_accounts_get_no_record() {
    let home = Home::of_three().await;
    assert!(!added(&home, &record("b1", "nobody", start())).await);
    assert!(!added(&home, &record("b2", "eve", start())).await);
    assert_eq!(home.value("SELECT count(*) FROM billing_history").await, "0");
}

#[tokio::test]
async fn a_record_that_is_made_while_its_person_is_erased_is_none() {
    let home = Home::of_three().await;
    let mut erasing = store(home.pool()).begin().await.unwrap();
    let mut ada = erasing.users().lock(&user_id("ada")).await.unwrap().unwrap();
    let pool = home.pool();
    let making = tokio::spawn(async move {
        let mut unit = store(pool).begin().await.unwrap();
        let added = unit.billing().add(&record("b1", "ada", start())).await.unwrap();
        unit.commit().await.map(|()| added).unwrap()
    });
    home.await_waiting(1).await;
    ada.erase(start());
    erasing.users().save(&ada).await.unwrap();
    erasing.commit().await.unwrap();
    assert!(!making.await.unwrap());
}

#[tokio::test]
async fn an_identifier_that_is_taken_is_a_conflict() {
    let home = Home::of_three().await;
    assert!(added(&home, &record("b1", "ada", start())).await);
    let mut unit = store(home.pool()).begin().await.unwrap();
    let again = unit.billing().add(&record("b1", "bob", start())).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
}

#[tokio::test]
async fn a_record_moves_on_only_from_where_it_stands() {
    let home = Home::of_three().await;
    let store = store(home.pool());
    for stands in BillingStatus::ALL {
        for from in BillingStatus::ALL {
            for to in BillingStatus::ALL {
                let id = format!("{stands}-{from}-{to}");
                let record = BillingRecord { status: stands, ..record(&id, "ada", start()) };
                assert!(added(&home, &record).await);
                assert_eq!(moved(&store, &record, from, to).await, stands == from, "{id}");
                let now = home.value(&format!("SELECT status FROM billing_history WHERE id = '{id}'")).await;
                assert_eq!(now, (if stands == from { to } else { stands }).as_str(), "{id}");
            }
        }
    }
}

#[tokio::test]
async fn a_record_of_somebody_else_does_not_move() {
    let home = Home::of_three().await;
    assert!(added(&home, &record("b1", "ada", start())).await);
    let taken_for_bobs = record("b1", "bob", start());
    let (from, to) = (BillingStatus::Pending, BillingStatus::Completed);
    assert!(!moved(&store(home.pool()), &taken_for_bobs, from, to).await);
    assert_eq!(home.value("SELECT status FROM billing_history").await, "pending");
}

#[tokio::test]
async fn of_fifty_refunds_at_once_one_is_made() {
    let home = Home::of_three().await;
    let paid = BillingRecord { status: BillingStatus::Completed, ..record("b1", "ada", start()) };
    assert!(added(&home, &paid).await);
    let (store, paid) = (Arc::new(store(home.pool())), Arc::new(paid));
    let mut tries = JoinSet::new();
    for _ in 0..50 {
        let (store, paid) = (Arc::clone(&store), Arc::clone(&paid));
        tries.spawn(
            async move { moved(&store, &paid, BillingStatus::Completed, BillingStatus::Refunded).await },
        );
    }
    let refunds = tries.join_all().await.into_iter().filter(|refunded| *refunded).count();
    assert_eq!(refunds, 1);
    assert_eq!(home.value("SELECT status FROM billing_history").await, "refunded");
}

async fn walked(billing: &PgBilling, query: &BillingQuery, size: u32) -> Vec<String> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = billing.records(query, after, size).await.unwrap();
        let Some(last) = page.last() else { return seen };
        after = Some((last.created_at, last.id.as_str().to_owned()));
        seen.extend(page.into_iter().map(|record| record.id.as_str().to_owned()));
    }
}

#[tokio::test]
async fn the_ledger_is_walked_newest_first_without_a_record_twice_or_missing() {
    let home = Home::of_three().await;
    for (id, user, at) in [("b1", "ada", 0), ("b2", "bob", 0), ("b3", "ada", 0), ("b4", "ada", 5)] {
        assert!(added(&home, &record(id, user, later(at))).await);
    }
    let paid = BillingRecord { status: BillingStatus::Completed, ..record("b5", "ada", start()) };
    assert!(added(&home, &paid).await);
    let billing = PgBilling::new(home.pool());
    let ada = BillingQuery { user_id: Some(user_id("ada")), status: None };
    let pending = BillingQuery { user_id: None, status: Some(BillingStatus::Pending) };
    let both = BillingQuery { status: pending.status, ..ada.clone() };
    for size in 1..=6 {
        assert_eq!(walked(&billing, &BillingQuery::default(), size).await, ["b4", "b5", "b3", "b2", "b1"]);
        assert_eq!(walked(&billing, &ada, size).await, ["b4", "b5", "b3", "b1"]);
        assert_eq!(walked(&billing, &pending, size).await, ["b4", "b3", "b2", "b1"]);
        assert_eq!(walked(&billing, &both, size).await, ["b4", "b3", "b1"]);
    }
}

#[tokio::test]
async fn totals_keep_currencies_and_states_apart() {
    let home = Home::of_three().await;
    for (id, user, currency, amount, status) in [
        ("b1", "ada", "EUR", "0.10", BillingStatus::Pending),
        ("b2", "bob", "EUR", "0.20", BillingStatus::Pending),
        ("b3", "ada", "EUR", "5.00", BillingStatus::Failed),
        ("b4", "ada", "USD", "99999999.99", BillingStatus::Pending),
    ] {
        let amount = Amount::parse(amount).unwrap();
        let record =
            BillingRecord { currency: currency.to_owned(), amount, status, ..record(id, user, start()) };
        assert!(added(&home, &record).await);
    }
    let billing = PgBilling::new(home.pool());
    let totals = async |query: BillingQuery| -> Vec<String> {
        let totals = billing.totals(&query).await.unwrap();
        let line = |total: &subtle_domain::billing::BillingTotal| {
            format!("{} {} {} {}", total.currency, total.status, total.records, total.amount)
        };
        totals.iter().map(line).collect()
    };
    assert_eq!(
        totals(BillingQuery::default()).await,
        ["EUR failed 1 5.00", "EUR pending 2 0.30", "USD pending 1 99999999.99"]
    );
    let bobs_pending = BillingQuery { user_id: Some(user_id("bob")), status: Some(BillingStatus::Pending) };
    assert_eq!(totals(bobs_pending).await, ["EUR pending 1 0.20"]);
    let refunded = BillingQuery { user_id: None, status: Some(BillingStatus::Refunded) };
    assert_eq!(totals(refunded).await, [""; 0]);
}

fn november() -> Month {
    Month::parse("2026-11").unwrap()
}

/// Usage within November, at its edges and outside of it.
async fn with_usage() -> Home {
    let home = Home::of_three().await;
    home.run(
        "INSERT INTO usage_daily (user_id, day, feature_type, events, request_count, total_tokens, total_cost)
         VALUES ('ada', '2026-10-31', '', 1, 1, 1, 100), ('ada', '2026-11-01', '', 1, 1, 1, 1.0000000001),
                ('ada', '2026-11-30', 'chat', 1, 1, 1, 2), ('ada', '2026-12-01', '', 1, 1, 1, 100),
                ('bob', '2026-11-15', '', 1, 1, 1, 0.004), ('eve', '2026-11-15', '', 1, 1, 1, 0)",
    )
    .await;
    home
}

fn closing(user: &str, total: &str, bill: &str) -> Closing {
    let cost = MonthlyCost { user_id: user_id(user), total: total.parse().unwrap() };
    Closing::new(november(), cost, BillingId::parse(bill).unwrap(), start()).unwrap()
}

async fn closed(store: &PgStore, closings: &[Closing]) -> Vec<String> {
    let mut unit: Box<dyn UnitOfWork> = store.begin().await.unwrap();
    let closed = unit.billing().close(closings).await.unwrap();
    unit.commit().await.unwrap();
    let mut closed: Vec<_> = closed.into_iter().map(String::from).collect();
    closed.sort();
    closed
}

#[tokio::test]
async fn an_open_month_is_the_sum_of_its_own_days_for_whoever_used_something() {
    let home = with_usage().await;
    let billing = PgBilling::new(home.pool());
    let open = async |after: Option<&str>, limit| -> Vec<(String, String)> {
        let costs = billing.open_month(november(), after.map(user_id), limit).await.unwrap();
        costs.into_iter().map(|cost| (cost.user_id.into(), cost.total.to_plain_string())).collect()
    };
    let (ada, bob) =
        (("ada".to_owned(), "3.0000000001".to_owned()), ("bob".to_owned(), "0.0040000000".to_owned()));
    assert_eq!(open(None, 10).await, [ada.clone(), bob.clone()]);
    assert_eq!(open(None, 1).await, [ada]);
    assert_eq!(open(Some("ada"), 10).await, std::slice::from_ref(&bob));
    assert_eq!(open(Some("bob"), 10).await, []);
    assert_eq!(closed(&store(home.pool()), &[closing("ada", "3.0000000001", "b1")]).await, ["ada"]);
    assert_eq!(open(None, 10).await, [bob]);
    let december = billing.open_month(Month::parse("2026-12").unwrap(), None, 10).await.unwrap();
    assert_eq!(december.len(), 1, "another month is open still");
}

const CLOSED: &str =
    "SELECT concat_ws(' ', user_id, month, billing_id, total_cost) FROM billing_closings ORDER BY 1";
const BILLED: &str = "SELECT concat_ws(' ', id, user_id, amount, currency, status, description) FROM billing_history ORDER BY 1";

#[tokio::test]
async fn a_month_is_closed_once_and_what_rounds_to_nothing_has_no_bill() {
    let home = with_usage().await;
    let store = store(home.pool());
    let first = [closing("bob", "0.004", "b2"), closing("ada", "3.0000000001", "b1")];
    assert_eq!(closed(&store, &first).await, ["ada", "bob"]);
    let again =
        [closing("ada", "3.0000000001", "b3"), closing("bob", "0.004", "b4"), closing("eve", "7", "b5")];
    assert_eq!(closed(&store, &again).await, ["eve"]);
    assert_eq!(closed(&store, &[]).await, [""; 0]);
    let expected =
        ["ada 2026-11-01 b1 3.0000000001", "bob 2026-11-01 0.0040000000", "eve 2026-11-01 b5 7.0000000000"];
    assert_eq!(home.first_column(CLOSED).await, expected);
    assert_eq!(
        home.first_column(BILLED).await,
        [
            "b1 ada 3.00 USD pending Usage of 2026-11: 3.0000000001 USD",
            "b5 eve 7.00 USD pending Usage of 2026-11: 7.0000000000 USD"
        ]
    );
}

#[tokio::test]
async fn closings_of_two_months_at_once_are_kept_apart() {
    let home = Home::of_three().await;
    let (october, cost) = (
        Month::parse("2026-10").unwrap(),
        MonthlyCost { user_id: user_id("ada"), total: "2".parse().unwrap() },
    );
    let earlier = Closing::new(october, cost, BillingId::parse("b2").unwrap(), start()).unwrap();
    let both = [closing("ada", "3", "b1"), earlier];
    assert_eq!(closed(&store(home.pool()), &both).await, ["ada", "ada"]);
    let expected = ["ada 2026-10-01 b2 2.0000000000", "ada 2026-11-01 b1 3.0000000000"];
    assert_eq!(home.first_column(CLOSED).await, expected);
    assert_eq!(
        home.first_column(BILLED).await,
        [
            "b1 ada 3.00 USD pending Usage of 2026-11: 3.0000000000 USD",
            "b2 ada 2.00 USD pending Usage of 2026-10: 2.0000000000 USD"
        ]
    );
}

#[tokio::test]
async fn closings_that_run_at_once_make_one_bill_for_each_user() {
    let home = with_usage().await;
    let store = Arc::new(store(home.pool()));
    let mut runs = JoinSet::new();
    for run in 0..8 {
        let store = Arc::clone(&store);
        runs.spawn(async move {
            let mut closings =
                [closing("ada", "3", &format!("a{run}")), closing("bob", "4", &format!("b{run}"))];
            // Each other run comes from the other end.
            if run % 2 == 1 {
                closings.reverse();
            }
            closed(&store, &closings).await
        });
    }
    let mut told: Vec<_> = runs.join_all().await.into_iter().flatten().collect();
    told.sort();
    assert_eq!(told, ["ada", "bob"]);
    let bills = "SELECT string_agg(user_id || ' ' || amount, ', ' ORDER BY user_id) FROM billing_history";
    assert_eq!(home.value(bills).await, "ada 3.00, bob 4.00");
}

#[tokio::test]
async fn a_closing_that_is_undone_leaves_the_month_open() {
    let home = with_usage().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    assert_eq!(unit.billing().close(&[closing("ada", "3", "b1")]).await.unwrap(), [user_id("ada")]);
    unit.rollback().await.unwrap();
    assert_eq!(home.first_column(BILLED).await, [""; 0]);
    assert_eq!(closed(&store(home.pool()), &[closing("ada", "3", "b2")]).await, ["ada"]);
}

#[tokio::test]
async fn what_is_being_recorded_is_waited_for_and_counted_and_what_comes_later_waits_for_the_close() {
    let home = with_usage().await;
    let (ada, nobody) = (user_id("ada"), user_id("nobody"));
    let told = "INSERT INTO user_usage_metrics (id, user_id, total_cost) VALUES ('{}', 'ada', 1);
                UPDATE usage_daily SET total_cost = total_cost + 1 WHERE user_id = 'ada' AND day = '2026-11-01'";
    let mut writer = home.connection().await;
    writer.batch_execute(&format!("BEGIN; {}", told.replace("{}", "w1"))).await.unwrap();
    let store = store(home.pool());
    let before = PgBilling::new(home.pool()).open_month(november(), None, 10).await.unwrap();
    let before = before.into_iter().find(|cost| cost.user_id == ada).unwrap();
    let closing = async {
        let mut unit = store.begin().await.unwrap();
        let costs = unit.billing().settled_costs(november(), &[ada.clone(), nobody]).await.unwrap();
        (unit, costs)
    };
    let writing = async {
        home.await_waiting(1).await;
        writer.batch_execute("COMMIT").await.unwrap();
    };
    let ((unit, costs), ()) = tokio::join!(closing, writing);
    assert_eq!(costs, [MonthlyCost { total: before.total + 1, ..before }]);
    let late = told.replace("{}", "w2");
    let locked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let later = async {
        writer.batch_execute(&late).await.unwrap();
    };
    let ending = async {
        home.await_value(locked, 1).await;
        unit.commit().await.unwrap();
    };
    tokio::join!(later, ending);
    assert_eq!(home.value("SELECT count(*) FROM user_usage_metrics WHERE id LIKE 'w%'").await, "2");
}
