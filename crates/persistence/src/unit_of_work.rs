//! The transaction: changes that happen together or not at all.
//!
//! `BEGIN` and `COMMIT` are sent as they are. diesel-async's transaction manager would keep books on them that go wrong when a
//! future is dropped in the middle; here nothing has to be kept, as a [`Lease`] that isn't given back closes its connection.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use diesel::QueryResult;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use subtle_domain::ports::{
    ActivityRepository, AuditLog, AuditProof, BillingRepository, BridgeRepository, FieldCipher,
    IdempotencyKeys, ImportRepository, NoteRepository, OneTimeRepository, OutboxRepository,
    SecondFactorRepository, ServiceKeyRepository, SessionRepository, Store, StoreError, SyncRepository,
    ThrottleRepository, UnitOfWork, UsageRepository, UserRepository,
};
use tokio::time::timeout;
use tracing::{Instrument as _, Span};

use crate::error::{Fault, store_error};
use crate::lease::{Lease, Repeat, Tries};
use crate::pool::{Database, Mute};
use crate::traces::TARGET;

/// Each statement sees what was committed before it, whatever the database's default is: what is read under a lock must be newer than
/// the lock.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// Begins transactions in PostgreSQL.
#[derive(Clone)]
pub struct PgStore {
    database: Database,
    proof: Arc<dyn AuditProof>,
}

impl PgStore {
    /// Those of `database`, whose audit rows `proof` authenticates.
    #[must_use]
    pub fn new(database: Database, proof: Arc<dyn AuditProof>) -> Self {
        Self { database, proof }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn proof(&self) -> &dyn AuditProof {
        &*self.proof
    }

    /// Begins a transaction with this statement.
    pub(crate) async fn open(&self, begin: &'static str) -> Result<PgUnitOfWork, StoreError> {
        let span = tracing::debug_span!(target: TARGET, "transaction", otel.kind = "client", db.system.name = "postgresql");
        let leased = async {
            let mut tries = Tries::new(Repeat::Harmless);
            loop {
                let mut lease = self.database.lease().await?;
                let patience = lease.patience();
                let connection = lease.connection().map_err(store_error)?;
                let outcome = timeout(patience, connection.batch_execute(begin)).await.ok();
                if matches!(outcome, Some(Ok(()))) {
                    return Ok(lease);
                }
                if let Some(Err(error)) = tries.conclude(lease, outcome) {
                    return Err(error);
                }
            }
        };
        let lease = self.database.in_time(leased.instrument(span.clone())).await?;
        Ok(PgUnitOfWork { patience: lease.patience(), lease, store: self.clone(), span, failed: false })
    }
}

#[async_trait]
impl Store for PgStore {
    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Ok(Box::new(self.open(BEGIN).await?))
    }
}

/// Something was asked of a transaction in which a statement had failed: all that is left to it is to be rolled back.
#[derive(Debug, thiserror::Error)]
#[error("an earlier statement of the unit of work has failed")]
struct Failed;

/// An open transaction. Implements the repositories of a unit of work, each in a file of its own.
pub(crate) struct PgUnitOfWork {
    lease: Lease,
    /// Whose it is.
    store: PgStore,
    /// Lasts as long as it does.
    span: Span,
    patience: Duration,
    /// After a failed statement PostgreSQL answers COMMIT with a rollback and no error.
    failed: bool,
}

impl PgUnitOfWork {
    pub(crate) fn connection(&mut self) -> Result<&mut AsyncPgConnection, StoreError> {
        if self.failed {
            return Err(StoreError::Defect(Box::new(Failed)));
        }
        self.lease.connection().map_err(store_error)
    }

    /// How long an answer may take.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Lets answers take this long.
    pub(crate) fn be_patient(&mut self, patience: Duration) {
        self.patience = patience;
    }

    pub(crate) fn proof(&self) -> &dyn AuditProof {
        self.store.proof()
    }

    pub(crate) fn cipher(&self) -> &dyn FieldCipher {
        self.store.database.cipher()
    }

    /// Whether there is a role to take on for one person's rows.
    pub(crate) fn protects_rows(&self) -> bool {
        self.store.database.protects_rows()
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Remembers how a statement ended; no outcome is a server that did not answer.
    pub(crate) fn conclude<T>(&mut self, outcome: Option<QueryResult<T>>) -> Result<T, StoreError> {
        let error = match outcome {
            Some(Ok(value)) => return Ok(value),
            Some(Err(error)) => error,
            None => {
                self.failed = true;
                self.lease.close(true);
                return Err(StoreError::Unavailable(Box::new(Mute)));
            }
        };
        self.failed = true;
        let fault = Fault::of(&error);
        if !fault.spares_connection() {
            self.lease.close(matches!(fault, Fault::StalePlan | Fault::Broken));
        }
        Err(store_error(error))
    }

    async fn end(mut self: Box<Self>, with: &str) -> Result<(), StoreError> {
        let patience = self.patience();
        let connection = self.lease.connection().map_err(store_error)?;
        let span = tracing::debug_span!(target: TARGET, parent: &self.span, "end of transaction", otel.kind = "client");
        let outcome = timeout(patience, connection.batch_execute(with)).instrument(span).await.ok();
        self.conclude(outcome)?;
        self.lease.give_back();
        Ok(())
    }
}

/// Runs one statement of a unit of work: `step!(self, connection => query(connection))`.
macro_rules! step {
    ($unit:expr, $connection:ident => $query:expr) => {{
        let unit: &mut $crate::unit_of_work::PgUnitOfWork = $unit;
        let patience = unit.patience();
        let span = statement_span!(unit.span());
        let $connection = unit.connection()?;
        let answer = tokio::time::timeout(patience, $query);
        let outcome = tracing::Instrument::instrument(answer, span.clone()).await.ok();
        $crate::traces::ended(&span, outcome.as_ref());
        unit.conclude(outcome)
    }};
}

#[async_trait]
impl UnitOfWork for PgUnitOfWork {
    fn users(&mut self) -> &mut dyn UserRepository {
        self
    }

    fn sessions(&mut self) -> &mut dyn SessionRepository {
        self
    }

    fn usage(&mut self) -> &mut dyn UsageRepository {
        self
    }

    fn billing(&mut self) -> &mut dyn BillingRepository {
        self
    }

    fn activity(&mut self) -> &mut dyn ActivityRepository {
        self
    }

    fn bridges(&mut self) -> &mut dyn BridgeRepository {
        self
    }

    fn sync(&mut self) -> &mut dyn SyncRepository {
        self
    }

    fn notes(&mut self) -> &mut dyn NoteRepository {
        self
    }

    fn one_time(&mut self) -> &mut dyn OneTimeRepository {
        self
    }

    fn second_factors(&mut self) -> &mut dyn SecondFactorRepository {
        self
    }

    fn outbox(&mut self) -> &mut dyn OutboxRepository {
        self
    }

    fn throttle(&mut self) -> &mut dyn ThrottleRepository {
        self
    }

    fn service_keys(&mut self) -> &mut dyn ServiceKeyRepository {
        self
    }

    fn idempotency(&mut self) -> &mut dyn IdempotencyKeys {
        self
    }

    fn imports(&mut self) -> &mut dyn ImportRepository {
        self
    }

    fn audit(&mut self) -> &mut dyn AuditLog {
        self
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Defect(Box::new(Failed)));
        }
        // Nobody waited to hear that a step laid its role down. Had that failed, COMMIT alone would undo all and call it done.
        self.end("SET LOCAL ROLE NONE; COMMIT").await
    }

    async fn rollback(self: Box<Self>) -> Result<(), StoreError> {
        // Without its connection it has been undone already.
        if self.lease.is_closed() { Ok(()) } else { self.end("ROLLBACK").await }
    }
}
