//! The second wall: what one person's role sees and may do, and what the role may do that a service runs as.

mod wall;

use diesel_async::SimpleAsyncConnection;
use subtle_domain::ports::Accounts;
use subtle_persistence::migrations::{
    MigrateError, are_rows_protected, check_rights, grant_to, migrate, revert_last,
};
use subtle_persistence::{Database, PgAccounts, PoolOptions};

use crate::support::{Home, user_id};

/// A row of Ada's and one of Bob's in every table that has rows of persons.
const ROWS: &str = "
    INSERT INTO admin_notes (id, user_id, admin_id, note) SELECT id, id, id, 'x' FROM users WHERE id <> 'eve';
    INSERT INTO audit_logs (id, user_id, admin_id, action) SELECT id, id, id, 'x' FROM users WHERE id <> 'eve';
    INSERT INTO billing_closings (user_id, month, total_cost) SELECT id, '2026-01-01', 1 FROM users WHERE id <> 'eve';
    INSERT INTO billing_history (id, user_id, amount, status) SELECT id, id, 1, 'pending' FROM users WHERE id <> 'eve';
    INSERT INTO bridge_tokens (id, user_id, token, expires_at) SELECT id, id, id, '2100-01-01' FROM users WHERE id <> 'eve';
    INSERT INTO imported_identities (user_id, provider, provider_id) SELECT id, 'google', id FROM users WHERE id <> 'eve';
    INSERT INTO imported_refresh_tokens (user_id, digest, session_id, created_at, expires_at, second_factor)
        SELECT id, id, id, now(), '2100-01-01', false FROM users WHERE id <> 'eve';
    INSERT INTO mail_outbox (id, user_id, kind, recipient, due_at) SELECT id, id, 'x', 'x', now() FROM users WHERE id <> 'eve';
    INSERT INTO one_time_tokens (user_id, purpose, id, digest, salt, email, created_at, expires_at)
        SELECT id, 'reset_password', id, id, '', 'x', now(), '2100-01-01' FROM users WHERE id <> 'eve';
    INSERT INTO recovery_codes (user_id, digest) SELECT id, 'x' FROM users WHERE id <> 'eve';
    INSERT INTO second_factors (user_id, sealed) SELECT id, '' FROM users WHERE id <> 'eve';
    INSERT INTO sessions (id, user_id, refresh_token, expires_at) SELECT id, id, id, '2100-01-01' FROM users WHERE id <> 'eve';
    INSERT INTO sync_logs (id, user_id, event_type, event_source, place) SELECT id, id, 'x', 'x', 1 FROM users WHERE id <> 'eve';
    INSERT INTO sync_places (user_id, last) SELECT id, 1 FROM users WHERE id <> 'eve';
    INSERT INTO usage_daily (user_id, day, feature_type, events, request_count, total_tokens, total_cost)
        SELECT id, '2026-01-01', '', 1, 1, 1, 1 FROM users WHERE id <> 'eve';
    INSERT INTO usage_reservations (user_id, id, request_count, total_tokens, total_cost, expires_at)
        SELECT id, id, 1, 1, 1, '2100-01-01' FROM users WHERE id <> 'eve';
    INSERT INTO user_activity (id, user_id, action) SELECT id, id, 'x' FROM users WHERE id <> 'eve';
    INSERT INTO user_quotas (user_id, metric, amount) SELECT id, 'cost', 1 FROM users WHERE id <> 'eve';
    INSERT INTO user_usage_metrics (id, user_id) SELECT id, id FROM users WHERE id <> 'eve'";

/// Tables with rows of persons, and the column that says whose: `sessions.user_id`.
const TABLES: &str = "
    SELECT format('%s.%s', c.relname, a.attname) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped
        AND (a.attname = 'user_id' OR (c.relname = 'users' AND a.attname = 'id')) ORDER BY 1";

/// As everything is granted to it here, nothing but its policies holds the role back.
async fn walled() -> (Home, Vec<(String, String)>) {
    let home = Home::of_three().await;
    home.run(ROWS).await;
    home.run("GRANT ALL ON ALL TABLES IN SCHEMA public TO subtle_user").await;
    let tables = home.first_column(TABLES).await;
    let split = |table: &String| {
        let (table, column) = table.split_once('.').unwrap();
        (table.to_owned(), column.to_owned())
    };
    (home, tables.iter().map(split).collect())
}

/// SQL as it is run for Ada.
fn as_ada(sql: &str) -> String {
    format!("BEGIN; SET LOCAL ROLE subtle_user; SET LOCAL app.current_user_id = 'ada'; {sql}")
}

/// What the server says of SQL that it refuses for Ada.
async fn refusal(home: &Home, sql: &str) -> String {
    let mut connection = home.connection().await;
    connection.batch_execute(&as_ada(sql)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn in_every_table_nothing_is_read_of_another_person_even_without_a_condition() {
    let (home, tables) = walled().await;
    assert!(tables.len() >= 18, "{tables:?}");
    for (table, column) in tables {
        let seen = home.first_column(&as_ada(&format!("SELECT {column} FROM {table}"))).await;
        assert_eq!(seen, ["ada"], "{table}");
        let others = as_ada(&format!("SELECT count(*) FROM {table} WHERE {column} = 'bob'"));
        assert_eq!(home.value(&others).await, "0", "{table}");
        let all = home.first_column(&format!("SELECT {column} FROM {table} WHERE {column} = 'bob'")).await;
        assert_eq!(all, ["bob"], "{table}: there is a row, and who owns the tables sees it");
    }
}

#[tokio::test]
async fn in_every_table_nothing_is_written_for_another_person() {
    let (home, tables) = walled().await;
    for (table, column) in tables {
        let bobs = format!("SELECT md5(string_agg(t::text, '')) FROM {table} t WHERE {column} = 'bob'");
        let before = home.value(&bobs).await;
        for sql in [
            format!("UPDATE {table} SET {column} = {column} WHERE {column} = 'bob'"),
            format!("UPDATE {table} SET {column} = {column} WHERE {column} <> 'ada'"),
            format!("DELETE FROM {table} WHERE {column} = 'bob'"),
        ] {
            home.run(&as_ada(&format!("{sql}; COMMIT"))).await;
        }
        assert_eq!(home.value(&bobs).await, before, "{table}");
        let row = home.value(&format!("SELECT to_jsonb(t) FROM {table} t WHERE {column} = 'bob'")).await;
        let row = row.replace('\'', "''");
        let put = format!("INSERT INTO {table} SELECT (jsonb_populate_record(NULL::{table}, '{row}')).*");
        let told = refusal(&home, &put).await;
        assert!(told.contains("row-level security policy"), "{table}: {told}");
    }
}

#[tokio::test]
async fn a_person_who_is_not_named_is_nobody() {
    let (home, tables) = walled().await;
    for (table, _) in tables {
        let nobody = format!("BEGIN; SET LOCAL ROLE subtle_user; SELECT count(*) FROM {table}");
        assert_eq!(home.value(&nobody).await, "0", "{table}");
    }
}

#[tokio::test]
async fn the_role_reads_no_secret_and_no_notes() {
    let home = Home::of_three().await;
    for sql in [
        "SELECT password_hash FROM users",
        "SELECT refresh_token FROM sessions",
        "SELECT salt FROM sessions",
        "SELECT token FROM bridge_tokens",
        "SELECT digest FROM one_time_tokens",
        "SELECT digest FROM recovery_codes",
        "SELECT sealed FROM second_factors",
        "SELECT note FROM admin_notes",
        "SELECT details FROM audit_logs",
        "SELECT admin_id FROM audit_logs",
        "SELECT ip_address FROM audit_logs",
        "UPDATE users SET role = 'admin'",
        "UPDATE users SET email = 'eve@example.com'",
        "UPDATE users SET password_hash = 'x'",
        "UPDATE users SET subscription_tier = 'enterprise'",
        "UPDATE sessions SET expires_at = '2100-01-01'",
        "UPDATE sessions SET user_id = 'ada'",
        "DELETE FROM sessions",
        "UPDATE bridge_tokens SET used_at = NULL",
        "DELETE FROM sync_logs",
        "INSERT INTO user_quotas (user_id, metric) VALUES ('ada', 'cost')",
    ] {
        let told = refusal(&home, sql).await;
        assert!(told.contains("permission denied"), "{sql}: {told}");
    }
}

#[tokio::test]
async fn the_role_is_laid_down_with_each_statement_also_with_one_that_failed() {
    let home = Home::of_three().await;
    let pool = home.pool_with("connection_limit=1");
    let accounts = PgAccounts::new(pool.clone());
    let ada = user_id("ada");
    for _ in 0..3 {
        assert!(accounts.find(&ada).await.unwrap().is_some());
        // Which the role may not read.
        assert!(accounts.credentials(&ada).await.unwrap().is_some());
    }
    home.run("ALTER POLICY own_rows ON users USING (1 / (length(id) - 3) = 0)").await;
    accounts.find(&ada).await.unwrap_err();
    assert!(accounts.credentials(&ada).await.unwrap().is_some());
    home.await_no_open_transaction().await;
}

#[tokio::test]
async fn without_the_role_the_service_works_and_nothing_is_protected() {
    let home = Home::of_three().await;
    home.run("REVOKE ALL ON users FROM subtle_user; REVOKE SELECT (id) ON users FROM subtle_user").await;
    assert!(!are_rows_protected(home.url()).await.unwrap());
    let mut options = PoolOptions::from_url(home.url()).unwrap();
    options.protects_rows = false;
    let accounts = PgAccounts::new(Database::new(options).unwrap());
    assert!(accounts.find(&user_id("ada")).await.unwrap().is_some());
    // Whoever migrates mends it.
    assert!(migrate(home.url()).await.unwrap().is_empty());
    assert!(are_rows_protected(home.url()).await.unwrap());
}

#[tokio::test]
async fn a_role_that_may_only_read_is_none_to_work_as_and_whoever_migrates_mends_that_too() {
    let home = Home::of_three().await;
    assert!(are_rows_protected(home.url()).await.unwrap());
    home.run("REVOKE UPDATE (full_name) ON users FROM subtle_user").await;
    assert!(!are_rows_protected(home.url()).await.unwrap());
    assert!(migrate(home.url()).await.unwrap().is_empty());
    assert!(are_rows_protected(home.url()).await.unwrap());
}

#[tokio::test]
async fn the_role_of_a_service_changes_neither_the_schema_nor_the_audit_trail() {
    let home = Home::of_three().await;
    home.run(ROWS).await;
    assert!(grant_to(home.url(), "subtle_it").await.unwrap().is_empty());
    let mut connection = home.connection().await;
    connection.batch_execute("SET ROLE subtle_it").await.unwrap();
    for sql in [
        "CREATE TABLE mine (id INT)",
        "ALTER TABLE users ADD COLUMN mine INT",
        "DROP TABLE sessions",
        "CREATE INDEX ON users (role)",
        "DROP POLICY own_rows ON users",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        "CREATE OR REPLACE FUNCTION cuid() RETURNS TEXT LANGUAGE sql AS 'SELECT ''x'''",
        "ALTER TABLE audit_logs DISABLE TRIGGER ALL",
        "UPDATE audit_logs SET action = 'y'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "UPDATE audit_seals SET number = 2",
        "DELETE FROM audit_seals",
        "TRUNCATE users",
        "DELETE FROM __diesel_schema_migrations",
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('1')",
    ] {
        let told = connection.batch_execute(sql).await.unwrap_err().to_string();
        let refused = ["permission denied", "must be owner"].iter().any(|part| told.contains(part));
        assert!(refused, "{sql}: {told}");
    }
    // It sees all rows, as a service must, and may act for one person.
    connection.batch_execute("UPDATE users SET full_name = 'x'; INSERT INTO audit_logs (id, admin_id, action) VALUES ('n', 'ada', 'x')").await.unwrap();
    connection.batch_execute("BEGIN; SET LOCAL ROLE subtle_user; COMMIT").await.unwrap();
}

#[tokio::test]
async fn a_role_that_passes_every_check_is_not_given_anything() {
    let home = Home::new().await;
    let refused = async |role: &str, part: &str| {
        let told = grant_to(home.url(), role).await.unwrap_err();
        assert!(matches!(&told, MigrateError::Grant(why) if why.contains(part)), "{role}: {told}");
    };
    refused("postgres", "superuser").await;
    let name = home.value("SELECT current_database()").await;
    let (maker, owner, member) = (format!("maker {name}"), format!("owner {name}"), format!("member {name}"));
    home.run(&format!(
        "CREATE ROLE \"{maker}\" CREATEROLE; CREATE ROLE \"{owner}\"; CREATE ROLE \"{member}\" IN ROLE \"{owner}\";
         ALTER DATABASE \"{name}\" OWNER TO \"{owner}\""
    ))
    .await;
    refused(&maker, "CREATEROLE").await;
    refused(&owner, "owns the database").await;
    refused(&member, "may act as who does").await;
    home.run(&format!(
        "ALTER DATABASE \"{name}\" OWNER TO postgres; DROP ROLE \"{maker}\", \"{member}\", \"{owner}\""
    ))
    .await;
}

/// The URL by which a role of the tests reaches their database.
fn as_role(home: &Home, role: &str) -> String {
    home.url().replacen("postgres://postgres@/", &format!("postgres://{role}@/"), 1)
}

#[tokio::test]
async fn what_a_migration_adds_is_granted_to_who_may_run_the_service_and_to_nobody_else() {
    let home = Home::new().await;
    grant_to(home.url(), "subtle_it").await.unwrap();
    let other = format!("other {}", home.value("SELECT current_database()").await);
    home.run(&format!(
        "CREATE ROLE \"{other}\"; GRANT SELECT, INSERT, UPDATE ON users, audit_logs, __diesel_schema_migrations TO \"{other}\""
    ))
    .await;
    while !revert_last(home.url()).await.unwrap().unwrap().ends_with("imported_accounts") {}
    migrate(home.url()).await.unwrap();
    let may = |role: &str, table: &str| format!("SELECT has_table_privilege('{role}', '{table}', 'INSERT')");
    assert_eq!(home.value(&may("subtle_it", "imported_identities")).await, "t");
    assert_eq!(home.value(&may(&other, "imported_identities")).await, "f");
    // Also where it got lost otherwise, and no migration is to come.
    home.run("REVOKE ALL ON user_quotas FROM subtle_it").await;
    migrate(home.url()).await.unwrap();
    assert_eq!(home.value(&may("subtle_it", "user_quotas")).await, "t");
    check_rights(&as_role(&home, "subtle_it")).await.unwrap();
    home.run(&format!("DROP OWNED BY \"{other}\"; DROP ROLE \"{other}\"")).await;
}

#[tokio::test]
async fn who_may_not_migrate_or_use_a_table_is_told_who_can_help() {
    let home = Home::new().await;
    grant_to(home.url(), "subtle_it").await.unwrap();
    let service = as_role(&home, "subtle_it");
    assert!(migrate(&service).await.unwrap().is_empty());
    home.run("REVOKE DELETE ON user_quotas FROM subtle_it").await;
    assert_eq!(
        check_rights(&service).await.unwrap_err().to_string(),
        "the role subtle_it may not do with user_quotas what a server does: let the owner run `subtle migrate --grant-to subtle_it`"
    );
    revert_last(home.url()).await.unwrap();
    assert_eq!(
        migrate(&service).await.unwrap_err().to_string(),
        "1 migrations are pending and subtle_it may not run them: let the owner run `subtle migrate`"
    );
    home.run("REVOKE ALL ON __diesel_schema_migrations FROM subtle_it").await;
    let told = migrate(&service).await.unwrap_err().to_string();
    assert!(told.contains("__diesel_schema_migrations") && told.contains("--grant-to subtle_it"), "{told}");
}

#[tokio::test]
async fn odd_names_of_roles_are_names() {
    let home = Home::new().await;
    let name = home.value("SELECT current_database()").await;
    for odd in ["it's", "$grant$", "Upper", "a\"b"] {
        let role = format!("{odd} {name}");
        grant_to(home.url(), &role).await.unwrap();
        let quoted = role.replace('"', "\"\"");
        home.run(&format!("DROP OWNED BY \"{quoted}\"; DROP ROLE \"{quoted}\"")).await;
    }
}
