//! The roles that servers run as: what one is given, who has it, and whether anything lacks.
//!
//! Who was granted something is kept nowhere but in the tables' own lists of rights, which a dump carries too: `--grant-to` alone lets
//! somebody read the list of migrations without writing it, and append to the audit trail without changing it.

use std::sync::LazyLock;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;
use diesel_async::AsyncPgConnection;

use super::made;
use super::script::SCRIPTS;
use super::{Done, Harness, MigrateError, alone, alone_on, connect, up};
use crate::options::PoolOptions;
use crate::pool::Connector;

/// Makes a role unless it is there, and takes from it all that it has of this schema; then gives it what a server needs: rows, but neither
/// the schema nor what is kept of the audit trail. What it could still help itself to is asked at the end, and refused. Membership in
/// `subtle_user` must not be inherited, or its policies would be the role's own; a role that has it is left alone, for who grants
/// again need not be who may grant that.
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
    IF to_regrole('subtle_user') IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        IF current_setting('server_version_num')::int >= 160000 THEN
            IF NOT pg_has_role({role}, 'subtle_user', 'SET') OR pg_has_role({role}, 'subtle_user', 'USAGE') THEN
                EXECUTE format('GRANT subtle_user TO %s WITH INHERIT FALSE, SET TRUE', role);
            END IF;
        ELSIF NOT pg_has_role({role}, 'subtle_user', 'MEMBER') OR pg_has_role({role}, 'subtle_user', 'USAGE') THEN
            EXECUTE format('ALTER ROLE %s NOINHERIT', role);
            EXECUTE format('GRANT subtle_user TO %s', role);
        END IF;
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE EXCEPTION '% may not make % a member of subtle_user: let a superuser or a role with CREATEROLE run GRANT subtle_user TO %',
            current_user, role, role;
    END;
END";

/// Who has what [`GRANT`] gives, and what nobody else is given like that.
const GRANTED: &str = "
    WITH given AS (
        SELECT item.grantee, c.relname || ' ' || item.privilege_type AS what FROM pg_class c, aclexplode(c.relacl) AS item
        WHERE c.oid IN (to_regclass('users'), to_regclass('audit_logs'), to_regclass('__diesel_schema_migrations'))
            AND item.grantee <> c.relowner
    )
    SELECT r.rolname::text AS text FROM given JOIN pg_roles r ON r.oid = grantee
    WHERE NOT r.rolsuper AND r.rolname <> 'subtle_user'
    GROUP BY r.rolname
    HAVING array_agg(what) @> ARRAY['users INSERT', 'audit_logs INSERT', '__diesel_schema_migrations SELECT']
        AND NOT array_agg(what) && ARRAY['audit_logs UPDATE', '__diesel_schema_migrations INSERT']
    ORDER BY 1";

/// Which of our tables a role may not use as [`GRANT`] lets it.
static LACKS: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<String> = made::tables().map(literal).collect();
    format!(
        "SELECT name AS text FROM unnest(ARRAY[{}]) AS name, LATERAL (SELECT to_regclass(quote_ident(name)) AS id) AS ours
         WHERE id IS NOT NULL AND NOT (has_table_privilege($1, id, 'SELECT')
            AND (name = '__diesel_schema_migrations' OR has_table_privilege($1, id, 'INSERT'))
            AND (name IN ('__diesel_schema_migrations', 'audit_logs', 'audit_seals')
                OR has_table_privilege($1, id, 'UPDATE') AND has_table_privilege($1, id, 'DELETE')))
         ORDER BY 1",
        names.join(", ")
    )
});

const WHO: &str = "SELECT current_user::text AS text";

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    text: String,
}

/// Brings a database up to date and lets a role run the service there: it can neither change the schema nor what is kept of the audit
/// trail. The role is made if there is none of that name, without a password.
pub async fn grant_to(url: &str, role: &str) -> Result<Vec<String>, MigrateError> {
    let role = role.to_owned();
    let work = move |harness: &mut Harness| {
        let applied = up(harness, SCRIPTS, &mut |_| ())?;
        grant(harness, &role).map_err(|error| MigrateError::Grant(error.to_string()))?;
        Ok(applied)
    };
    alone(url, work).await
}

/// The roles that may run the service in a database.
pub async fn granted(options: &PoolOptions) -> Result<Vec<String>, MigrateError> {
    let mut connection = Connector::new(options.clone()).connect().await?;
    granted_on(&mut connection).await.map_err(listing)
}

/// Lets these roles run the service in a database, if they may not yet; tells what became of it.
pub async fn grant_again(options: &PoolOptions, roles: Vec<String>) -> Result<Vec<Done>, MigrateError> {
    let connection = Connector::new(options.clone()).connect().await?;
    let work = |harness: &mut Harness| {
        let have = names(harness, GRANTED)?;
        let lacking = roles.into_iter().filter(|role| !have.contains(role));
        Ok(lacking.map(|role| told(harness, role)).collect())
    };
    alone_on(connection, work).await
}

/// Whether whoever serves may use all the tables of ours.
pub async fn check_rights(url: &str) -> Result<(), MigrateError> {
    let mut connection = connect(url).await?;
    let role = diesel_async::RunQueryDsl::get_result::<Name>(sql_query(WHO), &mut connection).await;
    let role = role.map_err(listing)?.text;
    let tables = lacks(&mut connection, &role).await.map_err(listing)?;
    if tables.is_empty() { Ok(()) } else { Err(MigrateError::Lacks { role, tables: tables.join(", ") }) }
}

/// Whether somebody may run the service, but not with all tables.
pub(super) async fn does_anybody_lack(connection: &mut AsyncPgConnection) -> QueryResult<bool> {
    for role in granted_on(connection).await? {
        if !lacks(connection, &role).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Gives those who may run the service what they need for tables that came since.
pub(super) fn renew(harness: &mut Harness, tell: &mut dyn FnMut(&Done)) -> Result<(), MigrateError> {
    for role in names(harness, GRANTED)? {
        let lacking = sql_query(&*LACKS).bind::<Text, _>(&role);
        if !RunQueryDsl::load::<Name>(lacking, harness).map_err(listing)?.is_empty() {
            tell(&told(harness, role));
        }
    }
    Ok(())
}

fn told(harness: &mut Harness, role: String) -> Done {
    match grant(harness, &role) {
        Ok(()) => Done::Granted(role),
        Err(error) => Done::NotGranted { role, why: error.to_string() },
    }
}

fn grant(harness: &mut Harness, role: &str) -> QueryResult<()> {
    harness.batch_execute(&format!("DO {}", literal(&GRANT.replace("{role}", &literal(role)))))
}

fn names(harness: &mut Harness, query: &str) -> Result<Vec<String>, MigrateError> {
    let rows: Vec<Name> = RunQueryDsl::load(sql_query(query), harness).map_err(listing)?;
    Ok(rows.into_iter().map(|row| row.text).collect())
}

async fn granted_on(connection: &mut AsyncPgConnection) -> QueryResult<Vec<String>> {
    let rows: Vec<Name> = diesel_async::RunQueryDsl::load(sql_query(GRANTED), connection).await?;
    Ok(rows.into_iter().map(|row| row.text).collect())
}

async fn lacks(connection: &mut AsyncPgConnection, role: &str) -> QueryResult<Vec<String>> {
    let query = sql_query(&*LACKS).bind::<Text, _>(role);
    let rows: Vec<Name> = diesel_async::RunQueryDsl::load(query, connection).await?;
    Ok(rows.into_iter().map(|row| row.text).collect())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn listing(error: diesel::result::Error) -> MigrateError {
    MigrateError::List(error.to_string())
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
