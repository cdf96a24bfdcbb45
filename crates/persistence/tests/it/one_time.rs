//! What is kept of tokens in letters.

use chrono::TimeDelta;
use futures_util::future::join_all;
use subtle_domain::ids::OneTimeTokenId;
use subtle_domain::one_time::{OneTimeRecord, Purpose};
use subtle_domain::ports::{OneTimeRecords, Store};
use subtle_domain::token::TokenDigest;
use subtle_persistence::{PgCleaner, PgOneTimeRecords};

use crate::support::{Home, email, later, store, user_id};

pub(crate) fn record(id: &str, user: &str, purpose: Purpose, at: i64) -> OneTimeRecord {
    OneTimeRecord {
        id: OneTimeTokenId::parse(id).unwrap(),
        user_id: user_id(user),
        purpose,
        digest: TokenDigest::new(format!("digest of {id}")),
        salt: (0..16).collect(),
        email: email("ada@example.com"),
        created_at: later(at),
        expires_at: later(at) + purpose.life(),
    }
}

/// Keeps a token unless there is one of the last minute.
pub(crate) async fn put(home: &Home, record: &OneTimeRecord) -> bool {
    let mut unit = store(home.pool()).begin().await.unwrap();
    let put = unit.one_time().put(record, record.created_at - TimeDelta::minutes(1)).await.unwrap();
    unit.commit().await.unwrap();
    put
}

async fn find(home: &Home, id: &str) -> Option<OneTimeRecord> {
    let digest = TokenDigest::new(format!("digest of {id}"));
    PgOneTimeRecords::new(home.pool()).find(&digest).await.unwrap()
}

#[tokio::test]
async fn a_newer_token_takes_the_place_of_an_older_one_after_a_minute() {
    let home = Home::of_three().await;
    let first = record("t1", "ada", Purpose::VerifyEmail, 0);
    assert!(put(&home, &first).await);
    assert_eq!(find(&home, "t1").await, Some(first));
    assert!(!put(&home, &record("t2", "ada", Purpose::VerifyEmail, 59)).await);
    assert!(put(&home, &record("t3", "ada", Purpose::ResetPassword, 59)).await, "another purpose");
    assert!(put(&home, &record("t4", "bob", Purpose::VerifyEmail, 59)).await, "another person");
    let newer = record("t5", "ada", Purpose::VerifyEmail, 60);
    assert!(put(&home, &newer).await);
    assert_eq!(find(&home, "t1").await, None);
    assert_eq!(find(&home, "t5").await, Some(newer));
}

#[tokio::test]
async fn of_parallel_wishes_over_two_replicas_one_gets_a_token() {
    let home = Home::of_three().await;
    let wishes = (0..20).map(|number| {
        let (home, record) = (&home, record(&format!("t{number}"), "ada", Purpose::ResetPassword, number));
        async move { put(home, &record).await }
    });
    let got = join_all(wishes).await;
    assert_eq!(got.into_iter().filter(|got| *got).count(), 1);
}

#[tokio::test]
async fn a_token_is_spent_once_however_many_try_at_once() {
    let home = Home::of_three().await;
    let token = record("t1", "ada", Purpose::ResetPassword, 0);
    put(&home, &token).await;
    let store = store(home.pool());
    let tries = (0..20).map(|_| async {
        let mut unit = store.begin().await.unwrap();
        let spent = unit.one_time().spend(&token).await.unwrap();
        unit.commit().await.unwrap();
        spent
    });
    assert_eq!(join_all(tries).await.into_iter().filter(|spent| *spent).count(), 1);
    assert_eq!(find(&home, "t1").await, None);
}

#[tokio::test]
async fn a_token_spent_in_a_unit_of_work_that_fails_is_good_for_another_try() {
    let home = Home::of_three().await;
    let token = record("t1", "ada", Purpose::ResetPassword, 0);
    put(&home, &token).await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    assert!(unit.one_time().spend(&token).await.unwrap());
    assert!(!unit.one_time().spend(&token).await.unwrap());
    unit.rollback().await.unwrap();
    assert!(find(&home, "t1").await.is_some());
}

#[tokio::test]
async fn a_replaced_token_cannot_be_spent() {
    let home = Home::of_three().await;
    let old = record("t1", "ada", Purpose::ResetPassword, 0);
    put(&home, &old).await;
    put(&home, &record("t2", "ada", Purpose::ResetPassword, 60)).await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    assert!(!unit.one_time().spend(&old).await.unwrap());
}

#[tokio::test]
async fn tokens_are_voided_by_purpose_or_all_and_those_of_others_stay() {
    let home = Home::of_three().await;
    for (id, user, purpose) in [
        ("t1", "ada", Purpose::VerifyEmail),
        ("t2", "ada", Purpose::ChangeEmail),
        ("t3", "ada", Purpose::ResetPassword),
        ("t4", "bob", Purpose::ResetPassword),
    ] {
        put(&home, &record(id, user, purpose, 0)).await;
    }
    let left = "SELECT string_agg(id, ' ' ORDER BY id) FROM one_time_tokens";
    for (purpose, ids) in [(Some(Purpose::ChangeEmail), "t1 t3 t4"), (None, "t4")] {
        let mut unit = store(home.pool()).begin().await.unwrap();
        unit.one_time().void(&user_id("ada"), purpose).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(home.value(left).await, ids);
    }
}

#[tokio::test]
async fn expired_tokens_are_taken_away_and_the_others_stay() {
    let home = Home::of_three().await;
    put(&home, &record("t1", "ada", Purpose::ResetPassword, 0)).await;
    put(&home, &record("t2", "ada", Purpose::VerifyEmail, 0)).await;
    let end = later(0) + Purpose::ResetPassword.life();
    let cleaner = PgCleaner::new(home.pool(), None);
    assert_eq!(cleaner.clean(end).await.unwrap(), 0);
    assert_eq!(cleaner.clean(end + TimeDelta::milliseconds(1)).await.unwrap(), 1);
    assert_eq!(home.first_column("SELECT id FROM one_time_tokens").await, ["t2"]);
}
