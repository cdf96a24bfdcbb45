//! Whether the database answers.

use async_trait::async_trait;
use diesel_async::SimpleAsyncConnection;
use subtle_domain::ports::{Health, StoreError};

use crate::pool::Database;

/// Asks the database of a pool.
#[derive(Debug, Clone)]
pub struct PgHealth {
    database: Database,
}

impl PgHealth {
    /// Asks `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Health for PgHealth {
    async fn ping(&self) -> Result<(), StoreError> {
        repeatable!(self.database, connection => connection.batch_execute("SELECT 1"))
    }
}
