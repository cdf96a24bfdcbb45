//! What a start tells.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::net::SocketAddr;

use subtle_persistence::migrations::{self, Done};

use crate::database::Home;
use crate::failure::Failure;
use crate::settings::{DatabaseUrl, Settings};

/// Choices that do less than they seem to, or more.
pub(super) fn cautions(settings: &Settings, address: SocketAddr) {
    if settings.mail_dir.is_some() && settings.smtp_url.is_some() {
        tracing::warn!("smtp_url is set: letters go to the mail server, and mail_dir is not used");
    }
    if settings.smtp_url.is_some() && settings.public_url.is_none() {
        tracing::warn!(
            "public_url is not set: links in letters lead to {address}, where nobody else may reach the service"
        );
    }
    if !settings.rate_limit {
        tracing::warn!("rate_limit is off: passwords can be guessed freely by whoever reaches {address}");
    }
    if settings.require_verified_email && settings.smtp_url.is_none() {
        tracing::warn!(
            "require_verified_email is on, but letters are only put into a folder: nobody gets theirs by mail"
        );
    }
}

pub(super) fn protection(protects_rows: bool) {
    if !protects_rows {
        tracing::warn!(
            "row-level security is not in use: let an administrator of the server run `CREATE ROLE subtle_user` and \
             `GRANT subtle_user TO` the role of DATABASE_URL, then `subtle migrate`"
        );
    }
}

/// What became of the roles that other servers run as.
pub(super) fn grants(done: &Done) {
    match done {
        Done::Applied(_) => {}
        Done::Granted(_) => tracing::info!("{done}"),
        Done::NotGranted { .. } => tracing::warn!("{done}"),
    }
}

pub(super) fn migrations(applied: &[String]) {
    if let Some(latest) = applied.last() {
        tracing::info!(migrations = applied.len(), latest, "brought the database up to date");
    }
}

/// Whether the migrations that were applied are all there are: then the database was empty.
pub(super) async fn are_all(applied: &[String], url: &DatabaseUrl) -> Result<bool, Failure> {
    Ok(migrations::status(url.expose()).await?.len() == applied.len())
}

/// Tells where we are; at a terminal, people more than what collects logs.
pub(super) fn address(address: SocketAddr, settings: &Settings, home: &Home, is_new: bool) {
    tracing::info!(address = %address, "listening on http://{address}");
    if stderr().is_terminal() {
        let text = welcome(address, settings, home.is_embedded(), is_new);
        let _told = stderr().write_all(text.as_bytes());
    }
}

const FIRST: &str = "
  Nobody has an account yet. To make an administrator, in another terminal:
    subtle create-admin --email you@example.com --password-stdin
";

fn welcome(address: SocketAddr, settings: &Settings, is_embedded: bool, is_new: bool) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let data = if is_embedded {
        format!("in {} (a private PostgreSQL)", settings.data_dir.display())
    } else {
        "in the PostgreSQL of DATABASE_URL".to_owned()
    };
    let first = if is_new { FIRST } else { "" };
    format!(
        "\n  Subtle {version} is ready. Ctrl-C stops it.\n\n    API            http://{address}\n    \
         Documentation  http://{address}/docs\n    Data           {data}\n{first}\n"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::settings::Given;

    #[test]
    fn people_are_told_where_to_go_and_at_the_first_start_how_to_begin() {
        let settings = Settings::read(&Given::gather(HashMap::new(), None, []).unwrap()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let first = welcome(address, &settings, true, true);
        for part in
            ["http://127.0.0.1:8080\n", "http://127.0.0.1:8080/docs\n", ".subtle", "subtle create-admin"]
        {
            assert!(first.contains(part), "{part}");
        }
        assert!(!welcome(address, &settings, true, false).contains("create-admin"));
    }
}
