//! A database of its own for each test, in a time zone that shows mistakes, and things to put into it.

use std::error::Error;
use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::StreamExt;
use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::password::PasswordHash;
use subtle_domain::ports::{AuditProof, NewUser, Store, StoreError};
use subtle_domain::second_factor::Assurance;
use subtle_domain::session::{ClientInfo, Generation, Session, SessionPolicy};
use subtle_domain::text::{AvatarUrl, FullName};
use subtle_domain::token::TokenDigest;
use subtle_domain::user::{Role, SubscriptionTier, User};
use subtle_local_postgres::testing::{self, TestDatabase};
use subtle_persistence::{Database, PgStore, PoolOptions, migrations};
use tokio::net::TcpListener;
use tokio_postgres::config::Host;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// A migrated database, in Tokyo.
pub(crate) struct Home {
    database: TestDatabase,
}

impl Home {
    pub(crate) async fn new() -> Self {
        let database = testing::database(&migrations::fingerprint(), |url| {
            let url = url.to_owned();
            // A test has a runtime already, inside which none can be started.
            std::thread::spawn(move || migrate_in_a_runtime(&url).map_err(|error| error.to_string()))
                .join()
                .map_err(|_panic| "the thread that migrates has panicked")??;
            Ok(())
        });
        Self::of(database).await
    }

    /// With Ada and Bob, and with Eve, who was erased.
    pub(crate) async fn of_three() -> Self {
        let home = Self::new().await;
        home.run(
            "INSERT INTO users (id, email, password_hash, deleted_at)
             SELECT id, id || '@example.com', repeat('x', 60), CASE id WHEN 'eve' THEN now() END
             FROM unnest(ARRAY['ada', 'bob', 'eve']) AS id",
        )
        .await;
        home
    }

    pub(crate) async fn empty() -> Self {
        Self::of(testing::empty_database()).await
    }

    async fn of(database: TestDatabase) -> Self {
        let home = Self { database };
        home.run(&format!("ALTER DATABASE \"{}\" SET timezone = 'Asia/Tokyo'", home.name())).await;
        home
    }

    pub(crate) fn name(&self) -> &str {
        self.database.name()
    }

    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }

    /// The URL with more parameters: `connection_limit=1`.
    pub(crate) fn url_with(&self, parameters: &str) -> String {
        let url = self.url();
        format!("{url}{}{parameters}", if url.contains('?') { '&' } else { '?' })
    }

    pub(crate) fn pool(&self) -> Database {
        self.pool_with("connection_limit=10")
    }

    pub(crate) fn pool_with(&self, parameters: &str) -> Database {
        Database::new(PoolOptions::from_url(&self.url_with(parameters)).unwrap()).unwrap()
    }

    /// Runs SQL on a connection of its own.
    pub(crate) async fn run(&self, sql: &str) {
        self.first_column(sql).await;
    }

    /// The first column of what a query gives, as text; NULL is empty.
    pub(crate) async fn first_column(&self, sql: &str) -> Vec<String> {
        let (client, connection) = tokio_postgres::connect(self.url(), NoTls).await.unwrap();
        let query = async move { client.simple_query(sql).await };
        let (_closed, answer) = tokio::join!(connection, query);
        let cell = |message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        };
        answer.unwrap().into_iter().filter_map(cell).collect()
    }

    pub(crate) async fn value(&self, sql: &str) -> String {
        self.first_column(sql).await.into_iter().next().unwrap_or_default()
    }

    /// Awaits that a query gives this.
    pub(crate) async fn await_value(&self, sql: &str, wanted: impl Display) {
        let wanted = wanted.to_string();
        let seen = async {
            while self.value(sql).await != wanted {
                tokio::task::yield_now().await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(10), seen).await;
        assert!(seen.is_ok(), "{sql} never gave {wanted}, but {}", self.value(sql).await);
    }

    /// Awaits that no session of ours is left in a transaction.
    pub(crate) async fn await_no_open_transaction(&self) {
        self.await_value(OPEN_TRANSACTIONS, 0).await;
    }

    /// Awaits that this many sessions of ours wait for a lock.
    pub(crate) async fn await_waiting(&self, many: usize) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name = 'subtle' AND wait_event_type = 'Lock'";
        self.await_value(waiting, many).await;
    }

    /// Ends all sessions of pools.
    pub(crate) async fn kill_all(&self) {
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = 'subtle'",
        )
        .await;
    }

    /// A connection that may hold something open.
    pub(crate) async fn connection(&self) -> AsyncPgConnection {
        AsyncPgConnection::establish(self.url()).await.unwrap()
    }

    /// A connection that hears of revocations.
    pub(crate) async fn listener(&self) -> AsyncPgConnection {
        let mut connection = self.connection().await;
        connection.batch_execute("LISTEN subtle_revocations").await.unwrap();
        connection
    }

    pub(crate) async fn add(&self, user: &User) {
        let mut unit = store(self.pool_with("connection_limit=1")).begin().await.unwrap();
        let new = NewUser { user: user.clone(), hash: hash('a') };
        assert!(unit.users().add(&new).await.unwrap());
        unit.commit().await.unwrap();
    }

    pub(crate) async fn add_session(&self, session: &Session) {
        let mut unit = store(self.pool_with("connection_limit=1")).begin().await.unwrap();
        unit.sessions().add(session).await.unwrap();
        unit.commit().await.unwrap();
    }
}

pub(crate) const OPEN_TRANSACTIONS: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND application_name = 'subtle' AND state LIKE 'idle in transaction%'";

fn migrate_in_a_runtime(url: &str) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(migrations::migrate(url))?;
    Ok(())
}

/// The next so many announcements.
pub(crate) async fn heard(listener: &mut AsyncPgConnection, many: usize) -> Vec<String> {
    let notifications = listener.notifications_stream().take(many);
    let payloads = notifications.map(|notification| notification.unwrap().payload);
    tokio::time::timeout(Duration::from_secs(10), payloads.collect()).await.unwrap()
}

/// Begins units of work.
pub(crate) fn store(database: Database) -> PgStore {
    store_by(&["secret"], database)
}

/// The same, proving audit rows by these secrets, newest first.
pub(crate) fn store_by(secrets: &'static [&'static str], database: Database) -> PgStore {
    PgStore::new(database, Arc::new(TestProof(secrets)))
}

/// Tells apart what differs, and secrets; nobody attacks it.
struct TestProof(&'static [&'static str]);

impl TestProof {
    fn by(secret: &str, bytes: &[u8]) -> Vec<u8> {
        let quarter = |part: u8| {
            let mut hasher = DefaultHasher::new();
            (secret, bytes, part).hash(&mut hasher);
            hasher.finish().to_be_bytes()
        };
        (0..4).flat_map(quarter).collect()
    }

    fn is_by_any(&self, bytes: &[u8], proof: &[u8]) -> bool {
        self.0.iter().any(|secret| Self::by(secret, bytes) == proof)
    }
}

impl AuditProof for TestProof {
    fn mac(&self, row: &[u8]) -> Vec<u8> {
        Self::by(self.0.first().unwrap(), row)
    }

    fn is_mac(&self, row: &[u8], mac: &[u8]) -> bool {
        self.is_by_any(row, mac)
    }

    fn hash(&self, bytes: &[u8]) -> Vec<u8> {
        Self::by("", bytes)
    }

    fn sign(&self, seal: &[u8]) -> Vec<u8> {
        self.mac(seal)
    }

    fn is_signature(&self, seal: &[u8], signature: &[u8]) -> bool {
        self.is_by_any(seal, signature)
    }
}

pub(crate) fn start() -> Timestamp {
    DateTime::from_timestamp_millis(1_700_000_000_123).unwrap()
}

pub(crate) fn later(seconds: i64) -> Timestamp {
    start() + TimeDelta::seconds(seconds)
}

pub(crate) fn user_id(text: &str) -> UserId {
    UserId::parse(text).unwrap()
}

pub(crate) fn session_id(text: &str) -> SessionId {
    SessionId::parse(text).unwrap()
}

pub(crate) fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

pub(crate) fn hash(filler: char) -> PasswordHash {
    PasswordHash::parse(&format!("$2b$10${}", String::from(filler).repeat(53))).unwrap()
}

/// An active account, `<id>@example.com`.
pub(crate) fn user(id: &str) -> User {
    User {
        id: user_id(id),
        email: email(&format!("{id}@example.com")),
        full_name: Some(FullName::parse("Ada 李").unwrap()),
        avatar_url: Some(AvatarUrl::parse("https://example.com/ada.png").unwrap()),
        subscription_tier: SubscriptionTier::Pro,
        role: Role::Support,
        email_verified: true,
        created_at: start(),
        updated_at: later(1),
        disabled_at: None,
        deleted_at: None,
        second_factor_at: None,
    }
}

/// A session in its first generation.
pub(crate) fn session(id: &str, user: &str) -> Session {
    Session {
        id: session_id(id),
        user_id: user_id(user),
        generation: Generation::FIRST,
        digest: TokenDigest::new(format!("digest of {id}")),
        salt: (0..16).collect(),
        created_at: start(),
        authenticated_at: start(),
        assurance: Assurance::Password,
        expires_at: start() + SessionPolicy::default().absolute,
        last_used_at: start(),
        revoked_at: None,
        client: ClientInfo {
            ip_address: Some("2001:db8::1".parse().unwrap()),
            user_agent: Some("Tests/1".to_owned()),
        },
    }
}

pub(crate) fn is_unavailable<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Unavailable(_)))
}

/// Where to listen for who comes by a URL, and where the database is. `None` if it isn't behind a unix socket.
pub(crate) async fn door(home: &Home) -> Option<(TcpListener, String, PathBuf)> {
    let config: tokio_postgres::Config = home.url().parse().unwrap();
    let Some(Host::Unix(folder)) = config.get_hosts().first() else { return None };
    let socket = folder.join(".s.PGSQL.5432");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (user, name) = (config.get_user()?, config.get_dbname()?);
    let url = format!("postgres://{user}@{}/{name}", listener.local_addr().unwrap());
    Some((listener, url, socket))
}
