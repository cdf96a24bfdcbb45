use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::{
    ActivityRepository, AuditLog, BillingRepository, BridgeRepository, IdempotencyKeys, ImportRepository,
    MockActivityRepository, MockAuditLog, MockBillingRepository, MockBridgeRepository, MockIdempotencyKeys,
    MockImportRepository, MockNoteRepository, MockOneTimeRepository, MockOutboxRepository,
    MockSecondFactorRepository, MockServiceKeyRepository, MockSessionRepository, MockSyncRepository,
    MockThrottleRepository, MockUsageRepository, MockUserRepository, NoteRepository, OneTimeRepository,
    OutboxRepository, SecondFactorRepository, ServiceKeyRepository, SessionRepository, StoreError,
    SyncRepository, ThrottleRepository, UnitOfWork, UsageRepository, UserRepository,
};

/// A unit of work over mocks, which tells whether it was committed.
#[derive(Default)]
pub struct MockUnit {
    /// Its accounts.
    pub users: MockUserRepository,
    /// Its sessions.
    pub sessions: MockSessionRepository,
    /// Its usage and holds.
    pub usage: MockUsageRepository,
    /// Its ledger.
    pub billing: MockBillingRepository,
    /// Its activity timeline.
    pub activity: MockActivityRepository,
    /// Its bridge tokens.
    pub bridges: MockBridgeRepository,
    /// Its sync logs.
    pub sync: MockSyncRepository,
    /// Its notes.
    pub notes: MockNoteRepository,
    /// Its tokens in letters.
    pub one_time: MockOneTimeRepository,
    /// Its second factors.
    pub second_factors: MockSecondFactorRepository,
    /// Its letters.
    pub outbox: MockOutboxRepository,
    /// What may be done in it so often and no more.
    pub throttle: MockThrottleRepository,
    /// Its service keys.
    pub service_keys: MockServiceKeyRepository,
    /// Its keys of repeated requests.
    pub idempotency: MockIdempotencyKeys,
    /// Its accounts of another service.
    pub imports: MockImportRepository,
    /// Its audit trail.
    pub audit: MockAuditLog,
    /// Becomes true on commit.
    pub committed: Arc<AtomicBool>,
}

#[async_trait]
impl UnitOfWork for MockUnit {
    fn users(&mut self) -> &mut dyn UserRepository {
        &mut self.users
    }

    fn sessions(&mut self) -> &mut dyn SessionRepository {
        &mut self.sessions
    }

    fn usage(&mut self) -> &mut dyn UsageRepository {
        &mut self.usage
    }

    fn billing(&mut self) -> &mut dyn BillingRepository {
        &mut self.billing
    }

    fn activity(&mut self) -> &mut dyn ActivityRepository {
        &mut self.activity
    }

    fn bridges(&mut self) -> &mut dyn BridgeRepository {
        &mut self.bridges
    }

    fn sync(&mut self) -> &mut dyn SyncRepository {
        &mut self.sync
    }

    fn notes(&mut self) -> &mut dyn NoteRepository {
        &mut self.notes
    }

    fn one_time(&mut self) -> &mut dyn OneTimeRepository {
        &mut self.one_time
    }

    fn second_factors(&mut self) -> &mut dyn SecondFactorRepository {
        &mut self.second_factors
    }

    fn outbox(&mut self) -> &mut dyn OutboxRepository {
        &mut self.outbox
    }

    fn throttle(&mut self) -> &mut dyn ThrottleRepository {
        &mut self.throttle
    }

    fn service_keys(&mut self) -> &mut dyn ServiceKeyRepository {
        &mut self.service_keys
    }

    fn idempotency(&mut self) -> &mut dyn IdempotencyKeys {
        &mut self.idempotency
    }

    fn imports(&mut self) -> &mut dyn ImportRepository {
        &mut self.imports
    }

    fn audit(&mut self) -> &mut dyn AuditLog {
        &mut self.audit
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.committed.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn rollback(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}
