//! Indexes and foreign keys are made anew behind a million rows sooner than kept up to date by each of them.

use crate::database::Database;
use crate::progress::Progress;
use crate::trouble::Outcome;

/// What was taken away.
#[must_use = "the database is slow and wrong without"]
pub(super) struct TakenAway {
    /// What makes it again.
    statements: Vec<String>,
}

const FOREIGN_KEYS: &str = "FROM pg_constraint WHERE contype = 'f' AND conrelid = ANY ({tables})";
/// Those of no constraint.
const INDEXES: &str = "FROM pg_index WHERE indrelid = ANY ({tables})
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)";

/// Takes away all indexes and foreign keys of tables, but primary keys.
pub(super) fn take_away(database: &Database, tables: &[&str]) -> Outcome<TakenAway> {
    let quoted: Vec<_> = tables.iter().map(|table| format!("'{table}'::regclass")).collect();
    let of_tables = |query: &str| query.replace("{tables}", &format!("ARRAY[{}]", quoted.join(", ")));
    let (keys, indexes) = (of_tables(FOREIGN_KEYS), of_tables(INDEXES));
    let drop_keys =
        format!("SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) {keys}");
    let make_keys = format!(
        "SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) {keys}"
    );
    let make_indexes = format!("SELECT pg_get_indexdef(indexrelid) {indexes} ORDER BY indexrelid");
    let drop_indexes = format!("SELECT format('DROP INDEX %s', indexrelid::regclass) {indexes}");
    let statements = [database.texts(&make_indexes)?, database.texts(&make_keys)?].concat();
    for statement in [database.texts(&drop_keys)?, database.texts(&drop_indexes)?].concat() {
        database.run(&statement)?;
    }
    Ok(TakenAway { statements })
}

impl TakenAway {
    pub(super) fn put_back(self, database: &Database) -> Outcome {
        let mut progress = Progress::begin("indexes and foreign keys", self.statements.len() as u64);
        for statement in self.statements {
            database.run(&statement)?;
            progress.advance(1);
        }
        Ok(())
    }
}
