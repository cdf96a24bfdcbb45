use subtle_local_postgres::testing;

use crate::subtle::{Folder, migrated, printed, refusal, sql};

#[test]
fn migrations_are_applied_listed_and_taken_back() {
    let (folder, database) = (Folder::new(), testing::empty_database());
    let migrate =
        |arguments: &[&str]| printed(folder.on(database.url(), &[&["migrate"], arguments].concat()));
    let before = migrate(&["--status"]);
    assert!(
        before.lines().count() > 1 && before.lines().all(|line| line.starts_with("pending ")),
        "{before}"
    );

    let applied = migrate(&[]);
    assert_eq!(applied.replace("applied ", "pending  "), before);
    assert_eq!(migrate(&[]), "the database is up to date\n");
    let after = migrate(&["--status"]);
    assert!(after.lines().all(|line| line.starts_with("applied ") && line.contains("Z by ")), "{after}");

    let last = before.lines().last().unwrap().replace("pending  ", "");
    assert_eq!(migrate(&["--revert"]), format!("reverted {last}\n"));
    assert_eq!(migrate(&["--status"]).lines().filter(|line| line.starts_with("pending ")).count(), 1);
    assert_eq!(migrate(&[]), format!("applied {last}\n"));
}

#[test]
fn what_prisma_made_is_taken_over_once() {
    let (folder, database) = (Folder::new(), testing::empty_database());
    sql(&database, include_str!("../../../persistence/tests/it/prisma/ddl.sql"));
    let status = printed(folder.on(database.url(), &["migrate", "--status"]));
    assert!(status.starts_with("pending ") && status.lines().last().unwrap().contains("--adopt"), "{status}");
    let refused = folder.on(database.url(), &["migrate"]).output().unwrap();
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--adopt"));
    let adopted = printed(folder.on(database.url(), &["migrate", "--adopt"]));
    assert!(adopted.contains("filled in CREATE INDEX idx_users_email ON users (email)"), "{adopted}");
    assert!(adopted.ends_with("adopted: the database is up to date, with all its rows\n"), "{adopted}");
    assert!(!folder.on(database.url(), &["migrate", "--adopt"]).output().unwrap().status.success());
    assert_eq!(printed(folder.on(database.url(), &["migrate"])), "the database is up to date\n");
}

#[test]
fn rows_go_with_a_migration_only_by_force() {
    let (folder, database) = (Folder::new(), migrated());
    sql(
        &database,
        "INSERT INTO users (id, email, password_hash) VALUES ('ada', 'ada@example.com', repeat('x', 60));
         INSERT INTO imported_identities (user_id, provider, provider_id) VALUES ('ada', 'google', '1')",
    );
    // What came later holds nothing that could be lost.
    while folder.on(database.url(), &["migrate", "--revert"]).output().unwrap().status.success() {}
    let told = refusal(folder.on(database.url(), &["migrate", "--revert"]), 1);
    assert!(told.contains("imported_identities") && told.contains("--force"), "{told}");
    let told = printed(folder.on(database.url(), &["migrate", "--revert", "--force"]));
    assert!(told.starts_with("reverted "), "{told}");
}

#[test]
fn where_nothing_is_applied_nothing_is_taken_back() {
    let (folder, database) = (Folder::new(), testing::empty_database());
    assert_eq!(printed(folder.on(database.url(), &["migrate", "--revert"])), "no migration is applied\n");
}
