//! A connection to a database of the run, for statements that are waited for.

use std::collections::BTreeMap;

use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use crate::trouble::{Outcome, Trouble};

/// One connection, as the owner of everything.
pub(crate) struct Database {
    runtime: Runtime,
    client: Client,
}

/// What is worth telling of how the server of the database is set up.
const SETTINGS: [&str; 9] = [
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "shared_buffers",
    "max_wal_size",
    "max_connections",
    "autovacuum",
];

impl Database {
    pub(crate) fn connect(url: &str) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Trouble::when("start a runtime"))?;
        let connected = runtime.block_on(tokio_postgres::connect(url, NoTls));
        let (client, connection) = connected.map_err(Trouble::when("connect to PostgreSQL"))?;
        runtime.spawn(connection);
        Ok(Self { runtime, client })
    }

    /// Runs statements without values.
    pub(crate) fn run(&self, sql: &str) -> Outcome {
        self.runtime.block_on(self.client.batch_execute(sql)).map_err(|error| refused(sql, &error))
    }

    /// The texts of the first column of a query.
    pub(crate) fn texts(&self, sql: &str) -> Outcome<Vec<String>> {
        let rows = self.runtime.block_on(self.client.query(sql, &[]));
        let rows = rows.map_err(|error| refused(sql, &error))?;
        rows.iter().map(|row| row.try_get(0).map_err(|error| refused(sql, &error))).collect()
    }

    /// The one number that a query gives; it is what stands behind `SELECT`.
    pub(crate) fn number(&self, query: &str) -> Outcome<u64> {
        let texts = self.texts(&format!("SELECT (SELECT {query})::bigint::text"))?;
        let number = texts.first().and_then(|text| text.parse().ok());
        number.ok_or_else(|| Trouble::new(format!("PostgreSQL gives no number for {query}")))
    }

    /// Has all that waits in memory written, so that every measurement begins alike.
    pub(crate) fn checkpoint(&self) -> Outcome {
        self.run("CHECKPOINT")
    }

    /// How the server is set up.
    pub(crate) fn settings(&self) -> Outcome<BTreeMap<String, String>> {
        let value = |name: &str| {
            let texts = self.texts(&format!("SELECT current_setting('{name}')"))?;
            Ok((name.to_owned(), texts.concat()))
        };
        SETTINGS.into_iter().map(value).collect()
    }
}

/// With what the server said, which the error alone does not show.
fn refused(sql: &str, error: &tokio_postgres::Error) -> Trouble {
    let said = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let begin: Vec<_> = sql.split_whitespace().take(12).collect();
    Trouble::new(format!("PostgreSQL refuses `{} …`: {said}", begin.join(" ")))
}
