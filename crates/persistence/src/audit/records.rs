use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Binary, Jsonb, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use subtle_domain::Timestamp;
use subtle_domain::ports::{AuditProof, StoreError};

use super::canonical::{self, Canonical};
use crate::schema::{audit_logs, users};
use crate::unit_of_work::PgUnitOfWork;

/// Appends a row and puts it into the sealer's queue.
const APPEND: &str = "
    WITH appended AS (
        INSERT INTO audit_logs (id, admin_id, user_id, action, details, ip_address, created_at, subject_id, mac)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        RETURNING id
    )
    INSERT INTO audit_unsealed (audit_id) SELECT id FROM appended";

/// A row of the trail.
#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_logs)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) admin_id: String,
    pub(super) user_id: Option<String>,
    pub(super) action: String,
    pub(super) details: Option<Value>,
    pub(super) ip_address: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) subject_id: Option<String>,
    pub(super) mac: Option<Vec<u8>>,
}

impl Row {
    pub(super) async fn append(&self, connection: &mut AsyncPgConnection) -> QueryResult<usize> {
        sql_query(APPEND)
            .bind::<Text, _>(&self.id)
            .bind::<Text, _>(&self.admin_id)
            .bind::<Nullable<Text>, _>(&self.user_id)
            .bind::<Text, _>(&self.action)
            .bind::<Nullable<Jsonb>, _>(&self.details)
            .bind::<Nullable<Text>, _>(&self.ip_address)
            .bind::<Timestamptz, _>(self.created_at)
            .bind::<Nullable<Text>, _>(&self.subject_id)
            .bind::<Nullable<Binary>, _>(&self.mac)
            .execute(connection)
            .await
    }

    /// What its MAC is over. The link to the user is left out: it becomes NULL when the user's row is deleted.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let details = self.details.as_ref().map(canonical::json);
        Canonical::new("subtle audit row v1")
            .text(&self.id)
            .text(&self.admin_id)
            .optional(self.subject_id.as_deref().map(str::as_bytes))
            .text(&self.action)
            .optional(details.as_deref().map(str::as_bytes))
            .optional(self.ip_address.as_deref().map(str::as_bytes))
            .time(self.created_at)
            .done()
    }

    /// What a seal keeps of it: SHA-256 over all it says and its MAC.
    pub(super) fn hash(&self, proof: &dyn AuditProof) -> Vec<u8> {
        let sealed = Canonical::new("subtle sealed audit row v1").bytes(&self.canonical());
        proof.hash(&sealed.optional(self.mac.as_deref()).done())
    }

    /// Whether its MAC is ours.
    pub(super) fn is_ours(&self, proof: &dyn AuditProof) -> bool {
        self.mac.as_deref().is_some_and(|mac| proof.is_mac(&self.canonical(), mac))
    }

    /// Whether the link leads to whom the row is about. Without a link that user must be gone.
    pub(super) fn is_linked_well(&self, there: &HashSet<String>) -> bool {
        match &self.user_id {
            Some(_) => self.user_id == self.subject_id,
            None => self.subject_id.as_ref().is_none_or(|subject| !there.contains(subject)),
        }
    }
}

/// The rows of these identifiers, in their order; `None` for one that is not there.
pub(super) async fn rows(unit: &mut PgUnitOfWork, ids: &[String]) -> Result<Vec<Option<Row>>, StoreError> {
    let found: Vec<Row> = step!(unit, connection => audit_logs::table
        .filter(audit_logs::id.eq_any(ids))
        .select(Row::as_select())
        .load(connection))?;
    let mut found: HashMap<_, _> = found.into_iter().map(|row| (row.id.clone(), row)).collect();
    Ok(ids.iter().map(|id| found.remove(id)).collect())
}

/// Those of the users whom rows without a link are about that are there.
pub(super) async fn subjects_there(
    unit: &mut PgUnitOfWork,
    rows: &[Option<Row>],
) -> Result<HashSet<String>, StoreError> {
    let unlinked = rows.iter().flatten().filter(|row| row.user_id.is_none());
    let subjects: Vec<&String> = unlinked.filter_map(|row| row.subject_id.as_ref()).collect();
    if subjects.is_empty() {
        return Ok(HashSet::new());
    }
    let there: Vec<String> = step!(unit, connection => users::table
        .filter(users::id.eq_any(subjects))
        .select(users::id)
        .load(connection))?;
    Ok(there.into_iter().collect())
}
