//! What may be typed.

use std::collections::HashMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::PathBufValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::audit::AuditTask;
use crate::backup::{BackupTask, RestoreTask};
use crate::import::{FROM_VARIABLE, ImportTask};
use crate::migrate::MigrateTask;
use crate::settings::{DatabaseUrl, FILE_VARIABLE, Privacy, Setting, TABLE};

const ABOUT: &str = "Accounts and sessions behind an AI product, on PostgreSQL";
const ORDER: &str = "Every setting is a flag, an environment variable and a key of subtle.toml (rate_limit = \"off\"); \
                     flags win over the environment, which wins over the file.";

/// What was typed.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) task: Task,
    /// The settings among the flags, by name.
    pub(crate) flags: HashMap<&'static str, String>,
    pub(crate) config: Option<PathBuf>,
}

/// A command.
#[derive(Debug)]
pub(crate) enum Task {
    Serve,
    Migrate(MigrateTask),
    CreateAdmin { email: String },
    Audit(AuditTask),
    Import(ImportTask),
    Backup(BackupTask),
    Restore(RestoreTask),
    Doctor { json: bool },
    Health,
    Encryption { json: bool },
    OpenApi,
}

/// What a command line turned out to be.
#[derive(Debug)]
pub(crate) enum Reading {
    Invocation(Invocation),
    /// The help or the version, to be printed.
    Text(String),
    /// Not understood: one line.
    Refusal(String),
}

pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Reading {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Reading::Text(error.render().to_string());
        }
        Err(error) => return Reading::Refusal(one_line(&error.render().to_string())),
    };
    let mut flags = flags(&matches);
    let mut config = config(&matches);
    let mut level = &matches;
    while let Some((_, own)) = level.subcommand() {
        flags.extend(self::flags(own));
        config = self::config(own).or(config);
        level = own;
    }
    let task = matches.subcommand().map_or(Task::Serve, |(name, own)| task(name, own));
    Reading::Invocation(Invocation { task, flags, config })
}

fn task(name: &str, matches: &ArgMatches) -> Task {
    match name {
        "migrate" if matches.get_flag("status") => Task::Migrate(MigrateTask::Status),
        "migrate" if matches.get_flag("adopt") => Task::Migrate(MigrateTask::Adopt),
        "migrate" if matches.get_flag("revert") => Task::Migrate(MigrateTask::RevertLast),
        "migrate" => Task::Migrate(match matches.get_one::<String>("grant-to") {
            Some(role) => MigrateTask::GrantTo(role.clone()),
            None => MigrateTask::ApplyAll,
        }),
        "create-admin" => {
            Task::CreateAdmin { email: matches.get_one::<String>("email").cloned().unwrap_or_default() }
        }
        "audit" => audit_task(matches),
        "import" => import_task(matches),
        "backup" => Task::Backup(BackupTask {
            output: matches.get_one("output").cloned().unwrap_or_default(),
            verify: matches.get_flag("verify"),
            keep: matches.get_one("keep").map(|keep: &NonZeroUsize| keep.get()),
            json: matches.get_flag("json"),
        }),
        "restore" => Task::Restore(match matches.get_one("file").cloned() {
            Some(path) => RestoreTask::File {
                path,
                force: matches.get_flag("force"),
                keep_sessions: matches.get_flag("keep-sessions"),
            },
            None => RestoreTask::DropKept,
        }),
        "doctor" => Task::Doctor { json: matches.get_flag("json") },
        "health" => Task::Health,
        "encryption" => Task::Encryption { json: matches.get_flag("json") },
        "openapi" => Task::OpenApi,
        _ => Task::Serve,
    }
}

fn audit_task(matches: &ArgMatches) -> Task {
    Task::Audit(match matches.subcommand() {
        Some(("verify", own)) => {
            AuditTask::Verify { head: own.get_one("head").cloned(), json: own.get_flag("json") }
        }
        _ => AuditTask::Head,
    })
}

/// There is one service to import from.
fn import_task(matches: &ArgMatches) -> Task {
    let own = matches.subcommand_matches("supabase").unwrap_or(matches);
    let is_set = |name| own.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or_default();
    let from = own.try_get_one::<String>("from").ok().flatten();
    Task::Import(ImportTask {
        from: from.map(|url| DatabaseUrl::new(url.clone())),
        dry_run: is_set("dry-run"),
        json: is_set("json"),
    })
}

fn config(matches: &ArgMatches) -> Option<PathBuf> {
    matches.try_get_one("config").ok().flatten().cloned()
}

fn flags(matches: &ArgMatches) -> HashMap<&'static str, String> {
    let given = |setting: &Setting| matches.try_get_one::<String>(setting.name).ok().flatten().cloned();
    TABLE.iter().filter_map(|setting| Some((setting.name, given(setting)?))).collect()
}

/// The whole command line. A command's own help shows the settings that matter to it; all are taken everywhere.
fn command() -> Command {
    let root = Command::new("subtle")
        .about(ABOUT)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(secrets_help())
        .disable_help_subcommand(true)
        .subcommand(
            Command::new("serve")
                .about("Serves the API: what happens without a command")
                .after_help(secrets_help()),
        );
    let root = with_settings(root, |_| true).mut_subcommand("serve", |serve| with_settings(serve, |_| true));
    let near_database = |setting: &Setting| matches!(setting.group, "Storage" | "Logs");
    let near_passwords = |setting: &Setting| near_database(setting) || setting.name == "bcrypt_cost";
    root.subcommand(with_settings(migrate(), near_database))
        .subcommand(with_settings(create_admin(), near_passwords))
        .subcommand(with_settings(audit(near_database), near_database))
        .subcommand(import(near_database))
        .subcommand(with_settings(backup(), near_database))
        .subcommand(with_settings(restore(), near_database))
        .subcommand(with_settings(doctor(), near_database))
        .subcommand(with_settings(health(), |setting| setting.name == "listen"))
        .subcommand(with_settings(encryption(), near_database))
        .subcommand(Command::new("openapi").about("Prints the OpenAPI document").hide(true))
}

fn migrate() -> Command {
    Command::new("migrate")
        .about("Brings the database up to date, as serving does at its start")
        .arg(switch("status").help("Only list the migrations and what has become of them"))
        .arg(switch("revert").help("Take the last migration back").conflicts_with("status"))
        .arg(
            switch("adopt")
                .help("Take over a database that Prisma made from the seed's schema, in place and with its rows")
                .conflicts_with_all(["status", "revert"]),
        )
        .arg(
            Arg::new("grant-to")
                .long("grant-to")
                .value_name("ROLE")
                .help("Let a role run the service that can change neither the schema nor the audit trail; made if it is not there")
                .conflicts_with_all(["status", "revert", "adopt"]),
        )
}

fn create_admin() -> Command {
    Command::new("create-admin")
        .about("Makes an administrator, of a new account or of one that is there")
        .arg(
            Arg::new("email")
                .long("email")
                .value_name("ADDRESS")
                .required(true)
                .help("The administrator's address"),
        )
        .arg(switch("password-stdin").required(true).help("Read the password from standard input"))
}

fn audit(shown: impl Fn(&Setting) -> bool + Copy) -> Command {
    let verify = Command::new("verify")
        .about("Tells whether the audit trail is what was written, or the first row or seal that is not")
        .arg(
            Arg::new("head")
                .long("head")
                .value_name("FILE")
                .value_parser(PathBufValueParser::new())
                .help("What `subtle audit head` printed earlier, or - for standard input: tells of a trail that was cut off"),
        )
        .arg(switch("json").help("Tell it as a line of JSON"));
    let head = Command::new("head").about("Prints the signed end of the audit trail, to be kept elsewhere");
    Command::new("audit")
        .about("Verifies the audit trail")
        .subcommand_required(true)
        .subcommand(with_settings(verify, shown))
        .subcommand(with_settings(head, shown))
}

fn import(shown: impl Fn(&Setting) -> bool + Copy) -> Command {
    let supabase = Command::new("supabase")
        .about("Takes over the accounts of a Supabase project, with their passwords and live sessions")
        .arg(Arg::new("from").long("from").value_name("URL").help(format!(
            "The project's database: postgres://… [{FROM_VARIABLE}, where others on this machine do not see its password]"
        )))
        .arg(switch("dry-run").help("Only tell what would become of each account"))
        .arg(switch("json").help("Tell it as a line of JSON, with the identifier of every account it speaks of"));
    Command::new("import")
        .about("Takes over the accounts of another service")
        .subcommand_required(true)
        .subcommand(with_settings(supabase, shown))
}

fn backup() -> Command {
    let output = Arg::new("output")
        .long("output")
        .value_name("FILE")
        .required(true)
        .value_parser(PathBufValueParser::new())
        .help("A file that is not there yet, or a folder, in which the name is made of the time");
    let keep = Arg::new("keep")
        .long("keep")
        .value_name("NUMBER")
        .value_parser(value_parser!(NonZeroUsize))
        .help("Remove all but so many of the backups in the folder, the oldest first");
    Command::new("backup")
        .about("Writes the whole database to a file, as it is at one moment and while it is used")
        .arg(output)
        .arg(switch("verify").help("Restore it into a database of its own and compare, then drop that"))
        .arg(keep)
        .arg(switch("json").help("Tell it as a line of JSON"))
}

fn restore() -> Command {
    let file = Arg::new("file")
        .value_name("FILE")
        .required_unless_present("drop-kept")
        .value_parser(PathBufValueParser::new())
        .help("What `subtle backup` wrote");
    Command::new("restore")
        .about("Puts a backup in the database's place, once it is known to be whole; the old one is kept")
        .arg(file)
        .arg(switch("force").help("Also in the place of a database that holds accounts"))
        .arg(switch("keep-sessions").help("Leave people signed in who were when the backup was made"))
        .arg(
            switch("drop-kept")
                .help("Only drop the databases that were kept, and what killed restores left")
                .conflicts_with_all(["file", "force", "keep-sessions"]),
        )
}

fn doctor() -> Command {
    Command::new("doctor")
        .about("Looks at the database: connections, sizes, use of indexes, settings, and what is worth doing something about")
        .arg(switch("json").help("Tell it as a line of JSON"))
}

fn health() -> Command {
    Command::new("health").about("Tells whether the server on this machine is ready, by the exit code too")
}

fn encryption() -> Command {
    Command::new("encryption")
        .about("Counts what is encrypted under which key, and tells whether older keys can be given up")
        .arg(switch("json").help("Tell it as lines of JSON"))
}

fn switch(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

fn with_settings(command: Command, shown: impl Fn(&Setting) -> bool) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help(format!("Settings as `key = value` [{FILE_VARIABLE}] [default: subtle.toml, if it is there]"))
        .value_parser(PathBufValueParser::new())
        .next_line_help(true);
    let flags = TABLE.iter().filter(|setting| setting.privacy != Privacy::Secret);
    flags.fold(command.arg(config), |command, setting| {
        command.arg(
            Arg::new(setting.name)
                .long(setting.flag())
                .value_name(setting.value)
                .help(described(setting))
                .help_heading(setting.group)
                .next_line_help(true)
                .hide(!shown(setting)),
        )
    })
}

/// `Address and port to serve on [SUBTLE_LISTEN] [default: 127.0.0.1:8080]`
fn described(setting: &Setting) -> String {
    format!("{} [{}] [default: {}]", setting.help, setting.variable(), setting.default)
}

fn secrets_help() -> String {
    let secrets = TABLE.iter().filter(|setting| setting.privacy == Privacy::Secret);
    let rows: Vec<String> =
        secrets.map(|setting| format!("  {}\n          {}\n", setting.variable(), setting.help)).collect();
    let rows = rows.concat();
    format!("Secrets, in the environment or subtle.toml but never on the command line:\n{rows}\n{ORDER}")
}

/// clap's explanation, without what it says of usage.
fn one_line(text: &str) -> String {
    let said = text.split("\n\nUsage:").next().unwrap_or(text).split("\n\nFor more").next().unwrap_or(text);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines.join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    format!("{} (`subtle --help` tells more)", line.replace(" tip: ", "; "))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(migrate("subtle migrate --revert"), MigrateTask::RevertLast);
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
        assert_eq!(
            imported("subtle import supabase --from postgres://x --dry-run --json"),
            (given, true, true)
        );
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
}
