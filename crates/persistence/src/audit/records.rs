use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Binary, Jsonb, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use subtle_domain::Timestamp;
use subtle_domain::ports::StoreError;
use subtle_domain::seal::ProvenRow;

use super::details;
use crate::prepared::Prepare;
use crate::schema::users;
use crate::unit_of_work::PgUnitOfWork;

/// Appends a row and puts it into the sealer's queue.
const APPEND: &str = "
    WITH appended AS (
        INSERT INTO audit_logs (id, admin_id, user_id, action, details, ip_address, created_at, subject_id, mac)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $3, $8)
        RETURNING id
    )
    INSERT INTO audit_unsealed (audit_id) SELECT id FROM appended";

/// Rows, whatever somebody else has written into them: no document and no time makes the others unreadable.
const READ: &str = "
    SELECT id, admin_id, user_id, action, details::text AS details, ip_address, subject_id, mac,
        CASE WHEN isfinite(created_at) THEN (extract(epoch FROM created_at) * 1000)::bigint END AS created_at
    FROM audit_logs WHERE id = ANY ($1)";

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    admin_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    user_id: Option<String>,
    #[diesel(sql_type = Text)]
    action: String,
    #[diesel(sql_type = Nullable<Text>)]
    details: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    ip_address: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    subject_id: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    mac: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<BigInt>)]
    created_at: Option<i64>,
}

/// A row, and the account that it is linked to.
pub(super) struct Linked {
    pub(super) row: ProvenRow,
    user_id: Option<String>,
}

impl From<Row> for Linked {
    fn from(row: Row) -> Self {
        let canonical = |text: String| {
            // What we can't read we have not written; then it stands for itself.
            serde_json::from_str::<Value>(&text).map_or(text, |value| details::canonical(&value))
        };
        let proven = ProvenRow {
            id: row.id,
            actor: row.admin_id,
            subject: row.subject_id,
            action: row.action,
            details: row.details.map(canonical),
            address: row.ip_address,
            at: row.created_at,
            mac: row.mac,
        };
        Self { row: proven, user_id: row.user_id }
    }
}

impl Linked {
    /// Whether the link leads to whom the row is about. Without a link that account must be gone.
    pub(super) fn is_linked_well(&self, there: &HashSet<String>) -> bool {
        let subject = self.row.subject.as_ref();
        match &self.user_id {
            Some(user) => subject == Some(user),
            None => subject.is_none_or(|subject| !there.contains(subject)),
        }
    }
}

pub(super) async fn append(
    row: &ProvenRow,
    details: &Value,
    at: Timestamp,
    connection: &mut AsyncPgConnection,
) -> QueryResult<usize> {
    sql_query(APPEND)
        .bind::<Text, _>(&row.id)
        .bind::<Text, _>(&row.actor)
        .bind::<Nullable<Text>, _>(&row.subject)
        .bind::<Text, _>(&row.action)
        .bind::<Jsonb, _>(details)
        .bind::<Nullable<Text>, _>(&row.address)
        .bind::<Timestamptz, _>(at)
        .bind::<Nullable<Binary>, _>(&row.mac)
        .prepared()
        .execute(connection)
        .await
}

/// The rows of these identifiers, in their order; `None` for one that is not there.
pub(super) async fn rows(unit: &mut PgUnitOfWork, ids: &[String]) -> Result<Vec<Option<Linked>>, StoreError> {
    let found: Vec<Row> =
        step!(unit, connection => sql_query(READ).bind::<Array<Text>, _>(ids).prepared().load(connection))?;
    let mut found: HashMap<_, _> = found.into_iter().map(|row| (row.id.clone(), row)).collect();
    Ok(ids.iter().map(|id| found.remove(id).map(Linked::from)).collect())
}

/// Those of the accounts whom rows without a link are about that are there.
pub(super) async fn subjects_there(
    unit: &mut PgUnitOfWork,
    rows: &[Option<Linked>],
) -> Result<HashSet<String>, StoreError> {
    let unlinked = rows.iter().flatten().filter(|linked| linked.user_id.is_none());
    let subjects: Vec<&String> = unlinked.filter_map(|linked| linked.row.subject.as_ref()).collect();
    if subjects.is_empty() {
        return Ok(HashSet::new());
    }
    let there: Vec<String> = step!(unit, connection => users::table
        .filter(users::id.eq_any(subjects))
        .select(users::id)
        .load(connection))?;
    Ok(there.into_iter().collect())
}
