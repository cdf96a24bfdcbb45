use std::error::Error;

use async_trait::async_trait;

use super::{
    ActivityRepository, AuditLog, BillingRepository, BridgeRepository, IdempotencyKeys, ImportRepository,
    NoteRepository, OneTimeRepository, OutboxRepository, SecondFactorRepository, ServiceKeyRepository,
    SessionRepository, SyncRepository, ThrottleRepository, UsageRepository, UserRepository,
};

/// Why the store did not do as it was asked. That something is not there is no error but a `None`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A rule of the database was broken that the caller did not ask about.
    #[error("the store refused a value: {0}")]
    Conflict(#[source] Box<dyn Error + Send + Sync>),
    /// A row holds what this program can't read.
    #[error("a row of {table} holds an unfit {column}")]
    Corrupt {
        /// The row's table.
        table: &'static str,
        /// The column at fault.
        column: &'static str,
    },
    /// The work was undone through no fault of its own (a deadlock, a changed schema): doing it all again will help.
    #[error("the store asks for another try")]
    Again(#[source] Box<dyn Error + Send + Sync>),
    /// The store can't be reached, or takes too long.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The statement is wrong: a defect of this program.
    #[error("the store did not understand a statement")]
    Defect(#[source] Box<dyn Error + Send + Sync>),
}

/// Where everything is kept.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Store: Send + Sync {
    /// Begins a unit of work.
    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError>;
}

/// Changes that happen together or not at all. Dropped without [`UnitOfWork::commit`], none of them has happened.
#[async_trait]
pub trait UnitOfWork: Send {
    /// Accounts.
    fn users(&mut self) -> &mut dyn UserRepository;
    /// Sessions.
    fn sessions(&mut self) -> &mut dyn SessionRepository;
    /// Usage and holds.
    fn usage(&mut self) -> &mut dyn UsageRepository;
    /// The ledger.
    fn billing(&mut self) -> &mut dyn BillingRepository;
    /// The activity timeline.
    fn activity(&mut self) -> &mut dyn ActivityRepository;
    /// Bridge tokens.
    fn bridges(&mut self) -> &mut dyn BridgeRepository;
    /// Sync logs.
    fn sync(&mut self) -> &mut dyn SyncRepository;
    /// Notes.
    fn notes(&mut self) -> &mut dyn NoteRepository;
    /// Tokens in letters.
    fn one_time(&mut self) -> &mut dyn OneTimeRepository;
    /// Second factors.
    fn second_factors(&mut self) -> &mut dyn SecondFactorRepository;
    /// Letters that wait to be sent.
    fn outbox(&mut self) -> &mut dyn OutboxRepository;
    /// What may be done so often and no more.
    fn throttle(&mut self) -> &mut dyn ThrottleRepository;
    /// Service keys.
    fn service_keys(&mut self) -> &mut dyn ServiceKeyRepository;
    /// Keys of repeated requests.
    fn idempotency(&mut self) -> &mut dyn IdempotencyKeys;
    /// Accounts of another service.
    fn imports(&mut self) -> &mut dyn ImportRepository;
    /// The audit trail.
    fn audit(&mut self) -> &mut dyn AuditLog;
    /// Makes all of it so.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
    /// Undoes all of it in good order. Dropping does too, at the price of the connection.
    async fn rollback(self: Box<Self>) -> Result<(), StoreError>;
}
