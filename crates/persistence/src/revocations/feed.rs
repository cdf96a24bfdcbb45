//! Learns what other replicas revoke and whose sync logs grow: a connection that listens, and a catch-up whenever it is made anew.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::StreamExt;
use subtle_domain::Timestamp;
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::ports::{Clock, Revocation, Revocations};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::RevocationList;
use super::backoff::Backoff;
use crate::pool::{ConnectError, Database};
use crate::schema::{sessions, users};
use crate::sync::{self, Topic};

/// The connection has a name of its own, so that operators find it in `pg_stat_activity`.
const LISTEN: &str = "SET application_name = 'subtle revocations'; \
                      LISTEN subtle_revocations; LISTEN subtle_sync; LISTEN subtle_heard";
/// Where a listener hears that it hears.
const HEARD: &str = "subtle_heard";
/// A connection that is silent for so long is asked whether it lives.
const PING_AFTER: Duration = Duration::from_millis(300);
/// And counts as dead when it does not say so within this.
const PING_PATIENCE: Duration = Duration::from_millis(500);
/// How long the statements at the beginning may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Keeps a [`RevocationList`] in step with the database, on a connection of its own, for as long as it is not dropped.
#[derive(Debug)]
#[must_use = "the feed ends when it is dropped"]
pub struct RevocationFeed {
    status: FeedStatus,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl RevocationFeed {
    /// Begins to listen to what is revoked in `database`. Must be called inside a Tokio runtime.
    pub fn start(database: Database, list: Arc<RevocationList>, clock: Arc<dyn Clock>) -> Self {
        let (progress, caught_up_at) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        let (listening, is_listening) = watch::channel(false);
        let status = FeedStatus { caught_up_at, is_listening, clock: Arc::clone(&clock) };
        let listener = Listener { database, list, clock, progress, listening };
        let task = tokio::spawn(async move {
            tokio::select! {
                () = listener.keep_listening() => {}
                _ = stopped => {}
            }
        });
        Self { status, stop, task }
    }

    /// How far the list is behind, to be asked at any time.
    #[must_use]
    pub fn status(&self) -> FeedStatus {
        self.status.clone()
    }

    /// Ends the feed and closes its connection.
    pub async fn stop(self) {
        let _has_ended = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(error = &error as &dyn std::error::Error, "the revocation feed failed");
        }
    }
}

/// How far a list is behind the database. Clones share what they see.
#[derive(Clone)]
pub struct FeedStatus {
    caught_up_at: watch::Receiver<Option<Timestamp>>,
    is_listening: watch::Receiver<bool>,
    clock: Arc<dyn Clock>,
}

impl FeedStatus {
    /// Whether everything that was revoked before the start is known.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.caught_up_at.borrow().is_some()
    }

    /// Waits until everything that was revoked before the start is known; `false` if the feed has ended before.
    pub async fn ready(&self) -> bool {
        let mut caught_up_at = self.caught_up_at.clone();
        caught_up_at.wait_for(Option::is_some).await.is_ok()
    }

    /// Whether a connection listens now.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        *self.is_listening.borrow()
    }

    /// For how long nothing has been heard from the database: about a second at most when all is well. `None` before the first
    /// catch-up.
    #[must_use]
    pub fn lag(&self) -> Option<TimeDelta> {
        let caught_up_at = *self.caught_up_at.borrow();
        caught_up_at.map(|at| (self.clock.now() - at).max(TimeDelta::zero()))
    }
}

impl std::fmt::Debug for FeedStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeedStatus")
            .field("caught_up_at", &*self.caught_up_at.borrow())
            .finish_non_exhaustive()
    }
}

/// Why listening ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("no connection")]
    Unconnected(#[from] ConnectError),
    #[error("the connection broke")]
    Broken(#[from] diesel::result::Error),
    #[error("the connection is mute")]
    Mute,
    #[error(
        "notifications do not arrive: a pooler in between must give each client a connection of its own (session mode)"
    )]
    Deaf,
    #[error("the connection was closed")]
    Closed,
}

struct Listener {
    database: Database,
    list: Arc<RevocationList>,
    clock: Arc<dyn Clock>,
    progress: watch::Sender<Option<Timestamp>>,
    listening: watch::Sender<bool>,
}

impl Listener {
    async fn keep_listening(&self) {
        let mut backoff = Backoff::default();
        loop {
            let ended = self.listen(&mut backoff).await;
            self.listening.send_replace(false);
            if let Err(lost) = ended {
                let error = &lost as &dyn std::error::Error;
                tracing::warn!(error, "revocations on other replicas are not heard of; connecting again");
            }
            sleep(backoff.pause()).await;
        }
    }

    /// Listens before it catches up: what is committed in between is told by one or by both.
    async fn listen(&self, backoff: &mut Backoff) -> Result<(), Lost> {
        let mut connection = self.database.connect().await?;
        within(PATIENCE, connection.batch_execute(LISTEN)).await?;
        self.be_sure_to_hear(&mut connection).await?;
        let began = self.clock.now();
        within(PATIENCE, self.catch_up(&mut connection, began)).await?;
        // What those missed who follow a log they read for themselves.
        self.list.signals().wake_all();
        self.reached(began);
        self.listening.send_replace(true);
        backoff.reset();
        loop {
            if let Ok(heard) = timeout(PING_AFTER, heard(&mut connection)).await {
                self.take(heard?);
            } else {
                let asked = self.clock.now();
                within(PING_PATIENCE, connection.batch_execute("SELECT 1")).await?;
                self.reached(asked);
            }
        }
    }

    /// A pooler that gives each transaction another connection takes a LISTEN, answers every ping, and delivers nothing. So what is said on
    /// another connection must be heard on this one before anybody relies on it.
    async fn be_sure_to_hear(&self, connection: &mut AsyncPgConnection) -> Result<(), Lost> {
        let own = diesel::select(sql::<Integer>("pg_backend_pid()")).get_result::<i32>(connection);
        let own = within(PATIENCE, own).await?.to_string();
        let mut other = self.database.connect().await?;
        let say = format!("NOTIFY {HEARD}, '{own}'");
        within(PATIENCE, other.batch_execute(&say)).await?;
        let is_heard = async {
            loop {
                let heard = heard(connection).await?;
                if heard.channel == HEARD && heard.payload == own {
                    return Ok(());
                }
                self.take(heard);
            }
        };
        timeout(PATIENCE, is_heard).await.unwrap_or(Err(Lost::Deaf))
    }

    fn take(&self, Heard { channel, payload }: Heard) {
        match channel.as_str() {
            sync::CHANNEL => self.wake(&payload),
            // Another server's.
            HEARD => {}
            _ => self.learn(&payload),
        }
    }

    async fn catch_up(&self, connection: &mut AsyncPgConnection, now: Timestamp) -> QueryResult<()> {
        let horizon = self.list.horizon(now);
        let ended = sessions::table
            .filter(sessions::revoked_at.gt(horizon))
            .select((sessions::id, sessions::revoked_at.assume_not_null()))
            .load::<(String, Timestamp)>(connection)
            .await?;
        let erased = users::table
            .filter(users::deleted_at.gt(horizon))
            .select((users::id, users::deleted_at.assume_not_null()))
            .load::<(String, Timestamp)>(connection)
            .await?;
        // What is no identifier of ours is in no token either.
        let ended = ended.into_iter().filter_map(|(id, at)| Some((session(&id)?, at)));
        let erased = erased.into_iter().filter_map(|(id, at)| Some((user(&id)?, at)));
        for (revocation, at) in ended.chain(erased) {
            self.list.learn(&[revocation], at);
        }
        Ok(())
    }

    fn learn(&self, payload: &str) {
        let now = self.clock.now();
        if let Some(revocation) = parse(payload) {
            self.list.learn(&[revocation], now);
        } else {
            tracing::warn!(?payload, "a notification on subtle_revocations names nothing that is revoked");
        }
        self.reached(now);
    }

    fn wake(&self, payload: &str) {
        if let Ok(id) = UserId::parse(payload) {
            self.list.signals().wake(&Topic::User(id));
        }
        self.reached(self.clock.now());
    }

    /// All that was committed before `at` is known.
    fn reached(&self, at: Timestamp) {
        self.list.forget_expired(at);
        self.progress.send_replace(Some(at));
    }
}

/// A notification.
struct Heard {
    channel: String,
    payload: String,
}

/// The next notification. Nothing is lost when it is no longer awaited: they queue up in the connection.
async fn heard(connection: &mut AsyncPgConnection) -> Result<Heard, Lost> {
    let next = pin!(connection.notifications_stream()).next().await;
    let next = next.ok_or(Lost::Closed)??;
    Ok(Heard { channel: next.channel, payload: next.payload })
}

async fn within<T>(patience: Duration, work: impl Future<Output = QueryResult<T>>) -> Result<T, Lost> {
    match timeout(patience, work).await {
        Ok(outcome) => Ok(outcome?),
        Err(_elapsed) => Err(Lost::Mute),
    }
}

/// Reads a notification: `s:<session>` or `u:<user>`.
fn parse(payload: &str) -> Option<Revocation> {
    match payload.split_once(':')? {
        ("s", id) => session(id),
        ("u", id) => user(id),
        _ => None,
    }
}

fn session(id: &str) -> Option<Revocation> {
    SessionId::parse(id).ok().map(Revocation::Session)
}

fn user(id: &str) -> Option<Revocation> {
    UserId::parse(id).ok().map(Revocation::User)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_names_a_session_or_an_account() {
        assert_eq!(parse("s:c1"), Some(Revocation::Session(SessionId::parse("c1").unwrap())));
        assert_eq!(parse("u:c1"), Some(Revocation::User(UserId::parse("c1").unwrap())));
    }

    #[test]
    fn anything_else_is_none() {
        for payload in
            ["", "s", "s:", "u: ", "x:c1", "S:c1", "s:a:b", "c1", "s:ä", &format!("s:{}", "x".repeat(65))]
        {
            assert_eq!(parse(payload), None, "{payload:?}");
        }
    }
}
