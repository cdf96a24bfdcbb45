//! What the migrations make, by name.

use super::script::SCRIPTS;
use super::split::{bare, statements};

/// The tables that migrations make, and their list.
pub(super) fn tables() -> impl Iterator<Item = &'static str> {
    std::iter::once("__diesel_schema_migrations")
        .chain(SCRIPTS.iter().flat_map(|script| tables_of(script.up)))
}

/// The tables that a script makes.
pub(super) fn tables_of(script: &'static str) -> impl Iterator<Item = &'static str> {
    named(script, &["CREATE TABLE "])
}

/// The indexes that migrations make, but for those of constraints.
pub(crate) fn indexes() -> impl Iterator<Item = &'static str> {
    SCRIPTS.iter().flat_map(|script| named(script.up, &["CREATE INDEX ", "CREATE UNIQUE INDEX "]))
}

/// What stands behind one of these beginnings.
fn named(script: &'static str, beginnings: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    statements(script).into_iter().filter_map(|statement| {
        let rest = beginnings.iter().find_map(|beginning| bare(statement).strip_prefix(beginning))?;
        rest.split([' ', '(', '\n']).next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_indexes_of_the_migrations_are_known_by_name() {
        let tables: Vec<_> = tables().collect();
        for name in ["__diesel_schema_migrations", "users", "audit_seals", "imported_refresh_tokens"] {
            assert!(tables.contains(&name), "{name}: {tables:?}");
        }
        let indexes: Vec<_> = indexes().collect();
        for name in ["users_email_key", "idx_users_created_at"] {
            assert!(indexes.contains(&name), "{name}: {indexes:?}");
        }
        let is_name =
            |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        assert!(tables.iter().chain(&indexes).all(is_name), "{tables:?} {indexes:?}");
    }
}
