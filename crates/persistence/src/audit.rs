//! The audit trail, inside a unit of work.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::{Map, Value, json};
use subtle_domain::audit::{AuditEntry, FieldChange, Origin};
use subtle_domain::ids::UserId;
use subtle_domain::ports::{AuditLog, StoreError};

use crate::schema::audit_logs;
use crate::unit_of_work::PgUnitOfWork;

/// `{"changes":{"role":{"before":"user","after":"admin"}},"via":"http"}`; a change whose values aren't kept has `null` for both.
/// What a service key did names it, and facts stand under `about`.
fn details(entry: &AuditEntry) -> Value {
    let change = |change: &FieldChange| {
        (change.field.to_owned(), json!({ "before": change.before, "after": change.after }))
    };
    let via = match &entry.origin {
        Origin::Http(_) => "http",
        Origin::CommandLine => "command_line",
        Origin::ServiceKey(..) => "service_key",
    };
    let mut details = Map::new();
    details.insert("changes".to_owned(), entry.changes.iter().map(change).collect());
    details.insert("via".to_owned(), via.into());
    if let Origin::ServiceKey(key, _) = &entry.origin {
        details.insert("serviceKey".to_owned(), key.as_str().into());
    }
    if !entry.facts.is_empty() {
        let facts = entry.facts.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
        details.insert("about".to_owned(), facts.collect());
    }
    details.into()
}

#[async_trait]
impl AuditLog for PgUnitOfWork {
    async fn append(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        let address = entry.origin.address().map(|address| address.to_string());
        step!(self, connection => diesel::insert_into(audit_logs::table)
            .values((
                audit_logs::id.eq(entry.id.as_str()),
                audit_logs::admin_id.eq(entry.actor.as_str()),
                audit_logs::user_id.eq(entry.subject.as_ref().map(UserId::as_str)),
                audit_logs::action.eq(entry.action.as_str()),
                audit_logs::details.eq(details(entry)),
                audit_logs::ip_address.eq(address),
                audit_logs::created_at.eq(entry.at),
            ))
            .execute(connection))?;
        Ok(())
    }
}
