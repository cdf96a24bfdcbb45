use super::*;
use crate::settings::Privacy;

fn read(line: &str) -> Reading {
    super::read(line.split_whitespace().map(OsString::from))
}

fn invocation(line: &str) -> Invocation {
    match read(line) {
        Reading::Invocation(invocation) => invocation,
        other => panic!("{other:?}"),
    }
}

fn refusal(line: &str) -> String {
    match read(line) {
        Reading::Refusal(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_is_sound() {
    command().debug_assert();
}

#[test]
fn without_a_command_it_serves() {
    assert!(matches!(invocation("subtle").task, Task::Serve));
    assert!(matches!(invocation("subtle serve").task, Task::Serve));
}

#[test]
fn settings_stand_before_and_after_the_command_and_the_later_ones_win() {
    let given =
        invocation("subtle --listen [::]:1 --bcrypt-cost 5 --config a serve --listen [::]:2 --config=b");
    assert_eq!(
        given.flags,
        HashMap::from([("listen", "[::]:2".to_owned()), ("bcrypt_cost", "5".to_owned())])
    );
    assert_eq!(given.config, Some("b".into()));
    assert_eq!(invocation("subtle migrate --database-url x").flags["database_url"], "x");
}

#[test]
fn commands_have_their_flags() {
    let migrate = |line| match invocation(line).task {
        Task::Migrate(what) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(migrate("subtle migrate"), MigrateTask::ApplyAll);
    assert_eq!(migrate("subtle migrate --status"), MigrateTask::Status);
    assert_eq!(migrate("subtle migrate --revert"), MigrateTask::RevertLast { force: false });
    assert_eq!(migrate("subtle migrate --revert --force"), MigrateTask::RevertLast { force: true });
    assert_eq!(migrate("subtle migrate --adopt"), MigrateTask::Adopt);
    assert_eq!(migrate("subtle migrate --grant-to app"), MigrateTask::GrantTo("app".to_owned()));
    let created = invocation("subtle create-admin --email a@b.example --password-stdin").task;
    assert!(matches!(created, Task::CreateAdmin { email } if email == "a@b.example"));
    assert!(matches!(invocation("subtle openapi").task, Task::OpenApi));
    assert!(matches!(invocation("subtle doctor --json").task, Task::Doctor { json: true }));
    let imported = |line| match invocation(line).task {
        Task::Import(task) => (task.from.map(|url| url.expose().to_owned()), task.dry_run, task.json),
        other => panic!("{other:?}"),
    };
    assert_eq!(imported("subtle import supabase"), (None, false, false));
    let given = Some("postgres://x".to_owned());
    assert_eq!(imported("subtle import supabase --from postgres://x --dry-run --json"), (given, true, true));
    assert!(matches!(invocation("subtle health --listen [::]:1").task, Task::Health));
    let kept = BackupTask { output: "f".into(), verify: true, keep: Some(7), json: false };
    let backup = invocation("subtle backup --output f --verify --keep 7").task;
    assert!(matches!(backup, Task::Backup(task) if task == kept));
    let wanted = RestoreTask::File { path: "f".into(), force: true, keep_sessions: false };
    assert!(matches!(invocation("subtle restore f --force").task, Task::Restore(task) if task == wanted));
    let dropped = invocation("subtle restore --drop-kept").task;
    assert!(matches!(dropped, Task::Restore(RestoreTask::DropKept)));
    assert!(matches!(invocation("subtle encryption --json").task, Task::Encryption { json: true }));
    assert!(matches!(invocation("subtle encryption").task, Task::Encryption { json: false }));
}

#[test]
fn what_is_not_understood_is_told_in_one_line() {
    for (line, part) in [
        ("subtle --listn x", "--listen"),
        ("subtle sreve", "serve"),
        ("subtle --listen", "--listen <ADDRESS>"),
        ("subtle migrate --status --revert", "--revert"),
        ("subtle migrate --force", "--revert"),
        ("subtle import", "supabase"),
        ("subtle create-admin --password-stdin", "--email <ADDRESS>"),
        ("subtle create-admin --email a@b.example", "--password-stdin"),
        ("subtle --bcrypt-cost 5 --bcrypt-cost 6", "--bcrypt-cost"),
        ("subtle backup", "--output <FILE>"),
        ("subtle backup --output f --keep 0", "0"),
        ("subtle restore", "<FILE>"),
        ("subtle restore f --drop-kept", "--drop-kept"),
    ] {
        let reason = refusal(line);
        assert!(reason.contains(part) && !reason.contains('\n'), "{line}: {reason}");
    }
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
    for line in [
        "subtle --secret=hunter2-hunter2-hunter2-hunter2-",
        "subtle --secret hunter2-hunter2-hunter2-hunter2-",
    ] {
        assert!(!refusal(line).contains("hunter2"), "{}", refusal(line));
    }
}

#[test]
fn the_help_names_every_command_and_every_setting_with_variable_and_default() {
    let Reading::Text(help) = read("subtle --help") else { panic!("no help") };
    for setting in TABLE {
        assert!(help.contains(&setting.variable()) && help.contains(setting.help), "{}", setting.name);
        assert_eq!(help.contains(&format!("--{} <", setting.flag())), setting.privacy != Privacy::Secret);
        assert!(setting.privacy == Privacy::Secret || help.contains(setting.default), "{}", setting.name);
    }
    for command in ["serve", "migrate", "create-admin", "encryption"] {
        assert!(help.contains(command), "{command}");
    }
    assert!(!help.contains("openapi"));
}
