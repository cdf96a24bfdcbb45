//! Keys of repeated requests.

use chrono::TimeDelta;
use futures_util::future::join_all;
use subtle_domain::Timestamp;
use subtle_domain::idempotency::{Claim, Claimed, Repeatable};
use subtle_domain::ports::{Store, StoreError};
use subtle_domain::text::IdempotencyKey;

use crate::support::store;
use crate::support::{Home, start};

fn claim(caller: &str, key: &str, asked: u8) -> Claim {
    claim_at(caller, key, asked, start())
}

fn claim_at(caller: &str, key: &str, asked: u8, at: Timestamp) -> Claim {
    let request = Repeatable { key: IdempotencyKey::parse(key).unwrap(), fingerprint: [asked; 32] };
    Claim { caller: caller.to_owned(), request, at }
}

/// Claims in a unit of work of its own and, where it is the first, answers.
async fn answered(home: &Home, claim: &Claim, answer: &str) -> Claimed {
    let mut unit = store(home.pool()).begin().await.unwrap();
    let claimed = unit.idempotency().claim(claim).await.unwrap();
    if claimed == Claimed::First {
        unit.idempotency().keep(claim, answer).await.unwrap();
    }
    unit.commit().await.unwrap();
    claimed
}

#[tokio::test]
async fn the_same_request_is_answered_as_the_first_time() {
    let home = Home::new().await;
    assert_eq!(answered(&home, &claim("k1", "x", 1), "one").await, Claimed::First);
    assert_eq!(answered(&home, &claim("k1", "x", 1), "two").await, Claimed::Answered("one".to_owned()));
}

#[tokio::test]
async fn a_key_under_which_something_else_was_asked_is_taken() {
    let home = Home::new().await;
    assert_eq!(answered(&home, &claim("k1", "x", 1), "one").await, Claimed::First);
    assert_eq!(answered(&home, &claim("k1", "x", 2), "two").await, Claimed::Taken);
    assert_eq!(answered(&home, &claim("k1", "x", 1), "two").await, Claimed::Answered("one".to_owned()));
}

#[tokio::test]
async fn each_caller_has_keys_of_their_own() {
    let home = Home::new().await;
    assert_eq!(answered(&home, &claim("k1", "x", 1), "one").await, Claimed::First);
    assert_eq!(answered(&home, &claim("k2", "x", 2), "two").await, Claimed::First);
    assert_eq!(answered(&home, &claim("k2", "x", 2), "").await, Claimed::Answered("two".to_owned()));
    assert_eq!(answered(&home, &claim("k1", "x", 1), "").await, Claimed::Answered("one".to_owned()));
}

#[tokio::test]
async fn who_comes_second_waits_and_hears_the_answer_once_it_is_committed() {
    let home = Home::new().await;
    let mut first = store(home.pool()).begin().await.unwrap();
    assert_eq!(first.idempotency().claim(&claim("k1", "x", 1)).await.unwrap(), Claimed::First);
    let mut second = store(home.pool()).begin().await.unwrap();
    let waiting =
        tokio::spawn(async move { second.idempotency().claim(&claim("k1", "x", 1)).await.unwrap() });
    home.await_waiting(1).await;
    first.idempotency().keep(&claim("k1", "x", 1), "one").await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap(), Claimed::Answered("one".to_owned()));
}

#[tokio::test]
async fn who_comes_second_is_the_first_once_the_other_is_undone() {
    let home = Home::new().await;
    let mut first = store(home.pool()).begin().await.unwrap();
    assert_eq!(first.idempotency().claim(&claim("k1", "x", 1)).await.unwrap(), Claimed::First);
    let mut second = store(home.pool()).begin().await.unwrap();
    let waiting =
        tokio::spawn(async move { second.idempotency().claim(&claim("k1", "x", 2)).await.unwrap() });
    home.await_waiting(1).await;
    first.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap(), Claimed::First);
}

#[tokio::test]
async fn of_twenty_that_claim_one_key_at_once_one_is_the_first_and_all_others_hear_its_answer() {
    let home = Home::new().await;
    let store = store(home.pool());
    let requests = (0..20).map(async |number: u8| {
        let claim = claim("k1", "x", 1);
        let mut unit = store.begin().await.unwrap();
        let claimed = unit.idempotency().claim(&claim).await.unwrap();
        if claimed != Claimed::First {
            unit.rollback().await.unwrap();
            return (claimed, None);
        }
        let answer = format!("answer {number}");
        unit.idempotency().keep(&claim, &answer).await.unwrap();
        unit.commit().await.unwrap();
        (claimed, Some(answer))
    });
    let told = join_all(requests).await;
    let answers: Vec<_> = told.iter().filter_map(|(_, answer)| answer.clone()).collect();
    assert_eq!(answers.len(), 1, "{told:?}");
    let repeated = Claimed::Answered(answers[0].clone());
    assert_eq!(told.iter().filter(|(claimed, _)| *claimed == repeated).count(), 19, "{told:?}");
}

#[tokio::test]
async fn a_key_without_an_answer_asks_for_another_try() {
    let home = Home::new().await;
    home.run("INSERT INTO idempotency_keys (caller, key, fingerprint) VALUES ('k1', 'x', decode(repeat('01', 32), 'hex'))")
        .await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    let claimed = unit.idempotency().claim(&claim("k1", "x", 1)).await;
    assert!(matches!(claimed, Err(StoreError::Again(_))), "{claimed:?}");
}

#[tokio::test]
async fn who_comes_first_clears_away_sixteen_that_are_older_than_three_days() {
    let home = Home::new().await;
    home.run(&format!(
        "INSERT INTO idempotency_keys (caller, key, fingerprint, answer, created_at)
         SELECT 'k1', 'old' || number, ''::bytea, '', '{0}'::timestamptz - number * interval '1 ms'
         FROM generate_series(1, 17) AS number
         UNION ALL SELECT 'k1', 'kept', '', '', '{0}'",
        start().to_rfc3339()
    ))
    .await;
    let now = start() + TimeDelta::days(3);
    assert_eq!(answered(&home, &claim_at("k2", "x", 1, now), "").await, Claimed::First);
    let left = "SELECT string_agg(key, ' ' ORDER BY key) FROM idempotency_keys";
    assert_eq!(home.value(left).await, "kept old1 x");
    assert_eq!(answered(&home, &claim_at("k2", "x", 1, now), "").await, Claimed::Answered(String::new()));
    assert_eq!(home.value(left).await, "kept old1 x", "a repeated request clears nothing away");
}
