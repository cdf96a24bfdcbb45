//! Roles: the one that sees rows of one person alone, and the one that a service may run as.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Bool;

use super::{Harness, MigrateError, alone, up};
use crate::migrations::script::SCRIPTS;

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

/// Makes a role unless it is there, and takes from it all that it has of this schema; then gives it what a server needs: rows, but neither
/// the schema nor what is kept of the audit trail. What it could still help itself to is asked at the end, and refused. Membership in
/// `subtle_user` must not be inherited, or its policies would be the role's own.
const GRANT: &str = "
DECLARE
    schema TEXT := pg_catalog.quote_ident(current_schema()::text);
    role TEXT := pg_catalog.quote_ident({role});
    owner OID := (SELECT relowner FROM pg_class WHERE oid = 'users'::regclass);
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {role}) THEN
        EXECUTE format('CREATE ROLE %s LOGIN NOINHERIT', role);
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = {role} AND (rolsuper OR rolbypassrls OR rolcreaterole)) THEN
        RAISE EXCEPTION 'the role % could help itself to more: choose one that is no superuser and has neither BYPASSRLS nor CREATEROLE', role;
    END IF;
    IF pg_has_role({role}, owner, 'MEMBER')
        OR pg_has_role({role}, (SELECT datdba FROM pg_database WHERE datname = current_database()), 'MEMBER') THEN
        RAISE EXCEPTION 'the role % owns the database or its tables, or may act as who does: choose another one', role;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %s', current_database(), role);
    -- Before PostgreSQL 15 everybody could create tables in `public`.
    EXECUTE format('REVOKE CREATE ON SCHEMA %s FROM PUBLIC, %s', schema, role);
    IF has_schema_privilege({role}, current_schema(), 'CREATE') THEN
        RAISE EXCEPTION 'the role % may create tables in schema %, whose owner alone can forbid it: REVOKE CREATE ON SCHEMA % FROM PUBLIC',
            role, schema, schema;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', schema, role);
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %s FROM %s', schema, role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %s TO %s', schema, role);
    EXECUTE format('REVOKE UPDATE, DELETE ON audit_logs, audit_seals FROM %s', role);
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON __diesel_schema_migrations FROM %s', role);
    IF to_regrole('subtle_user') IS NOT NULL THEN
        IF current_setting('server_version_num')::int >= 160000 THEN
            EXECUTE format('GRANT subtle_user TO %s WITH INHERIT FALSE, SET TRUE', role);
        ELSE
            EXECUTE format('ALTER ROLE %s NOINHERIT', role);
            EXECUTE format('GRANT subtle_user TO %s', role);
        END IF;
    END IF;
END";

/// Brings a database up to date and lets a role run the service there: it can neither change the schema nor what is kept of the audit
/// trail. The role is made if there is none of that name, without a password.
pub async fn grant_to(url: &str, role: &str) -> Result<Vec<String>, MigrateError> {
    let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let grant = format!("DO {}", literal(&GRANT.replace("{role}", &literal(role))));
    let work = move |harness: &mut Harness| {
        let applied = up(harness, SCRIPTS)?;
        harness.batch_execute(&grant).map_err(|error| MigrateError::Grant(error.to_string()))?;
        Ok(applied)
    };
    alone(url, work).await
}

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
