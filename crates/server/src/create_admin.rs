//! `subtle create-admin`.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _, stderr, stdin};
use std::num::NonZeroUsize;

use subtle_application::admin::{self, CreateAdmin, CreatedAdmin};
use subtle_domain::email::EmailAddress;
use subtle_domain::password::Password;
use subtle_persistence::migrations;
use subtle_security::MasterSecrets;

use crate::audit::AuditError;
use crate::database::Home;
use crate::failure::Failure;
use crate::secrets;
use crate::settings::{DatabaseUrl, Settings};
use crate::wiring;

/// More than any password may have, with its line break.
const LONGEST_INPUT: u64 = 4096;

pub(crate) fn create_admin(settings: &Settings, email: &str) -> Result<(), Failure> {
    let command = CreateAdmin { email: EmailAddress::parse(email)?, password: password()? };
    let local = settings.database_url.as_ref().is_none_or(DatabaseUrl::is_local);
    // The audit trail tells of it, and each row there carries a proof.
    let secrets = secrets::find(settings, local)?;
    let home = Home::open(settings)?;
    let created = crate::runtime()?.block_on(made(settings, &home, &secrets, command))?;
    home.close()?;
    crate::print(&match created {
        CreatedAdmin::New(user) => format!("{} is a new administrator\n", user.email.as_str()),
        CreatedAdmin::Promoted(user) => {
            let email = user.email.as_str();
            format!(
                "{email} had an account, which is an administrator's now: with this password, signed in nowhere\n"
            )
        }
    })
}

/// Standard input without its line break; at a terminal, one line of it.
fn password() -> Result<Password, Failure> {
    let mut text = String::new();
    let mut input = stdin().lock().take(LONGEST_INPUT);
    let read = if stdin().is_terminal() {
        let _told = stderr().write_all(b"Password (visible as you type): ");
        input.read_line(&mut text)
    } else {
        input.read_to_string(&mut text)
    };
    read.map_err(Failure::Input)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Password::parse(line.strip_suffix('\r').unwrap_or(line))?)
}

async fn made(
    settings: &Settings,
    home: &Home,
    secrets: &MasterSecrets,
    command: CreateAdmin,
) -> Result<CreatedAdmin, Failure> {
    migrations::migrate(home.url().expose()).await?;
    let mut wired = wiring::wire(settings, home.options()?, secrets, NonZeroUsize::MIN)?;
    // The first seal ties the trail to the secret, so that the servers' can't be another one.
    let now = wired.ports.clock.now();
    wired.sealer.seal(now).await.map_err(AuditError::from)?.map_err(AuditError::from)?;
    let created = admin::create_admin(&wired.ports, command).await?;
    wired.activity.close().await;
    Ok(created)
}
