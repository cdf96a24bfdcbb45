//! What is to be done to a database, and whether whoever asks may do it.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Bool, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::script::{SCRIPTS, Script};
use super::{applied, grants, holds, roles};

/// How a database stands towards whoever asks.
pub(super) enum Standing {
    /// There is nothing to do, or nothing that they can do.
    Done,
    /// There is something to do.
    Behind,
    /// There are migrations to come, which the owner of the tables runs.
    NotAllowed { pending: usize, role: String },
    /// They may not even see which.
    Unread { role: String },
}

/// Who asks, and what of it they may do.
const ASKING: &str = "
    SELECT current_user::text AS role, coalesce(has_table_privilege(to_regclass('__diesel_schema_migrations'), 'SELECT'), true) AS reads,
        coalesce(has_schema_privilege(current_schema(), 'CREATE'), true) AND coalesce(
            (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('users')), true) AS owns";

#[derive(QueryableByName)]
struct Asking {
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Bool)]
    reads: bool,
    #[diesel(sql_type = Bool)]
    owns: bool,
}

pub(super) async fn standing(connection: &mut AsyncPgConnection) -> QueryResult<Standing> {
    let Asking { role, reads, owns } = sql_query(ASKING).get_result(connection).await?;
    if !reads {
        return Ok(Standing::Unread { role });
    }
    let applied = applied(connection).await?;
    let is_pending = |script: &&Script| applied.iter().all(|row| row.version != script.version());
    let pending = SCRIPTS.iter().filter(is_pending).count();
    if pending > 0 {
        return Ok(if owns { Standing::Behind } else { Standing::NotAllowed { pending, role } });
    }
    let could_be_protected =
        !holds(connection, roles::ARE_ROWS_PROTECTED).await? && holds(connection, roles::COULD_BE).await?;
    let is_behind = could_be_protected || (owns && grants::does_anybody_lack(connection).await?);
    Ok(if is_behind { Standing::Behind } else { Standing::Done })
}
