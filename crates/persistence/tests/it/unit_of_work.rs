//! Units of work: all or nothing, however they end.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use diesel_async::SimpleAsyncConnection;
use subtle_domain::ports::{NewUser, Store, StoreError, UnitOfWork};
use subtle_domain::user::{Role, User};
use subtle_persistence::PgStore;
use tokio::sync::Barrier;

use crate::support::{Home, email, hash, later, session, store, user, user_id};

const USERS: &str = "SELECT count(*) FROM users";

async fn with_one_more(store: &PgStore, id: &str) -> Box<dyn UnitOfWork> {
    let mut unit = store.begin().await.unwrap();
    assert!(unit.users().add(&NewUser { user: user(id), hash: hash('a') }).await.unwrap());
    unit
}

#[tokio::test]
async fn a_committed_unit_of_work_has_happened_and_its_connection_serves_again() {
    let home = Home::new().await;
    let pool = home.pool_with("connection_limit=1");
    let store = store(pool.clone());
    let mut unit = with_one_more(&store, "ada").await;
    unit.sessions().add(&session("s1", "ada")).await.unwrap();
    assert_eq!(home.value(USERS).await, "0");
    unit.commit().await.unwrap();
    assert_eq!(home.value(USERS).await, "1");
    assert_eq!((pool.status().open, pool.status().idle), (1, 1));
}

#[tokio::test]
async fn a_rolled_back_unit_of_work_never_was_and_its_connection_serves_again() {
    let home = Home::new().await;
    let pool = home.pool_with("connection_limit=1");
    with_one_more(&store(pool.clone()), "ada").await.rollback().await.unwrap();
    assert_eq!(home.value(USERS).await, "0");
    assert_eq!((pool.status().open, pool.status().idle), (1, 1));
}

#[tokio::test]
async fn a_dropped_unit_of_work_never_was_and_leaves_nothing_open() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let pool = home.pool_with("connection_limit=1");
    let store = store(pool.clone());
    let mut unit = with_one_more(&store, "bob").await;
    unit.users().lock(&user_id("ada")).await.unwrap();
    drop(unit);
    assert_eq!(pool.status().open, 0);
    home.await_no_open_transaction().await;
    assert_eq!(home.value(USERS).await, "1");
    let mut next = store.begin().await.unwrap();
    assert!(next.users().lock(&user_id("ada")).await.unwrap().is_some());
    next.commit().await.unwrap();
}

#[tokio::test]
async fn a_future_dropped_while_it_waits_for_a_lock_leaves_nothing_open() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let store = store(home.pool());
    let mut holder = home.connection().await;
    holder.batch_execute("BEGIN; SELECT 1 FROM users WHERE id = 'ada' FOR UPDATE").await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move {
            let mut unit = with_one_more(&store, "bob").await;
            unit.users().lock(&user_id("ada")).await.map(drop)
        }
    });
    home.await_waiting(1).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    // While the lock is still held, and sooner than any of the server's own limits.
    let began = Instant::now();
    home.await_waiting(0).await;
    assert!(began.elapsed() < Duration::from_millis(1_200), "{:?}", began.elapsed());
    home.await_no_open_transaction().await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(home.value(USERS).await, "1");
}

/// Polls a future so many times at most, and drops it.
async fn cut_short<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
        // Nobody wakes us, so the driver gets some turns.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }
    None
}

#[tokio::test]
async fn a_begin_that_is_dropped_at_any_moment_leaves_nothing_open() {
    let home = Home::new().await;
    let store = store(home.pool_with("connection_limit=2"));
    for polls in (0..60).chain([1, 1, 1, 2, 2, 2, 3, 3]) {
        drop(cut_short(store.begin(), polls).await);
    }
    home.await_no_open_transaction().await;
    store.begin().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn a_commit_that_is_dropped_at_any_moment_happens_or_does_not_and_leaves_nothing_open() {
    let home = Home::new().await;
    let store = store(home.pool_with("connection_limit=2"));
    for polls in 0..12 {
        let unit = with_one_more(&store, &format!("u{polls}")).await;
        let finished = cut_short(unit.commit(), polls).await.is_some();
        home.await_no_open_transaction().await;
        let there = home.value(&format!("{USERS} WHERE id = 'u{polls}'")).await;
        assert!(!finished || there == "1", "told so after {polls} polls, but it was not");
    }
    with_one_more(&store, "last").await.commit().await.unwrap();
}

#[tokio::test]
async fn a_unit_of_work_in_which_something_failed_cannot_be_committed() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let store = store(home.pool_with("connection_limit=1"));
    let mut unit = with_one_more(&store, "bob").await;
    let taken = User { email: email("ada@example.com"), ..user("bob") };
    assert!(matches!(unit.users().save(&taken).await, Err(StoreError::Conflict(_))));
    assert!(matches!(unit.users().lock(&user_id("ada")).await, Err(StoreError::Defect(_))));
    assert!(matches!(unit.commit().await, Err(StoreError::Defect(_))));
    assert_eq!(home.value(USERS).await, "1");
    let mut unit = with_one_more(&store, "bob").await;
    assert!(unit.users().save(&taken).await.is_err());
    unit.rollback().await.unwrap();
    with_one_more(&store, "eve").await.commit().await.unwrap();
}

#[tokio::test]
async fn of_two_that_deadlock_one_is_asked_to_try_again() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    home.add(&user("bob")).await;
    let store = store(home.pool());
    let both_hold_one = Barrier::new(2);
    let lock = async |first: &str, second: &str| {
        let mut unit = store.begin().await?;
        unit.users().lock(&user_id(first)).await?;
        both_hold_one.wait().await;
        unit.users().lock(&user_id(second)).await?;
        unit.commit().await
    };
    let (one, other) = tokio::join!(lock("ada", "bob"), lock("bob", "ada"));
    let (lost, won) = if one.is_err() { (one, other) } else { (other, one) };
    assert!(matches!(lost, Err(StoreError::Again(_))), "{lost:?}");
    won.unwrap();
}

#[tokio::test]
async fn a_unit_of_work_can_travel_between_threads() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let store: std::sync::Arc<dyn Store> = std::sync::Arc::new(store(home.pool()));
    let promoted = tokio::spawn(async move {
        let mut unit = store.begin().await?;
        let ada = unit.users().lock(&user_id("ada")).await?.unwrap();
        unit.users().save(&User { role: Role::Admin, updated_at: later(9), ..ada }).await?;
        unit.commit().await
    });
    let promoted = tokio::time::timeout(Duration::from_secs(10), promoted).await;
    promoted.unwrap().unwrap().unwrap();
    assert_eq!(home.value("SELECT role FROM users").await, "admin");
}

#[tokio::test]
async fn what_is_read_under_a_lock_is_newer_than_the_lock_whatever_the_databases_default() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    home.add(&user("bob")).await;
    let alter = "DO $$ BEGIN EXECUTE format(
        'ALTER DATABASE %I SET default_transaction_isolation = ''repeatable read''', current_database()); END $$";
    home.run(alter).await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.users().lock(&user_id("bob")).await.unwrap();
    home.run("UPDATE users SET subscription_tier = 'free' WHERE id = 'ada'").await;
    let ada = unit.users().lock(&user_id("ada")).await.unwrap().unwrap();
    assert_eq!(ada.subscription_tier.as_str(), "free");
    unit.commit().await.unwrap();
}
