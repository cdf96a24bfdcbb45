//! Usage and holds inside a unit of work.

use subtle_domain::Timestamp;
use subtle_domain::ids::ReservationId;
use subtle_domain::ports::{Store, StoreError};
use subtle_domain::quota::{Limit, Metric, Reservation, ReservationEnd};
use subtle_domain::text::Label;
use subtle_domain::usage::{Month, Recorded, UsageEvent};

use super::{ROWS, accepted, event, totals, usage, usage_id};
use crate::support::{Home, later, start, store, user_id};

/// An open hold of 3 requests, 500 tokens, $0.25.
pub(super) fn reservation(user: &str, own: &str, expires_at: Timestamp) -> Reservation {
    Reservation {
        id: ReservationId::parse(&format!("{user}.{own}")).unwrap(),
        user_id: user_id(user),
        held: usage(3, 500, "0.25"),
        feature: Label::parse("chat").ok(),
        created_at: start(),
        expires_at,
        end: ReservationEnd::Open,
    }
}

#[tokio::test]
async fn an_event_is_recorded_once_and_read_as_it_was() {
    let home = Home::of_three().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    let told = event("e1", "ada", Some("k1"));
    assert_eq!(unit.usage().record(&told).await.unwrap(), accepted("e1"));
    let again = event("e2", "ada", Some("k1"));
    assert_eq!(unit.usage().record(&again).await.unwrap(), Recorded::Duplicate(usage_id("e1")));
    let other = UsageEvent { feature: None, ..event("e3", "ada", Some("k1")) };
    assert_eq!(unit.usage().record(&other).await.unwrap(), Recorded::Conflict(usage_id("e1")));
    for gone in ["eve", "nobody"] {
        assert_eq!(unit.usage().record(&event("e4", gone, None)).await.unwrap(), Recorded::UnknownUser);
    }
    assert_eq!(unit.usage().event(&user_id("ada"), &usage_id("e1")).await.unwrap(), Some(told));
    assert_eq!(unit.usage().event(&user_id("bob"), &usage_id("e1")).await.unwrap(), None);
    let figures = unit.usage().quota(&user_id("ada"), Month::of(start()), start()).await.unwrap();
    assert_eq!(figures.used, totals(1, 200, "0.00003"));
    unit.commit().await.unwrap();
    assert_eq!(home.value(ROWS).await, "1");
}

#[tokio::test]
async fn what_is_rolled_back_was_never_used() {
    let home = Home::of_three().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    assert_eq!(unit.usage().record(&event("e1", "ada", None)).await.unwrap(), accepted("e1"));
    unit.usage().hold(&reservation("ada", "r1", later(60))).await.unwrap();
    unit.rollback().await.unwrap();
    assert_eq!(home.value(ROWS).await, "0");
    assert_eq!(home.value("SELECT count(*) FROM usage_daily").await, "0");
    assert_eq!(home.value("SELECT count(*) FROM usage_reservations").await, "0");
}

#[tokio::test]
async fn a_hold_is_read_as_it_was_made_and_ends_once() {
    let home = Home::of_three().await;
    let store = store(home.pool());
    let (held, given_back) = (reservation("ada", "r1", later(60)), reservation("ada", "r2", later(60)));
    let mut unit = store.begin().await.unwrap();
    unit.usage().hold(&held).await.unwrap();
    unit.usage().hold(&given_back).await.unwrap();
    assert_eq!(unit.usage().lock_reservation(&held.id).await.unwrap(), Some(held.clone()));
    let others = ReservationId::parse("bob.r1").unwrap();
    assert_eq!(unit.usage().lock_reservation(&others).await.unwrap(), None);
    let settled = ReservationEnd::Settled(usage_id("e1"));
    unit.usage().end_reservation(&held.id, &settled, later(5)).await.unwrap();
    unit.usage().end_reservation(&given_back.id, &ReservationEnd::Released, later(6)).await.unwrap();
    unit.commit().await.unwrap();
    let ended = "SELECT extract(epoch FROM ended_at - created_at)::int FROM usage_reservations ORDER BY id";
    assert_eq!(home.first_column(ended).await, ["5", "6"]);
    let mut unit = store.begin().await.unwrap();
    let found = unit.usage().lock_reservation(&held.id).await.unwrap();
    assert_eq!(found, Some(Reservation { end: settled, ..held.clone() }));
    let found = unit.usage().lock_reservation(&given_back.id).await.unwrap();
    assert_eq!(found.unwrap().end, ReservationEnd::Released);
    let twice = unit.usage().end_reservation(&held.id, &ReservationEnd::Released, later(7)).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
}

#[tokio::test]
async fn a_locked_hold_is_ended_by_nobody_else() {
    let home = Home::of_three().await;
    let store = store(home.pool());
    let held = reservation("ada", "r1", later(60));
    let mut unit = store.begin().await.unwrap();
    unit.usage().hold(&held).await.unwrap();
    unit.commit().await.unwrap();
    let mut first = store.begin().await.unwrap();
    first.usage().lock_reservation(&held.id).await.unwrap();
    let second = async {
        let mut second = store.begin().await.unwrap();
        second.usage().lock_reservation(&held.id).await.unwrap().unwrap().end
    };
    let ending = async {
        home.await_waiting(1).await;
        first.usage().end_reservation(&held.id, &ReservationEnd::Released, later(1)).await.unwrap();
        first.commit().await.unwrap();
    };
    let (seen, ()) = tokio::join!(second, ending);
    assert_eq!(seen, ReservationEnd::Released);
}

#[tokio::test]
async fn limits_of_ones_own_are_replaced_all_together() {
    let home = Home::of_three().await;
    let ada = user_id("ada");
    let mut unit = store(home.pool()).begin().await.unwrap();
    let sets = [
        vec![(Metric::Cost, Limit::AtMost("12.5".parse().unwrap())), (Metric::Tokens, Limit::Unlimited)],
        vec![(Metric::Requests, Limit::AtMost(0.into()))],
        Vec::new(),
    ];
    for own in sets {
        unit.usage().set_own_limits(&ada, &own).await.unwrap();
        let figures = unit.usage().quota(&ada, Month::of(start()), start()).await.unwrap();
        assert_eq!(figures.own, own);
        assert_eq!((figures.used, figures.reserved), (totals(0, 0, "0"), totals(0, 0, "0")));
    }
}
