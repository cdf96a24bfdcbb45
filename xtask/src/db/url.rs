//! A `DATABASE_URL`, as far as it concerns xtask.

use std::fmt;
use std::net::IpAddr;
use std::process::Command;

use crate::failure::{Failure, Outcome};

/// The parameters that psql knows; it refuses the pool's and Prisma's.
const FOR_PSQL: [&str; 9] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "host",
    "hostaddr",
    "options",
    "port",
    "sslmode",
    "user",
];

/// `postgres://user:password@host:port/database?parameter=value`, taken apart. Does not print itself: there may be a password in it.
#[derive(Clone)]
pub(crate) struct DatabaseUrl {
    given: String,
    /// As it was, encoded.
    user: String,
    password: Option<String>,
    /// As they were: one or more, each with or without a port.
    hosts: String,
    database: String,
    /// As they were.
    parameters: Vec<(String, String)>,
}

impl DatabaseUrl {
    pub(crate) fn parse(given: &str) -> Outcome<Self> {
        let scheme = ["postgres://", "postgresql://"].iter().find_map(|scheme| given.strip_prefix(scheme));
        let rest = scheme.ok_or_else(|| wrong("must begin with postgres:// or postgresql://"))?;
        // libpq and the service's driver disagree on where a user ends that has a slash in it.
        let (credentials, rest) = rest.split_once('@').unwrap_or(("", rest));
        if credentials.contains('/') || rest.contains('@') {
            return Err(wrong("has a `/` or `@` in user, password or parameters: percent-encode it"));
        }
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password))),
            None => (credentials, None),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let parameters = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let parameters: Vec<_> = parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let elsewhere = parameters.iter().any(|(key, _)| ["dbname", "password", "service"].contains(&&**key));
        if database.is_empty() || elsewhere {
            return Err(wrong("must name user, password and database before the parameters"));
        }
        Ok(Self {
            given: given.to_owned(),
            user: user.to_owned(),
            password,
            hosts: hosts.to_owned(),
            database: decoded(database),
            parameters,
        })
    }

    /// The whole, for `subtle`.
    pub(crate) fn given(&self) -> &str {
        &self.given
    }

    /// The database's name.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// For messages.
    pub(crate) fn described(&self) -> String {
        let place = self.places().join(", ");
        format!("{} on {place}", self.database)
    }

    /// Whether it can only be a server on this machine: behind a unix socket or a loopback address. Whatever is not clearly so
    /// counts as another machine.
    pub(crate) fn is_local(&self) -> bool {
        let places = self.places();
        !places.is_empty() && places.iter().all(|host| is_local(host))
    }

    /// Every host that either driver could take.
    fn places(&self) -> Vec<String> {
        let mut hosts: Vec<String> = self.hosts.split(',').map(without_port).collect();
        for (key, value) in &self.parameters {
            if key == "host" || key == "hostaddr" {
                hosts.extend(decoded(value).split(',').map(str::to_owned));
            }
        }
        hosts.retain(|host| !host.is_empty());
        hosts
    }

    /// Tells psql the database, or another one (`instead`) on the same server. The password goes through the environment, for
    /// every user of a machine sees the command lines of all.
    pub(crate) fn name_to(&self, psql: &mut Command, instead: Option<&str>) {
        psql.arg("-d").arg(self.for_psql(instead));
        if let Some(password) = &self.password {
            psql.env("PGPASSWORD", password);
        }
        if let Some((_, schema)) = self.parameters.iter().find(|(key, _)| key == "schema") {
            psql.env("PGOPTIONS", format!("-c search_path={schema}"));
        }
    }

    fn for_psql(&self, instead: Option<&str>) -> String {
        let database = encoded(instead.unwrap_or(&self.database));
        let known = self.parameters.iter().filter(|(key, _)| FOR_PSQL.contains(&key.as_str()));
        let parameters: Vec<String> = known.map(|(key, value)| format!("{key}={value}")).collect();
        format!("postgres://{}@{}/{database}?{}", self.user, self.hosts, parameters.join("&"))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

fn wrong(what: &str) -> Failure {
    Failure::new(format!("DATABASE_URL {what}"))
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

/// Percent-decoded; what isn't well-formed stays as it is.
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

fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let character =
        |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> DatabaseUrl {
        DatabaseUrl::parse(url).unwrap()
    }

    #[test]
    fn only_sockets_and_loopback_addresses_are_this_machine() {
        for (url, local) in [
            ("postgres://u:p@localhost/db", true),
            ("postgres://u@localhost:5433/db?connection_limit=3", true),
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
            ("postgres://u@127.0.0.1.example/db", false),
            ("postgres://u@0.0.0.0/db", false),
            ("postgres://u@10.0.0.1/db", false),
            ("postgres://u@/db", false),
        ] {
            assert_eq!(parse(url).is_local(), local, "{url}");
        }
    }

    #[test]
    fn a_url_that_drivers_read_differently_is_refused() {
        for url in [
            "postgres://db.example/@localhost/db",
            "postgres://u@localhost/db@db.example",
            "postgres://u@localhost/db?dbname=other",
            "postgres://u@localhost/db?service=production",
            "postgres://u@localhost",
            "postgres://db.example?/db",
            "postgres://u@localhost/?host=db.example",
            "mysql://u@localhost/db",
            "host=localhost dbname=db",
            "",
        ] {
            assert!(DatabaseUrl::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn psql_is_told_what_it_knows_and_no_password() {
        let url =
            parse("postgres://u:s%40cret@localhost:1/a%20b?connection_limit=3&schema=x&sslmode=disable");
        let mut psql = Command::new("psql");
        url.name_to(&mut psql, None);
        let arguments: Vec<_> = psql.get_args().collect();
        assert_eq!(arguments, ["-d", "postgres://u@localhost:1/a%20b?sslmode=disable"]);
        let environment: Vec<_> =
            psql.get_envs().filter_map(|(name, value)| name.to_str().zip(value?.to_str())).collect();
        assert_eq!(environment, [("PGOPTIONS", "-c search_path=x"), ("PGPASSWORD", "s@cret")]);
        assert_eq!(url.for_psql(Some("postgres")), "postgres://u@localhost:1/postgres?sslmode=disable");
    }

    #[test]
    fn messages_show_no_password() {
        let url = parse("postgres://u:hunter2@localhost:1/db");
        assert_eq!(url.described(), "db on localhost");
        assert_eq!(format!("{url:?}"), "DatabaseUrl(…)");
    }
}
