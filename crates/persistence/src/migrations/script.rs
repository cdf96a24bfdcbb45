//! A migration as the build put it into the binary, run statement by statement so that a failure names the one at fault.

use diesel::connection::BoxableConnection;
use diesel::migration::{Migration, MigrationMetadata, MigrationName, MigrationVersion, Result};
use diesel::pg::Pg;

use super::split::{headline, statements};

/// All of them, in order.
pub(super) const SCRIPTS: &[Script] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// A migration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Script {
    pub(super) name: &'static str,
    pub(super) up: &'static str,
    pub(super) down: &'static str,
    pub(super) in_transaction: bool,
}

impl Script {
    /// The part of the name that is kept in the database.
    pub(super) fn version(&self) -> &'static str {
        self.name.split_once('_').map_or(self.name, |(version, _)| version)
    }

    fn execute(&self, script: &str, connection: &mut dyn BoxableConnection<Pg>) -> Result<()> {
        for statement in statements(script) {
            connection.batch_execute(statement).map_err(|error| StatementFailed {
                migration: self.name.to_owned(),
                statement: headline(statement),
                error,
            })?;
        }
        Ok(())
    }
}

/// A statement of a migration that the server refused.
#[derive(Debug, thiserror::Error)]
#[error("migration {migration} failed at `{statement}`: {error}")]
pub(super) struct StatementFailed {
    pub(super) migration: String,
    pub(super) statement: String,
    pub(super) error: diesel::result::Error,
}

impl Migration<Pg> for Script {
    fn run(&self, connection: &mut dyn BoxableConnection<Pg>) -> Result<()> {
        self.execute(self.up, connection)
    }

    fn revert(&self, connection: &mut dyn BoxableConnection<Pg>) -> Result<()> {
        self.execute(self.down, connection)
    }

    fn metadata(&self) -> &dyn MigrationMetadata {
        self
    }

    fn name(&self) -> &dyn MigrationName {
        self
    }
}

impl MigrationMetadata for Script {
    fn run_in_transaction(&self) -> bool {
        self.in_transaction
    }
}

impl MigrationName for Script {
    fn version(&self) -> MigrationVersion<'_> {
        self.version().into()
    }
}

impl std::fmt::Display for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
