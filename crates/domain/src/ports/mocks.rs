use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::{
    AuditLog, MockAuditLog, MockSessionRepository, MockUserRepository, SessionRepository, StoreError,
    UnitOfWork, UserRepository,
};

/// A unit of work over mocks, which tells whether it was committed.
#[derive(Default)]
pub struct MockUnit {
    /// Its accounts.
    pub users: MockUserRepository,
    /// Its sessions.
    pub sessions: MockSessionRepository,
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
