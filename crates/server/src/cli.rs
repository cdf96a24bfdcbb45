//! What was typed; `commands` is what may be.

mod commands;

use std::collections::HashMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ArgMatches;
use clap::error::ErrorKind;

use crate::audit::AuditTask;
use crate::backup::{BackupTask, RestoreTask};
use crate::import::ImportTask;
use crate::migrate::MigrateTask;
use crate::settings::{DatabaseUrl, Setting, TABLE};
use commands::command;

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
        "migrate" if matches.get_flag("revert") => {
            Task::Migrate(MigrateTask::RevertLast { force: matches.get_flag("force") })
        }
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

/// clap's explanation, without what it says of usage.
fn one_line(text: &str) -> String {
    let said = text.split("\n\nUsage:").next().unwrap_or(text).split("\n\nFor more").next().unwrap_or(text);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines.join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    format!("{} (`subtle --help` tells more)", line.replace(" tip: ", "; "))
}

#[cfg(test)]
mod tests;
