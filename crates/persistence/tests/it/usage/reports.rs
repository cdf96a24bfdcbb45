//! Reading usage: pages, sums and budgets.

use subtle_domain::ports::{Store, UsageLog, UsageReports};
use subtle_domain::quota::QuotaFigures;
use subtle_domain::usage::{Days, Month, UsageEvent, UsageGroup, UsageGrouping};
use subtle_persistence::{PgUsageLog, PgUsageReports};

use super::unit::reservation;
use super::{at, event, totals, usage};
use crate::support::{Home, later, start, store, user_id};

async fn record(home: &Home, events: Vec<UsageEvent>) {
    let (log, writers) = PgUsageLog::start(home.pool(), PgUsageLog::WRITERS);
    log.record(events).await.unwrap();
    writers.close().await;
}

fn day(text: &str) -> UsageGroup {
    UsageGroup::Day(text.parse().unwrap())
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps_though_times_are_equal() {
    let home = Home::of_three().await;
    let events = [("e1", 0), ("e2", 5), ("e3", 5), ("e4", 5), ("e5", 9)];
    let events = events.map(|(id, seconds)| UsageEvent { at: later(seconds), ..event(id, "ada", None) });
    record(&home, events.into_iter().chain([event("x", "bob", None)]).collect()).await;
    let reports = PgUsageReports::new(home.pool());
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = reports.rows(&user_id("ada"), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.at, last.id.clone()));
        seen.extend(page.into_iter().map(|row| row.id));
    }
    assert_eq!(seen, ["e5", "e4", "e3", "e2", "e1"]);
}

#[tokio::test]
async fn a_row_is_read_as_it_was_recorded() {
    let home = Home::of_three().await;
    record(&home, vec![UsageEvent { feature: None, ..event("e1", "ada", Some("k")) }]).await;
    let rows = PgUsageReports::new(home.pool()).rows(&user_id("ada"), None, 10).await.unwrap();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.id.as_str(), row.requests, row.tokens, row.at), ("e1", 1, 200, start()));
    assert_eq!((row.cost.to_string().as_str(), row.feature.as_deref()), ("0.0000300000", None));
}

#[tokio::test]
async fn groups_are_sums_over_the_days_asked_for() {
    let home = Home::of_three().await;
    let on = |id: &str, time: &str, feature: Option<&str>| UsageEvent {
        at: at(time),
        feature: feature.map(|feature| subtle_domain::text::Label::parse(feature).unwrap()),
        ..event(id, "ada", None)
    };
    let events = vec![
        on("e1", "2026-10-31T23:59:59.999Z", Some("chat")),
        on("e2", "2026-11-01T00:00:00Z", Some("chat")),
        on("e3", "2026-11-01T12:00:00Z", None),
        on("e4", "2026-11-30T23:59:59.999Z", Some("Vision")),
        on("e5", "2026-12-01T00:00:00Z", Some("chat")),
        UsageEvent { user_id: user_id("bob"), ..on("e6", "2026-11-02T00:00:00Z", None) },
    ];
    record(&home, events).await;
    let reports = PgUsageReports::new(home.pool());
    let november = Month::parse("2026-11").unwrap().days();
    let ada = user_id("ada");
    let by_day = reports.groups(&ada, november, UsageGrouping::Day).await.unwrap();
    let (one, two) = (totals(1, 200, "0.00003"), totals(2, 400, "0.00006"));
    assert_eq!(by_day, [(day("2026-11-01"), two), (day("2026-11-30"), one.clone())]);
    let by_feature = reports.groups(&ada, november, UsageGrouping::Feature).await.unwrap();
    let named = |name: &str| UsageGroup::Feature(Some(name.to_owned()));
    let wanted =
        [(UsageGroup::Feature(None), one.clone()), (named("Vision"), one.clone()), (named("chat"), one)];
    assert_eq!(by_feature, wanted);
    let nothing = Days { from: "2027-01-01".parse().unwrap(), to: "2027-01-31".parse().unwrap() };
    assert_eq!(reports.groups(&ada, nothing, UsageGrouping::Day).await.unwrap(), []);
}

#[tokio::test]
async fn the_last_days_come_first_and_end_where_they_are_told_to() {
    let home = Home::of_three().await;
    let on = |id: &str, time: &str| UsageEvent { at: at(time), ..event(id, "ada", None) };
    let events = vec![
        on("e1", "2026-11-01T00:00:00Z"),
        on("e2", "2026-11-03T23:59:59.999Z"),
        UsageEvent { feature: None, ..on("e3", "2026-11-03T01:00:00Z") },
        on("e4", "2026-11-04T00:00:00Z"),
    ];
    record(&home, events).await;
    let reports = PgUsageReports::new(home.pool());
    let days = async |before: Option<&str>, limit| {
        let days = reports.days(&user_id("ada"), before.map(at), limit).await.unwrap();
        days.into_iter().map(|(day, sums)| (day.to_string(), sums.requests)).collect::<Vec<_>>()
    };
    let (first, third, fourth) =
        (("2026-11-01".to_owned(), 1), ("2026-11-03".to_owned(), 2), ("2026-11-04".to_owned(), 1));
    assert_eq!(days(None, 10).await, [fourth.clone(), third.clone(), first.clone()]);
    assert_eq!(days(None, 1).await, std::slice::from_ref(&fourth));
    assert_eq!(days(Some("2026-11-04T00:00:00Z"), 10).await, [third.clone(), first.clone()]);
    assert_eq!(days(Some("2026-11-04T00:00:00.001Z"), 10).await, [fourth, third.clone(), first.clone()]);
    assert_eq!(days(Some("2026-11-03T12:00:00Z"), 10).await, [third, first]);
}

#[tokio::test]
async fn a_budget_counts_the_months_usage_and_only_holds_that_are_open_and_not_expired() {
    let home = Home::of_three().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    let holds = [("open", 100), ("more", 101), ("expired", 10), ("on-the-dot", 50), ("released", 100)];
    for (own, seconds) in holds {
        unit.usage().hold(&reservation("ada", own, later(seconds))).await.unwrap();
    }
    unit.usage().hold(&reservation("bob", "open", later(100))).await.unwrap();
    let released = reservation("ada", "released", later(100));
    let end = subtle_domain::quota::ReservationEnd::Released;
    unit.usage().end_reservation(&released.id, &end, later(1)).await.unwrap();
    unit.commit().await.unwrap();
    let last_month = UsageEvent { at: at("2023-10-31T23:59:59Z"), ..event("e1", "ada", None) };
    let big = UsageEvent { usage: usage(2_147_483_647, 2_147_483_647, "1"), ..event("e2", "ada", None) };
    let again = UsageEvent { id: super::usage_id("e3"), ..big.clone() };
    record(&home, vec![last_month, big, again, event("e4", "bob", None)]).await;
    let reports = PgUsageReports::new(home.pool());
    let figures = reports.quota(&user_id("ada"), Month::of(start()), later(50)).await.unwrap();
    let used = totals(4_294_967_294, 4_294_967_294, "2");
    assert_eq!(figures, QuotaFigures { own: Vec::new(), used, reserved: totals(6, 1_000, "0.5") });
}

#[tokio::test]
async fn who_has_nothing_has_nothing() {
    let home = Home::of_three().await;
    let reports = PgUsageReports::new(home.pool());
    let figures = reports.quota(&user_id("nobody"), Month::of(start()), start()).await.unwrap();
    assert_eq!(figures, QuotaFigures::default());
    assert_eq!(reports.rows(&user_id("nobody"), None, 10).await.unwrap(), []);
}
