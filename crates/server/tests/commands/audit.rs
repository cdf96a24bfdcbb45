use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use subtle_local_postgres::testing::TestDatabase;

use crate::subtle::{Folder, Server, migrated, one_line, printed, refusal, run_with, sql, text};

/// Three administrators, of whom the trail tells; the last stop of a server has sealed it.
fn trail() -> (Folder, TestDatabase) {
    let (folder, database) = (Folder::new(), migrated());
    for name in ["ada", "bob", "eve"] {
        let email = format!("{name}@example.com");
        let made = run_with(
            folder.on(database.url(), &["create-admin", "--email", &email, "--password-stdin"]),
            "tr0ub4dor&3\n",
        );
        assert!(made.status.success(), "{}", text(&made.stderr));
    }
    let mut server = Server::start(folder.on(database.url(), &["serve"]));
    server.ready();
    assert!(server.stop().success());
    (folder, database)
}

#[test]
fn an_untouched_trail_is_intact_with_and_without_a_head_of_earlier() {
    let (folder, database) = trail();
    let verify = |more: &[&str]| printed(folder.on(database.url(), &[&["audit", "verify"], more].concat()));
    assert_eq!(verify(&[]), "intact: 3 rows, 4 seals; 0 of the rows wait for a seal\n");
    let head = printed(folder.on(database.url(), &["audit", "head"]));
    assert!(head.starts_with(r#"{"number":4,"sealedAt":""#), "{head}");
    fs::write(folder.path().join("head"), &head).unwrap();
    let json = r#"{"intact":true,"rows":3,"old":0,"seals":4,"unsealed":0,"breach":null}"#;
    assert_eq!(verify(&["--head", "head", "--json"]), format!("{json}\n"));
    let by_input = run_with(folder.on(database.url(), &["audit", "verify", "--head", "-"]), &head);
    assert!(by_input.status.success(), "{}", text(&by_input.stderr));
}

#[test]
fn a_row_that_was_edited_removed_or_put_in_is_named_and_the_exit_tells() {
    for (attack, told) in [
        (
            "UPDATE audit_logs SET action = 'x' WHERE id = (SELECT min(id) FROM audit_logs)",
            "was edited after seal ",
        ),
        ("DELETE FROM audit_logs WHERE id = (SELECT min(id) FROM audit_logs)", "was removed"),
        (
            "INSERT INTO audit_logs (id, admin_id, action) SELECT 'foreign', id, 'user.update' FROM users LIMIT 1",
            "row foreign was put in from outside",
        ),
    ] {
        let (folder, database) = trail();
        sql(&database, &format!("SET session_replication_role = replica; {attack}"));
        let found = folder.on(database.url(), &["audit", "verify"]).output().unwrap();
        assert_eq!(found.status.code(), Some(3), "{attack}");
        let line = text(&found.stderr);
        assert!(line.starts_with("subtle: the audit trail is broken: row ") && line.contains(told), "{line}");
    }
}

#[test]
fn a_head_that_is_none_and_a_trail_without_a_seal_are_refused() {
    let (folder, database) = (Folder::new(), migrated());
    let unmade = refusal(folder.on(database.url(), &["audit", "verify"]), 1);
    assert!(unmade.contains("there is no secret in .subtle/secret"), "{unmade}");
    fs::create_dir(folder.path().join(".subtle")).unwrap();
    let mut secret = fs::OpenOptions::new();
    let secret = secret.create_new(true).write(true).mode(0o600).open(folder.path().join(".subtle/secret"));
    writeln!(secret.unwrap(), "a secret of the tests with 32 bytes or more").unwrap();
    let unsealed = refusal(folder.on(database.url(), &["audit", "head"]), 1);
    assert!(unsealed.contains("no seal yet"), "{unsealed}");
    let unverified = folder.on(database.url(), &["audit", "verify"]).output().unwrap();
    assert_eq!(unverified.status.code(), Some(1));
    assert!(text(&unverified.stderr).contains("no seal yet"));
    let missing = refusal(folder.on(database.url(), &["audit", "verify", "--head", "nowhere"]), 1);
    assert!(missing.contains("cannot be read from nowhere"), "{missing}");
    let nonsense = run_with(folder.on(database.url(), &["audit", "verify", "--head", "-"]), "{}");
    assert!(one_line(&nonsense).contains("holds no head"));
    assert_eq!(refusal(folder.on(database.url(), &["audit"]), 2).lines().count(), 1);
}
