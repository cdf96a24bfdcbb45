//! What happens when the database, or the way to it, lets us down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use subtle_domain::ports::{Accounts, Health, Sessions, Store, StoreError};
use subtle_domain::session::RevocationReason;
use subtle_domain::user::ProfileChange;
use subtle_persistence::{Database, PgAccounts, PgHealth, PgSessions, PoolOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};

use crate::support::{Home, door, is_unavailable, later, session, session_id, store, user, user_id};

#[tokio::test]
async fn a_database_that_is_there_answers() {
    let home = Home::new().await;
    PgHealth::new(home.pool()).ping().await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable() {
    for url in ["postgres://u@127.0.0.1:1/db", "postgres://u@/db?host=%2Fnowhere"] {
        let pool = Database::new(PoolOptions::from_url(url).unwrap()).unwrap();
        assert!(is_unavailable(&PgHealth::new(pool.clone()).ping().await));
        assert!(is_unavailable(&store(pool.clone()).begin().await));
        assert_eq!(pool.waits().timeouts.get(), 0);
        assert!(pool.waits().failures.get() >= 2, "{:?}", pool.waits());
    }
}

#[tokio::test]
async fn a_server_that_takes_the_call_and_says_nothing_is_unavailable_in_time() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://u@{}/db?connect_timeout=1", mute.local_addr().unwrap());
    let pool = Database::new(PoolOptions::from_url(&url).unwrap()).unwrap();
    let began = Instant::now();
    assert!(is_unavailable(&PgHealth::new(pool).ping().await));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn an_exhausted_pool_is_unavailable_in_time_and_recovers_at_once() {
    let home = Home::new().await;
    let pool = home.pool_with("connection_limit=2&pool_timeout=1");
    let store = store(pool.clone());
    let (one, other) = (store.begin().await.unwrap(), store.begin().await.unwrap());
    let began = Instant::now();
    assert!(is_unavailable(&PgHealth::new(pool.clone()).ping().await));
    assert!(is_unavailable(&store.begin().await));
    assert!(began.elapsed() < Duration::from_secs(3));
    let waits = pool.waits();
    assert_eq!((waits.waited.count(), waits.timeouts.get(), waits.failures.get()), (4, 2, 0));
    drop(one);
    other.rollback().await.unwrap();
    join_all((0..8).map(|_| async { PgHealth::new(pool.clone()).ping().await.unwrap() })).await;
}

#[tokio::test]
async fn a_wait_for_a_lock_ends_and_the_connection_is_kept() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let mut options = PoolOptions::from_url(&home.url_with("connection_limit=1")).unwrap();
    options.lock = Duration::from_millis(50);
    let accounts = PgAccounts::new(Database::new(options).unwrap());
    let mut holder = home.connection().await;
    holder.batch_execute("BEGIN; SELECT 1 FROM users FOR UPDATE").await.unwrap();
    let change = accounts.change_profile(&user_id("ada"), &ProfileChange::default(), later(5)).await;
    assert!(is_unavailable(&change), "{change:?}");
    let pids = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'subtle'";
    accounts.find(&user_id("ada")).await.unwrap();
    home.await_value(pids, 1).await;
}

#[tokio::test]
async fn a_migration_under_prepared_statements_fails_no_statement() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let accounts = PgAccounts::new(home.pool_with("connection_limit=4"));
    let ada = user_id("ada");
    let find_often = async || {
        for found in join_all((0..16).map(|_| accounts.find(&ada))).await {
            assert_eq!(found.unwrap().unwrap().id, ada);
        }
    };
    find_often().await;
    home.run("ALTER TABLE users ALTER COLUMN full_name TYPE VARCHAR(300)").await;
    find_often().await;
    home.run("ALTER TABLE users ALTER COLUMN full_name TYPE TEXT").await;
    find_often().await;
}

#[tokio::test]
async fn a_migration_under_a_unit_of_work_asks_for_another_try_which_succeeds() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let store = store(home.pool_with("connection_limit=2"));
    let lock = async || {
        let mut unit = store.begin().await?;
        unit.users().lock(&user_id("ada")).await?;
        unit.commit().await
    };
    for outcome in join_all([lock(), lock(), lock()]).await {
        outcome.unwrap();
    }
    home.run("ALTER TABLE users ALTER COLUMN full_name TYPE VARCHAR(300)").await;
    let mut unit = store.begin().await.unwrap();
    assert!(matches!(unit.users().lock(&user_id("ada")).await, Err(StoreError::Again(_))));
    unit.rollback().await.unwrap();
    lock().await.unwrap();
    lock().await.unwrap();
}

#[tokio::test]
async fn connections_that_were_killed_while_idle_fail_nobody() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let pool = home.pool_with("connection_limit=4");
    let (accounts, store) = (PgAccounts::new(pool.clone()), store(pool));
    for _ in 0..10 {
        join_all((0..8).map(|_| async { accounts.find(&user_id("ada")).await.unwrap() })).await;
        home.kill_all().await;
        accounts.find(&user_id("ada")).await.unwrap();
        home.kill_all().await;
        store.begin().await.unwrap().commit().await.unwrap();
    }
}

/// Kills the backend that waits for `holder`'s lock, and lets go of it.
async fn kill_the_waiting(home: &Home, holder: &mut diesel_async::AsyncPgConnection) {
    home.await_waiting(1).await;
    home.kill_all().await;
    holder.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn a_statement_that_may_run_twice_outlives_its_backend() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let accounts = PgAccounts::new(home.pool());
    let mut holder = home.connection().await;
    holder.batch_execute("BEGIN; SELECT 1 FROM users FOR UPDATE").await.unwrap();
    let (ada, change) = (user_id("ada"), ProfileChange::default());
    let change = accounts.change_profile(&ada, &change, later(5));
    let (changed, ()) = tokio::join!(change, kill_the_waiting(&home, &mut holder));
    assert_eq!(changed.unwrap().unwrap().updated_at, later(5));
}

#[tokio::test]
async fn a_statement_that_must_not_run_twice_is_not_sent_twice() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    home.add_session(&session("s1", "ada")).await;
    let sessions = PgSessions::new(home.pool());
    let (ada, s1) = (user_id("ada"), session_id("s1"));
    let mut holder = home.connection().await;
    holder.batch_execute("BEGIN; SELECT 1 FROM sessions FOR UPDATE").await.unwrap();
    let revoke = sessions.revoke(&ada, &s1, RevocationReason::User, later(5));
    let (revoked, ()) = tokio::join!(revoke, kill_the_waiting(&home, &mut holder));
    assert!(is_unavailable(&revoked), "{revoked:?}");
    assert!(sessions.revoke(&ada, &s1, RevocationReason::User, later(5)).await.unwrap());
}

#[tokio::test]
async fn a_unit_of_work_whose_backend_dies_is_unavailable_and_the_next_is_fine() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let store = store(home.pool());
    let mut unit = store.begin().await.unwrap();
    unit.users().lock(&user_id("ada")).await.unwrap();
    home.kill_all().await;
    let save = unit.users().save(&user("ada")).await;
    assert!(is_unavailable(&save), "{save:?}");
    assert!(unit.commit().await.is_err());
    let mut unit = store.begin().await.unwrap();
    unit.users().save(&user("ada")).await.unwrap();
    unit.commit().await.unwrap();
}

/// A way to the server that can go dark: what is connected then stays connected, and nothing comes through any more.
struct Tunnel {
    url: String,
    dark: Arc<AtomicBool>,
}

impl Tunnel {
    /// `None` if the database isn't behind a unix socket.
    async fn to(home: &Home) -> Option<Self> {
        let (listener, url, socket) = door(home).await?;
        let dark = Arc::new(AtomicBool::new(false));
        let light = Arc::clone(&dark);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(carry(from_client, to_server, Arc::clone(&light)));
                tokio::spawn(carry(from_server, to_client, Arc::clone(&light)));
            }
        });
        Some(Self { url, dark })
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    dark: Arc<AtomicBool>,
) {
    let mut buffer = [0; 8_192];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if dark.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if to.write_all(buffer.get(..read).unwrap()).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn after_a_network_that_went_dark_the_first_new_try_succeeds() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    let Some(tunnel) = Tunnel::to(&home).await else { return };
    let mut options = PoolOptions::from_url(&format!("{}?connection_limit=3", tunnel.url)).unwrap();
    options.statement = Duration::from_millis(300);
    let accounts = PgAccounts::new(Database::new(options).unwrap());
    let ada = user_id("ada");
    let find_often = || join_all((0..9).map(|_| accounts.find(&ada)));
    assert!(find_often().await.iter().all(Result::is_ok));
    tunnel.dark.store(true, Ordering::SeqCst);
    let began = Instant::now();
    assert!(is_unavailable(&accounts.find(&ada).await));
    assert!(began.elapsed() < Duration::from_secs(3));
    tunnel.dark.store(false, Ordering::SeqCst);
    assert!(find_often().await.iter().all(Result::is_ok));
}
