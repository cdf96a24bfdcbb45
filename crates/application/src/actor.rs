use subtle_domain::Timestamp;
use subtle_domain::audit::{AuditAction, AuditEntry, FieldChange, Origin};
use subtle_domain::ids::UserId;

use crate::Ports;
use crate::admin::Privileged;
use crate::service_keys::Service;

/// Who uses a privilege, and by which door: an administrator or somebody of support, or a program with a service key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) id: UserId,
    pub(crate) origin: Origin,
}

impl From<&Privileged> for Actor {
    fn from(by: &Privileged) -> Self {
        Self { id: by.user_id().clone(), origin: Origin::Http(by.client().ip_address) }
    }
}

impl From<&Service> for Actor {
    fn from(by: &Service) -> Self {
        let origin = Origin::ServiceKey(by.key_id().clone(), by.client().ip_address);
        Self { id: by.maker().clone(), origin }
    }
}

/// What an audit entry tells.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) changes: Vec<FieldChange>,
    pub(crate) facts: Vec<(&'static str, String)>,
}

impl Told {
    /// A thing that was made or given up, by these facts.
    pub(crate) fn facts(facts: impl Into<Vec<(&'static str, String)>>) -> Self {
        Self { facts: facts.into(), changes: Vec::new() }
    }
}

impl Ports {
    /// The audit entry of an act.
    pub(crate) fn audit_entry(
        &self,
        by: &Actor,
        action: AuditAction,
        subject: Option<&UserId>,
        told: Told,
        now: Timestamp,
    ) -> AuditEntry {
        AuditEntry {
            id: self.ids.audit_id(),
            actor: by.id.clone(),
            subject: subject.cloned(),
            action,
            changes: told.changes,
            facts: told.facts,
            origin: by.origin.clone(),
            at: now,
        }
    }
}
