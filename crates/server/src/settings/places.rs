//! Where the database is.

use std::fmt;
use std::net::IpAddr;

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

    /// Whether it can only be a server on this machine: behind a unix socket or a loopback address. Whatever is not clearly so
    /// counts as another machine.
    pub(crate) fn is_local(&self) -> bool {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        // A password may hold a `?`, but no `@`.
        let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = place.split('/').next().unwrap_or_default();
        let mut hosts: Vec<String> = authority.split(',').map(without_port).collect();
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if key == "host" || key == "hostaddr" {
                hosts.extend(decoded(value).split(',').map(str::to_owned));
            }
        }
        hosts.retain(|host| !host.is_empty());
        !hosts.is_empty() && hosts.iter().all(|host| is_local(host))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

fn is_local(host: &str) -> bool {
    host.starts_with('/')
        || host == "localhost"
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn without_port(host: &str) -> String {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.split(']').next());
    decoded(bracketed.unwrap_or_else(|| host.split(':').next().unwrap_or_default()))
}

/// Percent-decoded; what isn't well-formed stays as it is, and is no local host.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(byte.unwrap_or(b'%'));
        rest = byte.and_then(|_| after.get(2..)).unwrap_or(after);
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
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
        assert_eq!(format!("{:?}", DatabaseUrl::new("postgres://u:hunter2@h/db")), "DatabaseUrl(…)");
    }
}
