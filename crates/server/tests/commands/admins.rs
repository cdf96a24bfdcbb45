use std::process::Output;

use subtle_local_postgres::testing;

use crate::subtle::{Folder, Server, migrated, one_line, run_with, text};

fn create(folder: &Folder, url: &str, email: &str, input: &str) -> Output {
    run_with(folder.on(url, &["create-admin", "--email", email, "--password-stdin"]), input)
}

#[test]
fn an_administrator_is_made_and_made_again() {
    let (folder, database) = (Folder::new(), migrated());
    let made = create(&folder, database.url(), "Ada@Example.com", "tr0ub4dor&3\n");
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert_eq!(text(&made.stdout), "ada@example.com is a new administrator\n");
    let again = create(&folder, database.url(), "ada@example.com", "correct horse battery");
    assert!(text(&again.stdout).starts_with("ada@example.com had an account, "), "{}", text(&again.stderr));
}

#[test]
fn an_unfit_password_or_address_is_refused_with_the_reason() {
    let (folder, database) = (Folder::new(), migrated());
    for (email, password, reason) in [
        ("ada@example.com", "password\n", "the password is among the most common passwords"),
        ("ada@example.com", "short\r\n", "the password must be at least 8 characters"),
        ("ada@example.com", "", "the password must be at least 8 characters"),
        ("ada", "tr0ub4dor&3\n", "the e-mail address must have the form name@example.com"),
    ] {
        let refused = create(&folder, database.url(), email, password);
        assert_eq!(refused.status.code(), Some(1));
        let line = one_line(&refused);
        assert!(line.contains(reason), "{line}");
    }
}

#[test]
fn only_one_line_break_is_no_part_of_the_password() {
    let (folder, database) = (Folder::new(), migrated());
    let of_eight_with_breaks = create(&folder, database.url(), "ada@example.com", "sixsix\n\n\n");
    assert!(of_eight_with_breaks.status.success(), "{}", text(&of_eight_with_breaks.stderr));
}

#[test]
fn on_an_empty_database_and_before_the_first_start_an_administrator_can_be_made() {
    let (folder, database) = (Folder::new(), testing::empty_database());
    assert!(create(&folder, database.url(), "ada@example.com", "tr0ub4dor&3").status.success());
    assert!(folder.path().join(".subtle/secret").is_file());
}

#[test]
fn with_another_secret_than_the_servers_none_is_made() {
    let (home, elsewhere, database) = (Folder::new(), Folder::new(), migrated());
    let mut server = Server::start(home.on(database.url(), &["serve"]));
    server.ready();
    assert!(server.stop().success());
    let refused = create(&elsewhere, database.url(), "ada@example.com", "tr0ub4dor&3");
    assert!(one_line(&refused).contains("none of the servers' secrets"), "{}", text(&refused.stderr));
    assert!(create(&home, database.url(), "ada@example.com", "tr0ub4dor&3").status.success());
}
