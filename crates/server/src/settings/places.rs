//! Where the database and the mail server are.

use std::fmt;

use subtle_persistence::PoolOptions;

/// A checked `DATABASE_URL`. Does not print itself: there may be a password in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it can only be a server on this machine: behind a unix socket or a loopback address.
    pub(crate) fn is_local(&self) -> bool {
        PoolOptions::from_url(&self.0).is_ok_and(|options| options.is_local())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// The URL of a mail server. Does not print itself, likewise.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SmtpUrl(String);

impl SmtpUrl {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpUrl(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_and_loopback_addresses_are_this_machine() {
        for (url, local) in [
            ("postgres://u:p@localhost/db", true),
            ("postgres://u@localhost:5433/db?connection_limit=3", true),
            ("postgres://u@127.0.0.1/db", true),
            ("postgres://u@127.9.9.9/db", true),
            ("postgresql://u@[::1]:5432/db", true),
            ("postgres://postgres@/db?host=%2Frun%2Fpg&port=5432", true),
            ("postgres://u@%2Frun%2Fpg/db", true),
            ("postgres://u:a?b@localhost/db", true),
            ("postgres://u@localhost,127.0.0.1:5433/db", true),
            ("postgres://u@localhost,db.example/db", false),
            ("postgres://u@db.example/db", false),
            ("postgres://localhost:p@db.example/db", false),
            ("postgres://u@localhost/db?hostaddr=10.0.0.1", false),
            ("postgres://u@localhost/db?host=db.example", false),
            ("postgres://u@localhost.example/db", false),
            ("postgres://u@10.0.0.1/db", false),
            ("postgres://u@/db", false),
            ("postgres:///", false),
        ] {
            assert_eq!(DatabaseUrl::new(url).is_local(), local, "{url}");
        }
    }

    #[test]
    fn a_url_does_not_print_itself() {
        assert_eq!(format!("{:?}", SmtpUrl::new("smtp://u:hunter2@h")), "SmtpUrl(…)");
        assert_eq!(format!("{:?}", DatabaseUrl::new("postgres://u:hunter2@h/db")), "DatabaseUrl(…)");
    }
}
