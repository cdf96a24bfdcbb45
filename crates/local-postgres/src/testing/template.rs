//! Templates: migrated once, copied for each test.

use std::collections::HashSet;
use std::error::Error as StdError;
use std::sync::{Mutex, PoisonError};

use super::TestDatabase;
use super::names;
use super::server::Server;
use crate::error::Error;
use crate::folders::Lock;

/// Copies files instead of writing each page to the log, where the server knows the word (15 and later).
const COPY: &str = "
SET client_min_messages = warning;
SELECT :SERVER_VERSION_NUM >= 150000 AS has_strategy \\gset
\\if :has_strategy
CREATE DATABASE :\"name\" TEMPLATE :\"template\" STRATEGY FILE_COPY;
\\else
CREATE DATABASE :\"name\" TEMPLATE :\"template\";
\\endif
";
/// The template has its name only when it is whole. No connections, for one would keep it from being copied.
const PUBLISH: &str = "
ALTER DATABASE :\"name\" WITH ALLOW_CONNECTIONS false;
ALTER DATABASE :\"name\" RENAME TO :\"template\";
";
/// Templates of migrations that have changed since: all but the newest few, for other branches may be tested at the same time.
const OUTDATED: &str = "
SELECT datname FROM pg_database WHERE starts_with(datname, 'subtle_template_') ORDER BY oid DESC OFFSET 8;
";

/// The templates this process knows to be there.
static READY: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// A new database, of the same content as another that nobody is connected to.
pub(super) fn copy(server: &Server, template: &str) -> Result<TestDatabase, Error> {
    let name = server.names.next();
    server.psql(&[("name", &name), ("template", template)], COPY)?;
    let url = server.url(&name);
    Ok(TestDatabase { name, url })
}

/// The name of the template of the fingerprint. Made first if it is not there, by one of all processes.
pub(super) fn ensure(
    server: &Server,
    fingerprint: &str,
    migrate: impl FnOnce(&str) -> Result<(), Box<dyn StdError>>,
) -> Result<String, Error> {
    let template = names::template(fingerprint);
    let mut ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
    let ready = ready.get_or_insert_default();
    if ready.contains(&template) {
        return Ok(template);
    }
    let _lock = Lock::exclusive(server.folder.join("template.lock"))?;
    let found =
        server.psql(&[("name", &template)], "SELECT datname FROM pg_database WHERE datname = :'name';")?;
    if found.is_empty() {
        let draft = copy(server, "template0")?;
        migrate(draft.url()).map_err(|error| Error::Migration(error.to_string()))?;
        server.psql(&[("name", draft.name()), ("template", &template)], PUBLISH)?;
        let outdated = server.psql(&[], OUTDATED)?;
        server.drop_databases(&outdated.lines().collect::<Vec<_>>())?;
    }
    ready.insert(template.clone());
    Ok(template)
}
