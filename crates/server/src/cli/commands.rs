//! The commands, their flags and their help.

use std::num::NonZeroUsize;

use clap::builder::PathBufValueParser;
use clap::{Arg, ArgAction, Command, value_parser};

use crate::import::FROM_VARIABLE;
use crate::settings::{FILE_VARIABLE, Privacy, Setting, TABLE};

const ABOUT: &str = "Accounts and sessions behind an AI product, on PostgreSQL";
const ORDER: &str = "Every setting is a flag, an environment variable and a key of subtle.toml (rate_limit = \"off\"); \
                     flags win over the environment, which wins over the file.";

/// The whole command line. A command's own help shows the settings that matter to it; all are taken everywhere.
pub(super) fn command() -> Command {
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
        .arg(switch("force").help("Take it back also where rows go with it").requires("revert"))
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
        .help("Remove all but so many of the backups in the folder, the oldest first; a folder that is not there is made");
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
