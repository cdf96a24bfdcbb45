//! `subtle migrate`.

use std::fmt::Write as _;
use std::sync::mpsc;

use subtle_persistence::PoolOptions;
use subtle_persistence::migrations::{self, Done, MigrateError, State};

use crate::database::Home;
use crate::failure::Failure;
use crate::settings::Settings;

/// What to do about migrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MigrateTask {
    ApplyAll,
    Status,
    RevertLast {
        /// Also where rows go with it.
        force: bool,
    },
    Adopt,
    GrantTo(String),
}

pub(crate) fn migrate(settings: &Settings, what: &MigrateTask) -> Result<(), Failure> {
    let home = Home::open(settings)?;
    let told = crate::runtime()?.block_on(told(home.url().expose(), what))?;
    home.close()?;
    crate::print(&told)
}

async fn told(url: &str, what: &MigrateTask) -> Result<String, Failure> {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _infallible = writeln!(text, "{line}");
    };
    match what {
        MigrateTask::ApplyAll => {
            let (sender, told) = mpsc::channel();
            // At once: a step that fails comes after others that stay.
            let tell = move |done: &Done| {
                let _failed_to_print = crate::print(&format!("{done}\n"));
                let _nobody_waits = sender.send(());
            };
            migrations::migrate_at(PoolOptions::from_url(url).map_err(MigrateError::from)?, tell).await?;
            if told.try_iter().next().is_none() {
                line(format_args!("the database is up to date"));
            }
        }
        MigrateTask::GrantTo(role) => {
            for name in migrations::grant_to(url, role).await? {
                line(format_args!("applied {name}"));
            }
            line(format_args!(
                "{role} may run the service here, but change neither the schema nor the audit trail; migrations grant it again \
                 what they add"
            ));
        }
        MigrateTask::Status => {
            let steps = migrations::status(url).await?;
            for step in &steps {
                let at =
                    step.at.map(|at| format!("  {}", at.format("%Y-%m-%dT%H:%M:%SZ"))).unwrap_or_default();
                let by = step.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
                line(format_args!("{:<8} {}{at}{by}", word(step.state), step.name));
            }
            if steps.iter().all(|step| step.state == State::Pending) && migrations::is_foreign(url).await? {
                line(format_args!("{}", MigrateError::Foreign));
            }
        }
        MigrateTask::Adopt => {
            let adopted = migrations::adopt(url).await?;
            for statement in adopted.filled_in {
                line(format_args!("filled in {statement}"));
            }
            for name in &adopted.applied {
                line(format_args!("applied {name}"));
            }
            line(format_args!("adopted: the database is up to date, with all its rows"));
        }
        MigrateTask::RevertLast { force } => {
            let reverted = if *force {
                migrations::revert_last_with_its_rows(url).await?
            } else {
                migrations::revert_last(url).await?
            };
            match reverted {
                Some(name) => line(format_args!("reverted {name}")),
                None => line(format_args!("no migration is applied")),
            }
        }
    }
    Ok(text)
}

fn word(state: State) -> &'static str {
    match state {
        State::Applied => "applied",
        State::Pending => "pending",
        State::Unknown => "unknown",
    }
}
