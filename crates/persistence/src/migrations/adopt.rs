//! Takes over a database that Prisma made from the seed's schema, in place and with its rows, or leaves it as it was.
//!
//! Everything happens in one transaction. The first two migrations are the seed itself: they are run in a schema of their own, which says
//! what should be there, in the server's own words. What differs and matters is told. What the seed's document adds by hand (indexes,
//! checks, functions) and what is of its phase 2 may be missing, and is made. Then all later migrations run.

use std::collections::{BTreeMap, BTreeSet};

use diesel::connection::SimpleConnection;
use diesel::migration::Migration;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Bool, Text};

use super::script::{SCRIPTS, Script, StatementFailed};
use super::split::{headline, statements};
use super::{Harness, MigrateError, alone, listed};

/// How many migrations are the seed itself.
pub(super) const SEED: usize = 2;
/// Where the seed is made for comparison.
const SCRATCH: &str = "subtle_adoption";
/// The tables of the seed's phase 2, which it keeps commented out.
const PHASE_2: [&str; 2] = ["bridge_tokens", "sync_logs"];

/// What a schema holds, in the server's words. What only helps (an index that is not unique) is told apart from what binds.
const CATALOGUE: &str = "
WITH tables AS (
    SELECT c.oid, c.relname::text AS name, c.relrowsecurity FROM pg_class c
    WHERE c.relnamespace = pg_catalog.quote_ident(current_schema()::text)::regnamespace AND c.relkind IN ('r', 'p')
)
SELECT 'table' AS kind, t.name AS owner, '' AS name, '' AS definition FROM tables t
UNION ALL
SELECT 'column', t.name, a.attname, format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
        || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')
    FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
UNION ALL
SELECT 'constraint', t.name, c.conname, pg_get_constraintdef(c.oid)
    FROM tables t JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype IN ('p', 'u', 'f', 'c', 'x')
UNION ALL
SELECT CASE WHEN i.indisunique THEN 'unique index' ELSE 'index' END, t.name, n.relname,
        replace(pg_get_indexdef(i.indexrelid), format(' ON %I.', current_schema()), ' ON ')
    FROM tables t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class n ON n.oid = i.indexrelid
    WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'trigger', t.name, g.tgname, pg_get_triggerdef(g.oid) FROM tables t
    JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
UNION ALL
SELECT 'row-level security', t.name, '', 'on' FROM tables t WHERE t.relrowsecurity";

/// Drops the document's functions, whatever they take: one of them cannot have worked.
const DROP_FUNCTIONS: &str = "
DO $$
DECLARE
    signature TEXT;
BEGIN
    FOR signature IN
        SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace = pg_catalog.quote_ident(current_schema()::text)::regnamespace
            AND proname IN ('get_user_stats', 'get_user_activity_summary')
    LOOP
        EXECUTE 'DROP FUNCTION ' || signature;
    END LOOP;
END;
$$";

/// Why a database was not taken over. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// It has migrations of ours.
    #[error("this database has been migrated before: `subtle migrate` brings it up to date")]
    Ours,
    /// There is nothing of the seed's in it.
    #[error("there is no table users here: `subtle migrate` makes a new database")]
    Nothing,
    /// It is not what Prisma makes of the seed's schema.
    #[error("this database differs from what Prisma makes of the seed's schema, and was left as it is:\n  {}", .0.join("\n  "))]
    Differs(Vec<String>),
    /// A migration failed, or the database can't be reached.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
}

impl From<diesel::result::Error> for AdoptError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Migrate(MigrateError::List(error.to_string()))
    }
}

/// What was done to take a database over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// What was missing of what the document adds by hand, by its statements.
    pub filled_in: Vec<String>,
    /// The migrations that were run after the seed's own.
    pub applied: Vec<String>,
}

/// Takes a database over that Prisma made from the seed's schema.
pub async fn adopt(url: &str) -> Result<Adopted, AdoptError> {
    alone(url, |harness| Ok(harness.transaction(take_over))).await?
}

fn take_over(connection: &mut Harness) -> Result<Adopted, AdoptError> {
    if has(connection, "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS found")?
        && has(connection, "SELECT count(*) > 0 AS found FROM __diesel_schema_migrations")?
    {
        return Err(AdoptError::Ours);
    }
    let (seed, later) = SCRIPTS.split_at_checked(SEED).unwrap_or((SCRIPTS, &[]));
    let expected = expected(connection, seed)?;
    let found = catalogue(connection)?;
    if !found.contains_key(&Item::table("users")) {
        return Err(AdoptError::Nothing);
    }
    let plan = plan(seed, &expected, &found);
    let differences = differences(&expected, &found, &plan);
    if !differences.is_empty() {
        return Err(AdoptError::Differs(differences));
    }
    connection.batch_execute(DROP_FUNCTIONS)?;
    for (script, statement) in plan.iter().map(|step| (step.script, step.statement)) {
        connection.batch_execute(statement).map_err(|error| failed(script, statement, error))?;
    }
    // Makes the list, where there is none.
    listed(connection)?;
    for script in seed {
        list(connection, script)?;
    }
    for script in later {
        script.run(connection).map_err(MigrateError::from)?;
        list(connection, script)?;
    }
    Ok(Adopted {
        filled_in: plan
            .iter()
            .filter(|step| !step.is_function)
            .map(|step| headline(step.statement))
            .collect(),
        applied: later.iter().map(|script| script.name.to_owned()).collect(),
    })
}

/// A thing in a schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    kind: String,
    table: String,
    name: String,
}

impl Item {
    fn table(name: &str) -> Self {
        Self { kind: "table".to_owned(), table: name.to_owned(), name: String::new() }
    }
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind.as_str() {
            "table" => write!(f, "table {}", self.table),
            "column" => write!(f, "column {}.{}", self.table, self.name),
            "row-level security" => write!(f, "row-level security on {}", self.table),
            kind => write!(f, "{kind} {} on {}", self.name, self.table),
        }
    }
}

type Catalogue = BTreeMap<Item, String>;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    definition: String,
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    found: bool,
}

#[derive(QueryableByName)]
struct SearchPath {
    #[diesel(sql_type = Text)]
    path: String,
}

fn has(connection: &mut Harness, query: &str) -> QueryResult<bool> {
    sql_query(query).get_result::<Found>(connection).map(|row| row.found)
}

fn catalogue(connection: &mut Harness) -> QueryResult<Catalogue> {
    let rows: Vec<Row> = sql_query(CATALOGUE).load(connection)?;
    let item = |row: Row| (Item { kind: row.kind, table: row.owner, name: row.name }, row.definition);
    Ok(rows.into_iter().map(item).collect())
}

/// What the seed makes, in a schema that is gone afterwards.
fn expected(connection: &mut Harness, seed: &[Script]) -> Result<Catalogue, AdoptError> {
    let path: SearchPath =
        sql_query("SELECT current_setting('search_path') AS path").get_result(connection)?;
    connection.batch_execute(&format!("CREATE SCHEMA {SCRATCH}; SET LOCAL search_path = {SCRATCH}"))?;
    for script in seed {
        script.run(connection).map_err(MigrateError::from)?;
    }
    let expected = catalogue(connection)?;
    connection
        .batch_execute(&format!("SET LOCAL search_path = {}; DROP SCHEMA {SCRATCH} CASCADE", path.path))?;
    Ok(expected)
}

/// A statement of the seed whose thing is not there, and may be made.
struct Step<'a> {
    script: &'a Script,
    statement: &'a str,
    makes: Option<Item>,
    is_function: bool,
}

/// The statements of the seed that are to be run.
fn plan<'a>(seed: &'a [Script], expected: &Catalogue, found: &Catalogue) -> Vec<Step<'a>> {
    let all = seed.iter().flat_map(|script| statements(script.up).into_iter().map(move |one| (script, one)));
    let steps = all.filter_map(|(script, statement)| {
        let line = headline(statement);
        if line.starts_with("CREATE FUNCTION ") {
            return Some(Step { script, statement, makes: None, is_function: true });
        }
        let makes = expected.iter().find(|(item, definition)| is_made_by(item, definition, &line));
        let (item, definition) = makes?;
        let is_new = PHASE_2.contains(&item.table.as_str()) && !found.contains_key(&Item::table(&item.table));
        let by_hand = item.kind == "index" || definition.starts_with("CHECK ");
        let is_missing = !found.contains_key(item);
        (is_missing && (is_new || by_hand)).then(|| Step {
            script,
            statement,
            makes: Some(item.clone()),
            is_function: false,
        })
    });
    steps.collect()
}

/// Whether a statement makes that thing. The seed's statements begin alike.
fn is_made_by(item: &Item, definition: &str, line: &str) -> bool {
    match item.kind.as_str() {
        "table" => line.starts_with(&format!("CREATE TABLE {} (", item.table)),
        "constraint" if !definition.starts_with("PRIMARY KEY ") => {
            line.starts_with(&format!("ALTER TABLE {} ADD CONSTRAINT {} ", item.table, item.name))
        }
        "index" => line.starts_with(&format!("CREATE INDEX {} ", item.name)),
        "unique index" => line.starts_with(&format!("CREATE UNIQUE INDEX {} ", item.name)),
        _ => false,
    }
}

/// What keeps a database from being taken over: what is missing and not planned, what is different, and what is there besides on a
/// table of the seed and binds it.
fn differences(expected: &Catalogue, found: &Catalogue, plan: &[Step]) -> Vec<String> {
    let planned: BTreeSet<_> = plan.iter().filter_map(|step| step.makes.as_ref()).collect();
    let is_new = |table: &str| planned.contains(&Item::table(table));
    let is_gone = |table: &str| !found.contains_key(&Item::table(table));
    let mut told = Vec::new();
    for (item, definition) in expected {
        match found.get(item) {
            Some(other) if other == definition => {}
            Some(other) => told.push(format!("{item} is `{other}`, and should be `{definition}`")),
            None if planned.contains(item) || is_new(&item.table) => {}
            None if item.kind != "table" && is_gone(&item.table) => {}
            None if item.kind == "table" => told.push(format!("{item} is missing")),
            None => told.push(format!("{item} is missing: `{definition}`")),
        }
    }
    let ours = |table: &str| expected.contains_key(&Item::table(table));
    let besides = found.iter().filter(|(item, _)| ours(&item.table) && !expected.contains_key(item));
    for (item, definition) in besides.filter(|(item, _)| item.kind != "index") {
        told.push(format!("{item} is not of the seed: `{definition}`"));
    }
    told
}

fn failed(script: &Script, statement: &str, error: diesel::result::Error) -> MigrateError {
    let (migration, statement) = (script.name.to_owned(), headline(statement));
    let failed: Box<dyn std::error::Error + Send + Sync> =
        Box::new(StatementFailed { migration, statement, error });
    failed.into()
}

fn list(connection: &mut Harness, script: &Script) -> QueryResult<()> {
    let listed = sql_query("INSERT INTO __diesel_schema_migrations (version) VALUES ($1)");
    listed.bind::<Text, _>(script.version()).execute(connection).map(drop)
}
