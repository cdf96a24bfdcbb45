//! The audit trail: appending inside a unit of work, sealing what was committed, finding out whether all of it is still there.

mod canonical;
mod details;
mod records;
mod seal;
mod sealer;
mod sealing;
mod verdict;
mod verifier;

use async_trait::async_trait;
use subtle_domain::audit::AuditEntry;
use subtle_domain::ids::UserId;
use subtle_domain::ports::{AuditLog, StoreError};

pub use self::sealer::PgAuditSealer;
pub use self::sealing::AuditSealing;
pub use self::verdict::{AuditBreach, AuditVerdict, SealedHead};
pub use self::verifier::PgAuditVerifier;

use self::records::Row;
use crate::unit_of_work::PgUnitOfWork;

#[async_trait]
impl AuditLog for PgUnitOfWork {
    async fn append(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        let subject = entry.subject.as_ref().map(UserId::to_string);
        let mut row = Row {
            id: entry.id.to_string(),
            admin_id: entry.actor.to_string(),
            user_id: subject.clone(),
            action: entry.action.as_str().to_owned(),
            details: Some(details::of(entry)),
            ip_address: entry.origin.address().map(|address| address.to_string()),
            created_at: entry.at,
            subject_id: subject,
            mac: None,
        };
        row.mac = Some(self.proof().mac(&row.canonical()));
        step!(self, connection => row.append(connection))?;
        Ok(())
    }
}
