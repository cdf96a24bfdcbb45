//! A database for each test, in a throw-away cluster below the target folder that all test binaries share.
//!
//! A database of a test's own is a copy of a template, which is migrated once for each fingerprint. It is not dropped when the test
//! ends, for that would wait for its connections to close: the next test binary drops those of processes that have ended.
//! `$TEST_DATABASE_URL` names another server to make the databases on.

mod names;
mod server;
mod template;

use std::error::Error;

use server::Server;

/// A database that no other test uses.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
}

impl TestDatabase {
    /// Its URL, for libpq (`psql`, `pg_dump`) and tokio-postgres alike.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name, unique on the server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A copy of the template of this `fingerprint` (of the migrations, whatever they are), which `migrate` makes of an empty database,
/// given its URL, when no process has done so before. It must have closed its connections when it returns.
///
/// # Panics
///
/// When there is no PostgreSQL, or `migrate` fails: the test cannot go on.
#[must_use]
pub fn database(fingerprint: &str, migrate: impl FnOnce(&str) -> Result<(), Box<dyn Error>>) -> TestDatabase {
    let server = Server::shared();
    let copy =
        template::ensure(server, fingerprint, migrate).and_then(|template| template::copy(server, &template));
    copy.unwrap_or_else(|error| panic!("no test database: {error}"))
}

/// An empty database.
///
/// # Panics
///
/// When there is no PostgreSQL: the test cannot go on.
#[must_use]
pub fn empty_database() -> TestDatabase {
    template::copy(Server::shared(), "template0").unwrap_or_else(|error| panic!("no test database: {error}"))
}
