//! What one replica revokes, the others hear of; what they could not hear they read.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use subtle_domain::Timestamp;
use subtle_domain::ports::{Clock, Revocations};
use subtle_persistence::{Database, PoolOptions, RevocationFeed, RevocationList};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::UnixStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use crate::support::{Home, door, session_id, start, user_id};

const TOKEN_LIFE: TimeDelta = TimeDelta::minutes(15);

/// A clock that stands still.
struct Still(Mutex<Timestamp>);

impl Still {
    fn pass(&self, time: TimeDelta) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for Still {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A replica: its list, its feed, its clock, and the database that it shares with others.
struct Replica {
    home: Home,
    list: Arc<RevocationList>,
    feed: RevocationFeed,
    clock: Arc<Still>,
}

impl Replica {
    /// One that has caught up.
    async fn on(home: Home) -> Self {
        let pool = home.pool();
        Self::by_way_of(pool, home).await
    }

    async fn by_way_of(pool: Database, home: Home) -> Self {
        let clock = Arc::new(Still(Mutex::new(start())));
        let list = Arc::new(RevocationList::new(TOKEN_LIFE));
        let feed = RevocationFeed::start(pool, Arc::clone(&list), clock.clone());
        assert!(feed.status().ready().await);
        Self { home, list, feed, clock }
    }

    fn refuses(&self, user: &str, session: &str) -> bool {
        self.list.covers(&user_id(user), &session_id(session))
    }

    async fn notify(&self, payload: &str) {
        self.home.run(&format!("SELECT pg_notify('subtle_revocations', '{payload}')")).await;
    }
}

/// Awaits what no query of the database can tell.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let fulfilled = async {
        while !condition() {
            looks.tick().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), fulfilled).await.is_ok(), "never: {what}");
}

const LISTENERS: &str = "SELECT count(*) FROM pg_stat_activity \
                         WHERE datname = current_database() AND application_name = 'subtle revocations'";

/// A database with the account `ada` and her sessions `s1` to `s4`, and with the account `eve`.
async fn home() -> Home {
    let home = Home::new().await;
    home.run(
            "INSERT INTO users (id, email, password_hash)
             SELECT id, id || '@example.com', repeat('x', 60) FROM unnest(ARRAY['ada', 'eve']) AS id;
             INSERT INTO sessions (id, user_id, refresh_token, expires_at)
             SELECT 's' || n, 'ada', 'digest ' || n, now() + interval '1 day' FROM generate_series(1, 4) AS n",
        )
        .await;
    home
}

fn ended(session: &str, ago: TimeDelta) -> String {
    let at = start() - ago;
    format!("UPDATE sessions SET revoked_at = '{at}', revoked_reason = 'sign_out' WHERE id = '{session}';")
}

fn erased(user: &str, ago: TimeDelta) -> String {
    format!("UPDATE users SET deleted_at = '{}' WHERE id = '{user}';", start() - ago)
}

#[tokio::test]
async fn what_another_connection_announces_is_refused() {
    let replica = Replica::on(home().await).await;
    assert!(!replica.refuses("ada", "s1"));
    replica.notify("s:s1").await;
    eventually("the session is refused", || replica.refuses("ada", "s1")).await;
    assert!(!replica.refuses("ada", "s2"));
    replica.notify("u:eve").await;
    eventually("the account is refused", || replica.refuses("eve", "s9")).await;
    assert!(!replica.refuses("ada", "s2"));
}

#[tokio::test]
async fn an_announcement_counts_from_its_commit() {
    let replica = Replica::on(home().await).await;
    let undone = "BEGIN; SELECT pg_notify('subtle_revocations', 's:s1'); ROLLBACK";
    replica.home.run(undone).await;
    replica.notify("s:s2").await;
    eventually("the second session is refused", || replica.refuses("ada", "s2")).await;
    assert!(!replica.refuses("ada", "s1"));
}

#[tokio::test]
async fn what_was_revoked_before_the_start_is_refused_once_the_feed_is_ready() {
    let home = home().await;
    let before = [ended("s1", TimeDelta::minutes(1)), ended("s2", TimeDelta::minutes(14))].concat();
    home.run(&before).await;
    home.run(&erased("eve", TimeDelta::minutes(14))).await;
    let replica = Replica::on(home).await;
    assert!(replica.refuses("ada", "s1"));
    assert!(replica.refuses("ada", "s2"));
    assert!(!replica.refuses("ada", "s3"));
    assert!(replica.refuses("eve", "s9"));
}

#[tokio::test]
async fn what_is_older_than_a_tokens_life_is_not_even_read() {
    let home = home().await;
    home.run(&ended("s1", TimeDelta::minutes(17))).await;
    home.run(&erased("eve", TimeDelta::minutes(17))).await;
    let replica = Replica::on(home).await;
    assert!(replica.list.is_empty());
}

#[tokio::test]
async fn the_feed_forgets_what_no_living_token_is_about() {
    let home = home().await;
    home.run(&ended("s1", TimeDelta::minutes(10))).await;
    let replica = Replica::on(home).await;
    replica.notify("s:s2").await;
    eventually("both are known", || replica.list.len() == 2).await;
    replica.clock.pass(TimeDelta::minutes(6));
    eventually("the first is forgotten", || replica.list.len() == 1).await;
    assert!(replica.refuses("ada", "s2"));
    replica.clock.pass(TimeDelta::minutes(10));
    eventually("the second is forgotten", || replica.list.is_empty()).await;
}

#[tokio::test]
async fn what_is_revoked_while_the_connection_is_lost_is_refused_after_it_is_back() {
    let replica = Replica::on(home().await).await;
    // Nobody announces this: it can only be read.
    let unheard = [ended("s1", TimeDelta::zero()), erased("eve", TimeDelta::zero())].concat();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'subtle revocations'";
    replica.home.run(&format!("{unheard} {kill}")).await;
    eventually("the session is refused", || replica.refuses("ada", "s1")).await;
    eventually("the account is refused", || replica.refuses("eve", "s9")).await;
    replica.notify("s:s2").await;
    eventually("the new connection listens", || replica.refuses("ada", "s2")).await;
}

/// A way to the database, as a URL, and how to make it dark: what is connected then stays connected, and nothing comes through any
/// more. New connections do. `None` if the database isn't behind a unix socket.
async fn tunnel(home: &Home) -> Option<(String, Arc<Notify>)> {
    let (listener, url, socket) = door(home).await?;
    let darkness = Arc::new(Notify::new());
    let falls = Arc::clone(&darkness);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = UnixStream::connect(&socket).await.unwrap();
            let falls = Arc::clone(&falls);
            tokio::spawn(async move {
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    () = falls.notified() => std::future::pending().await,
                }
            });
        }
    });
    Some((url, darkness))
}

#[tokio::test]
async fn a_connection_that_went_silent_is_given_up_and_made_anew() {
    let home = home().await;
    let Some((url, darkness)) = tunnel(&home).await else { return };
    let pool = Database::new(PoolOptions::from_url(&url).unwrap()).unwrap();
    let replica = Replica::by_way_of(pool, home).await;
    darkness.notify_waiters();
    replica.home.run(&ended("s1", TimeDelta::zero())).await;
    replica.notify("s:s1").await;
    eventually("the session is refused", || replica.refuses("ada", "s1")).await;
}

/// A way to the database on which notifications are lost until somebody opens it, as by a pooler that gives each transaction another
/// connection; and how many connections were made by it.
async fn deaf_way(home: &Home) -> Option<(String, Arc<AtomicBool>, Arc<AtomicUsize>)> {
    let (listener, url, socket) = door(home).await?;
    let (open, many) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (is_open, count) = (Arc::clone(&open), Arc::clone(&many));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let server = UnixStream::connect(&socket).await.unwrap();
            let ((mut asks, answers), (mut told, mut heard)) = (client.into_split(), server.into_split());
            tokio::spawn(async move { copy(&mut asks, &mut heard).await });
            tokio::spawn(pass(Arc::clone(&is_open), answers, async move |bytes: &mut [u8]| {
                told.read_exact(bytes).await.is_ok()
            }));
        }
    });
    Some((url, open, many))
}

/// Passes on what the server says, message by message: a letter, the length of the rest, the rest.
async fn pass(
    is_open: Arc<AtomicBool>,
    mut answers: OwnedWriteHalf,
    mut read: impl AsyncFnMut(&mut [u8]) -> bool,
) {
    const NOTIFICATION: u8 = b'A';
    loop {
        let mut head = [0; 5];
        if !read(&mut head).await {
            return;
        }
        let [kind, length @ ..] = head;
        let mut rest = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap() - length.len()];
        if !read(&mut rest).await {
            return;
        }
        let is_lost = kind == NOTIFICATION && !is_open.load(Ordering::Relaxed);
        if !is_lost && answers.write_all(&[&head[..], &rest].concat()).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_feed_that_hears_nothing_is_not_ready_however_well_its_connection_answers() {
    let home = home().await;
    let Some((url, open, connections)) = deaf_way(&home).await else { return };
    let pool = Database::new(PoolOptions::from_url(&url).unwrap()).unwrap();
    let list = Arc::new(RevocationList::new(TOKEN_LIFE));
    let feed = RevocationFeed::start(pool, list, Arc::new(Still(Mutex::new(start()))));
    eventually("it has been given up once", || connections.load(Ordering::Relaxed) > 2).await;
    assert!(!feed.status().is_ready());
    open.store(true, Ordering::Relaxed);
    assert!(feed.status().ready().await);
}

#[tokio::test]
async fn what_names_nothing_is_ignored() {
    let replica = Replica::on(home().await).await;
    for junk in ["", "s1", "s:", "x:s1", "s:s1 ", "S:s1", "u:a/b", "🦀"] {
        replica.notify(junk).await;
    }
    replica.notify("s:s2").await;
    eventually("the one that names something is heard", || replica.refuses("ada", "s2")).await;
    assert_eq!(replica.list.len(), 1);
}

#[tokio::test]
async fn the_lag_is_how_long_nothing_was_heard() {
    let replica = Replica::on(home().await).await;
    let status = replica.feed.status();
    assert_eq!(status.lag(), Some(TimeDelta::zero()));
    eventually("it listens", || status.is_listening()).await;
    replica.clock.pass(TimeDelta::seconds(7));
    replica.notify("s:s1").await;
    eventually("it was heard", || status.lag() == Some(TimeDelta::zero())).await;
    replica.feed.stop().await;
    replica.clock.pass(TimeDelta::seconds(9));
    assert_eq!(status.lag(), Some(TimeDelta::seconds(9)));
}

#[tokio::test]
async fn a_feed_that_was_stopped_leaves_no_connection() {
    let replica = Replica::on(home().await).await;
    assert_eq!(replica.home.value(LISTENERS).await, "1");
    replica.feed.stop().await;
    replica.home.await_value(LISTENERS, 0).await;
}

#[tokio::test]
async fn a_feed_that_was_dropped_leaves_no_connection() {
    let replica = Replica::on(home().await).await;
    drop(replica.feed);
    replica.home.await_value(LISTENERS, 0).await;
}

#[tokio::test]
async fn without_a_database_the_feed_is_not_ready() {
    let clock = Arc::new(Still(Mutex::new(start())));
    let nowhere = "postgres://nobody@/nothing?host=%2Fnonexistent";
    let pool = Database::new(PoolOptions::from_url(nowhere).unwrap());
    let list = Arc::new(RevocationList::new(TOKEN_LIFE));
    let feed = RevocationFeed::start(pool.unwrap(), list, clock);
    let status = feed.status();
    assert!(!status.is_ready() && !status.is_listening());
    assert_eq!(status.lag(), None);
    feed.stop().await;
    assert!(!status.ready().await, "a feed that has ended never becomes ready");
}
