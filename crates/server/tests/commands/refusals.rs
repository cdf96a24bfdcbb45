use std::fs;

use crate::subtle::{Folder, printed, refusal};

#[test]
fn the_help_lists_commands_and_settings() {
    let help = printed(Folder::new().subtle(&["--help"]));
    for part in [
        "create-admin",
        "migrate",
        "--listen <ADDRESS>",
        "SUBTLE_RATE_LIMIT",
        "SUBTLE_SECRET",
        "127.0.0.1:8080",
    ] {
        assert!(help.contains(part), "{part}");
    }
    assert!(printed(Folder::new().subtle(&["--version"])).starts_with("subtle "));
}

#[test]
fn the_document_is_printed_as_it_is_served() {
    let document = printed(Folder::new().subtle(&["openapi"]));
    assert!(document.starts_with('{') && document.ends_with("}\n"));
}

#[test]
fn an_unknown_setting_stops_the_start_wherever_it_is() {
    let folder = Folder::new();
    assert!(refusal(folder.subtle(&["--listn", "x"]), 2).contains("--listen"));
    let mut variable = folder.subtle(&[]);
    variable.env("SUBTLE_LISTN", "x");
    assert_eq!(
        refusal(variable, 2),
        "subtle: the environment variable SUBTLE_LISTN is no setting: did you mean SUBTLE_LISTEN?"
    );
    fs::write(folder.path().join("subtle.toml"), "listn = 'x'").unwrap();
    assert_eq!(
        refusal(folder.subtle(&[]), 2),
        "subtle: subtle.toml has the key \"listn\", which is no setting: did you mean \"listen\"?"
    );
}

#[test]
fn an_unfit_setting_stops_the_start() {
    let reason = refusal(Folder::new().subtle(&["--body-deadline", "soon"]), 2);
    assert!(
        reason.starts_with(
            "subtle: body_deadline cannot be \"soon\" (from --body-deadline): it must be a time"
        ),
        "{reason}"
    );
}

#[test]
fn a_short_secret_stops_the_start_and_is_not_repeated() {
    let folder = Folder::new();
    let mut command = folder.subtle(&[]);
    command.env("SUBTLE_SECRET", "hunter2");
    let reason = refusal(command, 2);
    assert!(reason.contains("has 7 bytes; it needs at least 32") && !reason.contains("hunter2"), "{reason}");
}

#[test]
fn a_template_that_is_none_stops_the_start_with_its_file_and_line() {
    let folder = Folder::new();
    let templates = folder.path().join("letters");
    fs::create_dir(&templates).unwrap();
    fs::write(templates.join("verify_email.html"), "<p>\n{{lnk}}</p>").unwrap();
    let reason = refusal(folder.subtle(&["--mail-templates", "letters"]), 1);
    assert_eq!(
        reason,
        "subtle: letters/verify_email.html is no template: line 2: there is no {{lnk}} in this letter"
    );
}

#[test]
fn a_mail_server_that_would_get_a_password_in_the_open_stops_the_start() {
    let folder = Folder::new();
    let reason = refusal(folder.subtle(&["--smtp-url", "smtp://u:hunter2@mail.example.com?tls=none"]), 1);
    assert!(
        reason.contains("smtp_url has a password and tls=none") && !reason.contains("hunter2"),
        "{reason}"
    );
}

#[test]
fn a_database_on_another_machine_demands_a_secret() {
    let folder = Folder::new();
    let reason = refusal(folder.on("postgres://u:hunter2@db.invalid/subtle", &[]), 1);
    assert!(reason.contains("set SUBTLE_SECRET") && reason.contains("openssl rand -base64 32"), "{reason}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_database_that_is_not_there_stops_the_start_with_the_reason() {
    let folder = Folder::new();
    let reason = refusal(folder.on("postgres://u:hunter2@127.0.0.1:1/subtle", &[]), 1);
    assert!(reason.contains("cannot reach the database") && !reason.contains("hunter2"), "{reason}");
}

#[test]
fn where_no_postgresql_can_be_run_one_line_says_why() {
    let folder = Folder::new();
    let mut command = folder.subtle(&[]);
    command.env("PG_BINDIR", folder.path());
    let reason = refusal(command, 1);
    assert!(reason.contains("PG_BINDIR"), "{reason}");
}
