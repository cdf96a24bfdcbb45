//! The way back.

use diesel::migration::Migration;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_query;
use diesel_migrations::MigrationHarness;

use super::adopt::SEED;
use super::script::Script;
use super::{Exists, Harness, MigrateError, PAUSE, made, patiently};

/// What is to become of rows in tables that go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// They stay, and so does the migration.
    Refused,
    /// They go.
    Accepted,
}

/// What is taken over is listed in one transaction, and so at one time; other migrations have one each.
const ARE_ADOPTED: &str = "
    SELECT count(DISTINCT run_on) < count(*) AS exists FROM (
        SELECT run_on FROM __diesel_schema_migrations ORDER BY version LIMIT {SEED}
    ) AS seed";

/// Tables whose rows are counted from those of others, and again when they are made again.
const COUNTED: [&str; 6] =
    ["user_counts", "usage_counts", "user_ranges", "user_range_counts", "active_users", "active_user_counts"];

pub(super) fn down(
    harness: &mut Harness,
    scripts: &[Script],
    loss: Loss,
) -> Result<Option<String>, MigrateError> {
    let applied = harness.applied_migrations()?;
    let [last, ..] = applied.as_slice() else { return Ok(None) };
    let place = scripts.iter().position(|script| Migration::<Pg>::name(script).version() == *last);
    let (place, script) = place
        .and_then(|place| Some((place, scripts.get(place)?)))
        .ok_or_else(|| MigrateError::Unknown(last.to_string()))?;
    if loss == Loss::Refused {
        let what = lost(harness, place, script).map_err(|error| MigrateError::List(error.to_string()))?;
        if let Some(what) = what {
            return Err(MigrateError::HoldsRows { migration: script.name.to_owned(), what });
        }
    }
    patiently(PAUSE, || harness.revert_migration(script).map(drop))?;
    Ok(Some(script.name.to_owned()))
}

/// What goes with a migration that nobody could put back.
fn lost(harness: &mut Harness, place: usize, script: &Script) -> QueryResult<Option<String>> {
    let adopted = ARE_ADOPTED.replace("{SEED}", &SEED.to_string());
    if place < SEED && holds(harness, &adopted)? {
        return Ok(Some("tables that were there before this database was taken over".to_owned()));
    }
    let mut full = Vec::new();
    for table in made::tables_of(script.up).filter(|table| !COUNTED.contains(table)) {
        let is_there = format!("SELECT to_regclass('{table}') IS NOT NULL AS exists");
        if holds(harness, &is_there)?
            && holds(harness, &format!("SELECT EXISTS (SELECT FROM {table}) AS exists"))?
        {
            full.push(table);
        }
    }
    Ok((!full.is_empty()).then(|| format!("{} with all rows", full.join(", "))))
}

fn holds(harness: &mut Harness, query: &str) -> QueryResult<bool> {
    sql_query(query).get_result::<Exists>(harness).map(|row| row.exists)
}
