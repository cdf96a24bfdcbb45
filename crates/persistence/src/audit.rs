//! The audit trail: appending inside a unit of work, sealing what was committed, finding out whether all of it is still there. What
//! proves rows and seals is the domain's.

mod details;
mod records;
mod sealer;
mod sealing;
mod seals;
mod verifier;

use async_trait::async_trait;
use subtle_domain::audit::AuditEntry;
use subtle_domain::ids::UserId;
use subtle_domain::ports::{AuditLog, StoreError};
use subtle_domain::seal::ProvenRow;

pub use self::sealer::{PgAuditSealer, Unsealable};
pub use self::sealing::{AuditSealing, SealingStatus};
pub use self::verifier::{AuditVerdict, PgAuditVerifier};

use crate::unit_of_work::PgUnitOfWork;

#[async_trait]
impl AuditLog for PgUnitOfWork {
    async fn append(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        let details = details::of(entry);
        let row = ProvenRow {
            id: entry.id.to_string(),
            actor: entry.actor.to_string(),
            subject: entry.subject.as_ref().map(UserId::to_string),
            action: entry.action.as_str().to_owned(),
            details: Some(details::canonical(&details)),
            address: entry.origin.address().map(|address| address.to_string()),
            at: Some(entry.at.timestamp_millis()),
            mac: None,
        };
        let row = row.prove(self.proof());
        step!(self, connection => records::append(&row, &details, entry.at, connection))?;
        Ok(())
    }
}
