//! The role that sees rows of one person alone.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Bool;

use super::{Harness, MigrateError};

/// Whether whoever asks may act as `subtle_user`, and that sees its own rows alone.
pub(super) const ARE_ROWS_PROTECTED: &str = "
    SELECT CASE
        WHEN to_regclass('users') IS NULL OR to_regrole('subtle_user') IS NULL THEN false
        WHEN NOT has_column_privilege('subtle_user', 'users', 'id', 'SELECT') THEN false
        WHEN NOT has_column_privilege('subtle_user', 'users', 'full_name', 'UPDATE') THEN false
        WHEN NOT (SELECT relrowsecurity FROM pg_class WHERE oid = to_regclass('users')) THEN false
        WHEN current_setting('server_version_num')::int >= 160000
            THEN pg_has_role(current_user, 'subtle_user', 'SET')
        ELSE pg_has_role(current_user, 'subtle_user', 'MEMBER')
    END AS exists";

/// Whether whoever asks can change that: the function is there, and the tables are theirs.
pub(super) const COULD_BE: &str = "
    SELECT to_regproc('protect_rows') IS NOT NULL AND EXISTS (
        SELECT FROM pg_class WHERE oid = to_regclass('users') AND pg_has_role(current_user, relowner, 'USAGE')
    ) AS exists";

/// Sees to it that `subtle_user` is there and has its policies, where that can be done.
pub(super) fn protect_rows(harness: &mut Harness) -> Result<(), MigrateError> {
    let holds = |harness: &mut Harness, query: &str| {
        let found = RunQueryDsl::get_result::<super::Exists>(sql_query(query), harness);
        found.map(|row| row.exists).map_err(|error| MigrateError::List(error.to_string()))
    };
    if !holds(harness, ARE_ROWS_PROTECTED)? && holds(harness, COULD_BE)? {
        let protect = sql_query("SELECT protect_rows() AS done");
        RunQueryDsl::get_result::<Done>(protect, harness)
            .map(|row| row.done)
            .map_err(|error| MigrateError::Grant(error.to_string()))?;
    }
    Ok(())
}

#[derive(QueryableByName)]
struct Done {
    #[diesel(sql_type = Bool)]
    done: bool,
}
