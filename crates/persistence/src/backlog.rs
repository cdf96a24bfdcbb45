//! What waits in the database to be done, for those who watch over the service.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Timestamptz};
use diesel_async::RunQueryDsl;
use subtle_domain::Timestamp;
use subtle_domain::ports::StoreError;

use crate::pool::Database;
use crate::prepared::Prepare;

/// One look, by indexes. Nobody needs to know how many there are beyond ten thousand, and counting them all would take long just when it
/// should not.
const LOOK: &str = "
    SELECT (SELECT count(*) FROM (SELECT FROM mail_outbox WHERE state = 'waiting' LIMIT 10000) AS counted) AS letters,
        (SELECT count(*) FROM (SELECT FROM mail_requests LIMIT 10000) AS counted) AS requests,
        (SELECT min(due_at) FROM mail_outbox WHERE state = 'waiting') AS oldest_due_at,
        (SELECT count(*) FROM (SELECT FROM audit_unsealed LIMIT 10000) AS counted) AS unsealed,
        (SELECT sealed_at FROM audit_seals ORDER BY number DESC LIMIT 1) AS sealed_at";

/// What waits, each counted to ten thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Backlog {
    /// Letters that are not sent yet.
    #[diesel(sql_type = BigInt)]
    pub letters: i64,
    /// Wishes for a letter that nobody has looked at.
    #[diesel(sql_type = BigInt)]
    pub requests: i64,
    /// When the letter that waits longest is due, or was.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub oldest_due_at: Option<Timestamp>,
    /// Rows of the audit trail without a seal.
    #[diesel(sql_type = BigInt)]
    pub unsealed: i64,
    /// When the last seal was made.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub sealed_at: Option<Timestamp>,
}

/// Looks at what waits in a database.
#[derive(Debug, Clone)]
pub struct PgBacklog {
    database: Database,
}

impl PgBacklog {
    /// In `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// A look.
    pub async fn look(&self) -> Result<Backlog, StoreError> {
        repeatable!(self.database, connection => sql_query(LOOK).prepared().get_result(connection))
    }
}
