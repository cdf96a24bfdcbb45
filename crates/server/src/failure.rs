//! Why a command did not succeed, and how that is told: one line on stderr.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use subtle_application::admin::CreateAdminError;
use subtle_domain::email::InvalidEmail;
use subtle_domain::password::UnfitPassword;
use subtle_domain::ports::StoreError;
use subtle_persistence::migrations::{AdoptError, MigrateError};

use crate::audit::AuditError;
use crate::backup::BackupError;
use crate::data_dir::DataDirError;
use crate::encryption::EncryptionError;
use crate::health::Unready;
use crate::import::ImportFailure;
use crate::secrets::SecretError;
use crate::serve::PostError;
use crate::settings::SettingError;
use crate::wiring::WiringError;

/// What ends the program early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Postgres(#[from] subtle_local_postgres::Error),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    #[error(transparent)]
    Wiring(#[from] WiringError),
    #[error(transparent)]
    Post(#[from] PostError),
    #[error("the e-mail address {0}")]
    Email(#[from] InvalidEmail),
    #[error("the password {0}")]
    Password(#[from] UnfitPassword),
    #[error("the password cannot be read from standard input")]
    Input(#[source] io::Error),
    #[error("the administrator could not be made")]
    CreateAdmin(#[from] CreateAdminError),
    #[error("the database cannot be looked at")]
    Inspection(#[source] StoreError),
    #[error(transparent)]
    Unready(#[from] Unready),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    #[error(transparent)]
    Import(#[from] ImportFailure),
    #[error("cannot listen on {address} (setting listen)")]
    Listen { address: std::net::SocketAddr, source: io::Error },
    #[error("the server failed")]
    Server(#[source] io::Error),
    #[error("the asynchronous runtime could not be started")]
    Runtime(#[source] io::Error),
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl Failure {
    /// Says so, and gives the code to exit with: 2 where the command line or a setting is at fault, 3
    /// where the audit trail is broken or a key is still needed.
    pub(crate) fn tell(&self) -> ExitCode {
        // There is nobody to tell when this fails.
        let _told = writeln!(io::stderr(), "subtle: {}", with_sources(self));
        match self {
            Self::Usage(_)
            | Self::Setting(_)
            | Self::Import(ImportFailure::NoUrl | ImportFailure::Url(_)) => ExitCode::from(2),
            Self::Audit(AuditError::Broken(_)) | Self::Encryption(EncryptionError::Left(_)) => {
                ExitCode::from(3)
            }
            Self::DataDir(_)
            | Self::Secret(_)
            | Self::Postgres(_)
            | Self::Migrate(_)
            | Self::Adopt(_)
            | Self::Wiring(_)
            | Self::Post(_)
            | Self::Email(_)
            | Self::Password(_)
            | Self::Input(_)
            | Self::CreateAdmin(_)
            | Self::Inspection(_)
            | Self::Unready(_)
            | Self::Backup(_)
            | Self::Audit(_)
            | Self::Encryption(_)
            | Self::Import(_)
            | Self::Listen { .. }
            | Self::Server(_)
            | Self::Runtime(_)
            | Self::Signals(_)
            | Self::Output(_) => ExitCode::FAILURE,
        }
    }
}

/// An error and what caused it, and what caused that. A cause that its effect has told already is left out.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("it broke")]
    struct Cause;

    #[derive(Debug, thiserror::Error)]
    enum Effect {
        #[error("cannot go on")]
        Silent(#[source] Cause),
        #[error("cannot go on: {0}")]
        Telling(#[source] Cause),
    }

    #[test]
    fn every_cause_is_told_once() {
        assert_eq!(with_sources(&Effect::Silent(Cause)), "cannot go on: it broke");
        assert_eq!(with_sources(&Effect::Telling(Cause)), "cannot go on: it broke");
    }
}
