//! What operators do as roles that may not do everything: one owns the database, another serves, as `--grant-to` makes it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::PathBuf;

use subtle_local_postgres::testing::{self, TestDatabase};

use crate::subtle::{Folder, Server, printed, refusal, sql, text, value};

/// As docs/deployment.md has it made.
const OWNER: &str = "subtle_commands_owner";
/// As `--grant-to` makes it.
const SERVICE: &str = "subtle_commands_service";

/// Makes a role unless another test has made it.
fn role(database: &TestDatabase, name: &str, can: &str) {
    sql(
        database,
        &format!(
            "DO $$ BEGIN
                 IF to_regrole('{name}') IS NULL THEN CREATE ROLE {name} LOGIN {can}; END IF;
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
             END $$"
        ),
    );
}

/// The database as a role reaches it.
fn as_role(database: &TestDatabase, role: &str) -> String {
    database.url().replacen("postgres://postgres@/", &format!("postgres://{role}@/"), 1)
}

/// A database of [`OWNER`], who has migrated it and granted it to [`SERVICE`], and the URLs of both.
fn granted(folder: &Folder) -> (TestDatabase, String, String) {
    let database = testing::empty_database();
    role(&database, OWNER, "CREATEDB CREATEROLE IN ROLE pg_signal_backend");
    sql(&database, &format!("ALTER DATABASE \"{}\" OWNER TO {OWNER}", database.name()));
    let (owner, service) = (as_role(&database, OWNER), as_role(&database, SERVICE));
    printed(folder.on(&owner, &["migrate", "--grant-to", SERVICE]));
    (database, owner, service)
}

fn backup(folder: &Folder, url: &str) -> PathBuf {
    let file = folder.path().join("one.backup");
    printed(folder.on(url, &["backup", "--output", file.to_str().unwrap()]));
    file
}

#[test]
fn a_member_of_pg_signal_backend_restores_beside_a_server_of_another_role() {
    let folder = Folder::new();
    let (_database, owner, service) = granted(&folder);
    let file = backup(&folder, &owner);
    let mut server = Server::start(folder.on(&service, &[]));
    server.ready();
    let told = printed(folder.on(&owner, &["restore", file.to_str().unwrap()]));
    assert!(told.contains("is kept as"), "{told}");
    assert!(server.stop().success());
    printed(folder.on(&owner, &["restore", "--drop-kept"]));
}

#[test]
fn a_server_that_may_not_use_a_table_does_not_start_and_says_what_helps() {
    let folder = Folder::new();
    let (database, owner, service) = granted(&folder);
    sql(&database, &format!("REVOKE ALL ON imported_identities FROM {SERVICE}"));
    let told = refusal(folder.on(&service, &["--log", "error"]), 1);
    assert!(told.contains("imported_identities") && told.contains("`subtle migrate --grant-to "), "{told}");
    let told = printed(folder.on(&owner, &["migrate"]));
    assert_eq!(told, format!("granted to {SERVICE} again what a server needs\n"));
    while !printed(folder.on(&owner, &["migrate", "--revert"])).contains("imported_accounts") {}
    let told = refusal(folder.on(&service, &["--log", "error"]), 1);
    assert!(told.contains(" migrations are pending and subtle_commands_service may not run them"), "{told}");
    let told = printed(folder.on(&owner, &["migrate"]));
    assert!(
        told.starts_with("applied ") && told.contains(&format!("\ngranted to {SERVICE} again")),
        "{told}"
    );
    let mut server = Server::start(folder.on(&service, &[]));
    server.ready();
    assert!(server.stop().success());
}

#[test]
fn who_may_run_the_service_still_may_after_a_restore_of_a_backup_from_before() {
    let folder = Folder::new();
    let (database, owner, service) = granted(&folder);
    sql(&database, &format!("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {SERVICE}"));
    let file = backup(&folder, &owner);
    printed(folder.on(&owner, &["migrate", "--grant-to", SERVICE]));
    let told = printed(folder.on(&owner, &["restore", file.to_str().unwrap()]));
    assert!(told.contains(&format!("granted to {SERVICE} again")), "{told}");
    let mut server = Server::start(folder.on(&service, &[]));
    server.ready();
    assert!(server.stop().success());
    assert_eq!(
        value(&database, "SELECT pg_get_userbyid(relowner)::text FROM pg_class WHERE relname = 'users'"),
        OWNER
    );
    printed(folder.on(&owner, &["restore", "--drop-kept"]));
}

#[test]
fn steps_before_one_that_fails_are_told() {
    let (folder, database) = (Folder::new(), testing::empty_database());
    // What the second migration makes.
    sql(&database, "CREATE TABLE sync_logs (id INT)");
    let output = folder.on(database.url(), &["migrate"]).output().unwrap();
    let (printed, told) = (text(&output.stdout), text(&output.stderr));
    assert!(
        !output.status.success() && told.contains("migration 20261123000200_phase_2_tables failed"),
        "{told}"
    );
    assert_eq!(printed, "applied 20261123000100_seed_schema\n");
}

#[test]
fn who_may_not_make_databases_is_told_so_before_anything_is_done() {
    const PLAIN: &str = "subtle_commands_plain";
    let folder = Folder::new();
    let database = testing::empty_database();
    role(&database, PLAIN, "NOCREATEDB");
    sql(&database, &format!("ALTER DATABASE \"{}\" OWNER TO {PLAIN}", database.name()));
    let url = as_role(&database, PLAIN);
    printed(folder.on(&url, &["migrate"]));
    let told = refusal(folder.on(&url, &["backup", "--output", "x", "--verify"]), 1);
    assert!(told.contains("subtle_commands_plain needs CREATEDB") && told.contains("ALTER ROLE"), "{told}");
    assert!(!folder.path().join("x").exists());
    let file = backup(&folder, &url);
    let told = refusal(folder.on(&url, &["restore", file.to_str().unwrap()]), 1);
    assert!(told.contains("subtle_commands_plain needs CREATEDB for a restore"), "{told}");
    // Another one may make databases, but does not own this one.
    role(&database, OWNER, "CREATEDB CREATEROLE IN ROLE pg_signal_backend");
    let told = refusal(folder.on(&as_role(&database, OWNER), &["restore", file.to_str().unwrap()]), 1);
    assert!(told.contains("subtle_commands_owner does not own the database"), "{told}");
}
