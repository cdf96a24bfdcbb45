//! Connections: how they are made, who gets one and for how long.
//!
//! Connections belong to an era. When one turns out to be broken, or to hold a prepared statement that a migration has outdated,
//! a new era begins and none of an older one is handed out any more: what happened to one has most likely happened to all. So a
//! second try gets a new connection.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolConfig, PoolError, RecycleError, RecycleResult, TimeoutType, Timeouts,
};
use diesel::result::Error;
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use subtle_domain::ports::{FieldCipher, StoreError};
use subtle_metrics::{Counter, Histogram};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::NoTls;
use tracing::Instrument as _;

use crate::encryption::NoKeys;
use crate::lease::Lease;
use crate::options::PoolOptions;
use crate::traces::TARGET;

/// How much longer than its limits the server is given to say that they are reached. After that it counts as mute.
const MUTE: Duration = Duration::from_millis(500);

/// Why no connection could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server was not reached, or turned us away.
    #[error("cannot connect to PostgreSQL")]
    Refused(#[from] tokio_postgres::Error),
    /// The connection could not be prepared for use.
    #[error("cannot set up a connection to PostgreSQL")]
    Setup(#[from] diesel::ConnectionError),
    /// One of our settings was not taken.
    #[error("cannot set up a connection to PostgreSQL")]
    Settings(#[from] Error),
    /// Neither happened in time.
    #[error("PostgreSQL does not answer")]
    Mute,
}

/// The server said nothing within the time in which it should have given up itself.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL does not answer")]
pub(crate) struct Mute;

/// Makes connections, and throws out those of an older era.
pub(crate) struct Connector {
    options: PoolOptions,
    settings: String,
    era: AtomicU64,
    runtime: Handle,
}

/// A connection and its era.
pub(crate) struct Link {
    connection: AsyncPgConnection,
    era: u64,
}

impl Connector {
    /// One whose connections live on the runtime that this is called in.
    pub(crate) fn new(options: PoolOptions) -> Self {
        let settings = settings(&options);
        Self { options, settings, era: AtomicU64::new(0), runtime: Handle::current() }
    }

    /// Makes a connection. The one place that would know about TLS.
    pub(crate) async fn connect(&self) -> Result<AsyncPgConnection, ConnectError> {
        let (config, settings) = (self.options.config.clone(), self.settings.clone());
        let dialled = async move {
            let (client, wire) = config.connect(NoTls).await?;
            let mut connection = AsyncPgConnection::try_from_client_and_connection(client, wire).await?;
            connection.batch_execute(&settings).await?;
            Ok(connection)
        };
        // The task that drives a connection lives where it was dialled. That must not be the runtime of a server's worker,
        // which serves one thread and ends before the others do.
        let dialled = self.runtime.spawn(timeout(self.options.connect, dialled)).await;
        dialled.ok().and_then(Result::ok).unwrap_or(Err(ConnectError::Mute))
    }

    /// Begins a new era, unless one has begun since `link` was made.
    pub(crate) fn outdate(&self, link: &Link) {
        let next = link.era + 1;
        let _already_begun = self.era.compare_exchange(link.era, next, Ordering::AcqRel, Ordering::Acquire);
    }
}

impl Link {
    pub(crate) fn connection(&mut self) -> &mut AsyncPgConnection {
        &mut self.connection
    }
}

/// What isn't told by SQLSTATE is told by English words, and only a superuser may choose them. A statement whose caller has gone
/// is given up, even while it waits for a lock: PostgreSQL 14 and later can tell, on Linux for certain.
const WHERE_POSSIBLE: &str = "
SELECT set_config('lc_messages', 'C', false) FROM pg_roles WHERE rolname = current_user AND rolsuper;
SELECT set_config('client_connection_check_interval', '500ms', false)
    WHERE current_setting('server_version_num')::int >= 140000 AND version() LIKE '%linux%';";

fn settings(options: &PoolOptions) -> String {
    let ms = |limit: Duration| limit.as_millis();
    let search_path = options.schema.as_ref().map(|schema| format!("SET search_path = \"{schema}\";"));
    format!(
        "SET timezone = 'UTC'; SET default_transaction_isolation = 'read committed'; SET statement_timeout = {}; SET lock_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}; {} {WHERE_POSSIBLE}",
        ms(options.statement),
        ms(options.lock),
        ms(options.idle_in_transaction),
        search_path.unwrap_or_default()
    )
}

impl Manager for Connector {
    type Type = Link;
    type Error = ConnectError;

    async fn create(&self) -> Result<Link, ConnectError> {
        let era = self.era.load(Ordering::Acquire);
        Ok(Link { connection: self.connect().await?, era })
    }

    /// Costs no round trip: the task that drives a connection notices when the other side hangs up.
    async fn recycle(&self, link: &mut Link, _: &Metrics) -> RecycleResult<ConnectError> {
        if link.era != self.era.load(Ordering::Acquire) {
            return Err(RecycleError::message("of an older era"));
        }
        if link.connection.is_broken() {
            return Err(RecycleError::message("closed"));
        }
        Ok(())
    }
}

/// A database: a pool of connections that come when they are needed. Clones share it.
#[derive(Clone)]
pub struct Database {
    pool: Pool<Connector>,
    waits: Arc<PoolWaits>,
    cipher: Arc<dyn FieldCipher>,
}

/// How long callers waited for a connection, and how often in vain.
#[derive(Debug)]
pub struct PoolWaits {
    /// All waits, those in vain too; a new connection's making is part of them.
    pub waited: Histogram,
    /// Callers for whom no connection became free in time.
    pub timeouts: Counter,
    /// Callers for whom none could be made.
    pub failures: Counter,
}

impl PoolWaits {
    fn new() -> Self {
        let waited = Histogram::new(Histogram::ANSWERS);
        Self { waited, timeouts: Counter::default(), failures: Counter::default() }
    }

    fn note(&self, waited: Duration, got: &Result<Object<Connector>, PoolError<ConnectError>>) {
        self.waited.observe(waited);
        match got {
            Ok(_) => {}
            Err(PoolError::Timeout(TimeoutType::Wait)) => self.timeouts.count(),
            Err(_) => self.failures.count(),
        }
    }
}

/// How the pool is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Connections there may be.
    pub limit: usize,
    /// Connections there are.
    pub open: usize,
    /// Those of them that nobody uses.
    pub idle: usize,
    /// Callers that wait for one.
    pub waiting: usize,
}

impl Database {
    /// A pool for these options, on the runtime that this is called in. Connects to nothing yet.
    pub fn new(options: PoolOptions) -> Result<Self, StoreError> {
        let config = PoolConfig {
            timeouts: Timeouts {
                wait: Some(options.wait),
                // The connector has its own, shorter by what makes it the one that is told.
                create: Some(options.connect + MUTE),
                recycle: Some(options.connect),
            },
            ..PoolConfig::new(options.connections)
        };
        let builder = Pool::builder(Connector::new(options)).config(config).runtime(Runtime::Tokio1);
        let pool = builder.build().map_err(|error| StoreError::Defect(Box::new(error)))?;
        Ok(Self { pool, waits: Arc::new(PoolWaits::new()), cipher: Arc::new(NoKeys) })
    }

    /// The same connections, with a cipher for the values that are kept encrypted. Without one they are kept plain, and what is
    /// encrypted can't be read.
    #[must_use]
    pub fn with_cipher(self, cipher: Arc<dyn FieldCipher>) -> Self {
        Self { cipher, ..self }
    }

    pub(crate) fn cipher(&self) -> &dyn FieldCipher {
        &*self.cipher
    }

    /// How the pool is doing, for metrics.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus {
            limit: status.max_size,
            open: status.size,
            idle: status.available,
            waiting: status.waiting,
        }
    }

    /// How long its callers waited.
    #[must_use]
    pub fn waits(&self) -> &PoolWaits {
        &self.waits
    }

    /// Whether there is a role to take on for one person's rows.
    pub(crate) fn protects_rows(&self) -> bool {
        self.pool.manager().options.protects_rows
    }

    /// Where connections live, and what uses them for many callers.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.pool.manager().runtime
    }

    /// A connection from the pool, for one statement or one transaction.
    pub(crate) async fn lease(&self) -> Result<Lease, StoreError> {
        let asked = Instant::now();
        let span = tracing::debug_span!(target: TARGET, "connection", otel.kind = "client");
        let got = self.pool.get().instrument(span).await;
        self.waits.note(asked.elapsed(), &got);
        match got {
            Ok(object) => Ok(Lease::new(object, self.pool.manager().options.statement + MUTE)),
            Err(error) => Err(StoreError::Unavailable(Box::new(error))),
        }
    }

    /// A connection outside the pool, for one who keeps it: to listen on, say.
    pub(crate) async fn connect(&self) -> Result<AsyncPgConnection, ConnectError> {
        self.pool.manager().connect().await
    }

    /// Awaits the end of a piece of work that begins with waiting for a connection.
    pub(crate) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let options = &self.pool.manager().options;
        let deadline = Instant::now() + options.wait.max(options.statement) + MUTE;
        timeout_at(deadline, work).await.unwrap_or_else(|_| Err(StoreError::Unavailable(Box::new(Mute))))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("status", &self.status()).finish_non_exhaustive()
    }
}
