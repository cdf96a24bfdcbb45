//! Reading in the audit trail.

use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use diesel_async::RunQueryDsl;
use subtle_domain::Timestamp;
use subtle_domain::audit::{AuditCursor, AuditQuery, AuditedAct, RecordedAudit};
use subtle_domain::ids::UserId;
use subtle_domain::ports::{AuditTrail, StoreError};

use crate::pool::Database;
use crate::schema::audit_logs;
use crate::scope::Scope;

diesel::define_sql_function! {
    fn coalesce(one: Nullable<Text>, other: Nullable<Text>) -> Nullable<Text>;
}

/// The audit trail in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgAuditTrail {
    database: Database,
}

impl PgAuditTrail {
    /// That of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_logs)]
struct Row {
    id: String,
    admin_id: String,
    user_id: Option<String>,
    subject_id: Option<String>,
    action: String,
    // As PostgreSQL prints it: a parser of ours would not keep every number.
    #[diesel(select_expression = sql::<Nullable<Text>>("details::text"))]
    #[diesel(select_expression_type = SqlLiteral<Nullable<Text>>)]
    details: Option<String>,
    ip_address: Option<String>,
    created_at: Timestamp,
}

impl From<Row> for RecordedAudit {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            actor: row.admin_id,
            // Rows of other programs have the link alone; the link of a user whose row was deleted is gone.
            subject: row.subject_id.or(row.user_id),
            action: row.action,
            details: row.details,
            address: row.ip_address,
            at: row.created_at,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_logs)]
struct ActRow {
    id: String,
    action: String,
    created_at: Timestamp,
}

impl From<ActRow> for AuditedAct {
    fn from(row: ActRow) -> Self {
        Self { id: row.id, action: row.action, at: row.created_at }
    }
}

#[async_trait]
impl AuditTrail for PgAuditTrail {
    async fn page(
        &self,
        query: &AuditQuery,
        after: Option<AuditCursor>,
        limit: u32,
    ) -> Result<Vec<RecordedAudit>, StoreError> {
        let rows: Vec<Row> = repeatable!(self.database, connection => {
            let mut page = audit_logs::table
                .order((audit_logs::created_at.desc(), audit_logs::id.desc()))
                .limit(limit.into())
                .select(Row::as_select())
                .into_boxed();
            if let Some(action) = &query.action {
                page = page.filter(audit_logs::action.eq(action.as_str()));
            }
            if let Some(subject) = &query.subject {
                page = page.filter(coalesce(audit_logs::subject_id, audit_logs::user_id).eq(subject.as_str()));
            }
            if let Some(actor) = &query.actor {
                page = page.filter(audit_logs::admin_id.eq(actor.as_str()));
            }
            if let Some(from) = query.from {
                page = page.filter(audit_logs::created_at.ge(from));
            }
            if let Some(to) = query.to {
                page = page.filter(audit_logs::created_at.lt(to));
            }
            if let Some((at, id)) = &after {
                let earlier = audit_logs::created_at.lt(*at);
                let tied = audit_logs::created_at.eq(*at).and(audit_logs::id.lt(id.as_str()));
                // The index is entered at the bound; the rest alone would be a filter over all that is newer.
                page = page.filter(audit_logs::created_at.le(*at)).filter(earlier.or(tied));
            }
            page.load(connection)
        })?;
        Ok(rows.into_iter().map(RecordedAudit::from).collect())
    }

    async fn acts_on(
        &self,
        user: &UserId,
        after: Option<AuditCursor>,
        limit: u32,
    ) -> Result<Vec<AuditedAct>, StoreError> {
        let scope = Scope::of_reader(&self.database, user);
        let rows: Vec<ActRow> = scoped!(self.database, scope, connection => {
            let mut acts = audit_logs::table
                .filter(coalesce(audit_logs::subject_id, audit_logs::user_id).eq(user.as_str()))
                .order((audit_logs::created_at.desc(), audit_logs::id.desc()))
                .limit(limit.into())
                .select(ActRow::as_select())
                .into_boxed();
            if let Some((at, id)) = &after {
                let earlier = audit_logs::created_at.lt(*at);
                let tied = audit_logs::created_at.eq(*at).and(audit_logs::id.lt(id.as_str()));
                acts = acts.filter(audit_logs::created_at.le(*at)).filter(earlier.or(tied));
            }
            acts.load(connection)
        })?;
        Ok(rows.into_iter().map(AuditedAct::from).collect())
    }
}
