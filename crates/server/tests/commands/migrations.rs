use subtle_local_postgres::testing;

use crate::subtle::{Folder, printed};

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
    assert!(migrate(&["--status"]).lines().all(|line| line.starts_with("applied ")));

    let last = before.lines().last().unwrap().replace("pending  ", "");
    assert_eq!(migrate(&["--revert"]), format!("reverted {last}\n"));
    assert_eq!(migrate(&["--status"]).lines().filter(|line| line.starts_with("pending ")).count(), 1);
    assert_eq!(migrate(&[]), format!("applied {last}\n"));
}

#[test]
fn where_nothing_is_applied_nothing_is_taken_back() {
    let (folder, database) = (Folder::new(), testing::empty_database());
    assert_eq!(printed(folder.on(database.url(), &["migrate", "--revert"])), "no migration is applied\n");
}
