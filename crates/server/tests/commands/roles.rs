//! What operators do as roles that may not do everything: one owns the database, another serves, as `--grant-to` makes it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::PathBuf;

use subtle_local_postgres::testing::{self, TestDatabase};

use crate::subtle::{Folder, Server, printed, sql};

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
