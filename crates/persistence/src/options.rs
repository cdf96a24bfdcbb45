//! Which database, and with how much patience: a `DATABASE_URL` as the seed writes it.

use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// Why a text is no `DATABASE_URL`. Never shows the text: there may be a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Not a URL of the one kind.
    #[error("DATABASE_URL must begin with postgres:// or postgresql://")]
    Scheme,
    /// A parameter that is neither ours, nor Prisma's, nor the driver's.
    #[error("DATABASE_URL has a parameter that is not known{0}")]
    Parameter(String),
    /// A parameter of no fit value.
    #[error("the value of {0} in DATABASE_URL must be {1}")]
    Value(&'static str, &'static str),
    /// The connection would have to be encrypted, which isn't built in.
    #[error(
        "DATABASE_URL demands TLS (sslmode), which this build does not have: use a unix socket, a loopback or private \
         network, or a local TLS proxy, and sslmode=disable"
    )]
    Tls,
    /// Anything else that the driver does not take.
    #[error(
        "DATABASE_URL is not valid: special characters in user and password must be percent-encoded, the port must be a \
         number, and parameters must have fit values"
    )]
    Malformed,
}

/// How to reach a database and how long to wait for what.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    pub(crate) config: Config,
    pub(crate) schema: Option<String>,
    /// Most connections at a time: the URL's `connection_limit`, or 10.
    pub connections: usize,
    /// Longest wait for a free connection: the URL's `pool_timeout` in seconds, or 1.5 s, so that callers are told within two.
    pub wait: Duration,
    /// Longest time to make a connection: the URL's `connect_timeout` in whole seconds, or 2 s.
    pub connect: Duration,
    /// Longest run of a statement. The server gives up on it; half a second later so do we, for a server may be mute.
    pub statement: Duration,
    /// Longest wait for a lock.
    pub lock: Duration,
    /// Longest pause inside a transaction.
    pub idle_in_transaction: Duration,
    /// Whether what is done for one person is done as `subtle_user`, who sees rows of theirs alone.
    pub protects_rows: bool,
}

impl PoolOptions {
    /// Reads a `DATABASE_URL`: `postgres://user:password@host:port/database?connection_limit=10&pool_timeout=20`.
    ///
    /// Parameters are those of tokio-postgres and Prisma's. Of these, `schema` becomes the search path; those that would tune
    /// Prisma's engine do nothing here.
    pub fn from_url(url: &str) -> Result<Self, InvalidUrl> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let rest = rest.ok_or(InvalidUrl::Scheme)?;
        // As the driver does it: a password may hold a `?`, but no `@`.
        let (credentials, rest) =
            rest.split_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut ours = Ours::default();
        let mut theirs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if ours.take(pair, rest)? {
                theirs.push(pair);
            }
        }
        let mut plain = String::from("postgres://");
        for part in credentials.into_iter().flat_map(|user| [user, "@"]).chain([place, "?"]) {
            plain.push_str(part);
        }
        plain.push_str(&theirs.join("&"));
        let config: Config = plain.parse().map_err(|_may_show_the_password| InvalidUrl::Malformed)?;
        Ok(ours.into_options(config))
    }

    /// Whether the database is on this machine: behind a unix socket or on loopback.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let local = |host: &Host| match host {
            Host::Tcp(name) => {
                name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
            }
            #[cfg(unix)]
            Host::Unix(_) => true,
        };
        let (hosts, addresses) = (self.config.get_hosts(), self.config.get_hostaddrs());
        let told = !hosts.is_empty() || !addresses.is_empty();
        told && hosts.iter().all(local) && addresses.iter().all(IpAddr::is_loopback)
    }
}

impl PoolOptions {
    /// The name of the database: as everywhere, the user's, if none is named.
    #[must_use]
    pub fn database(&self) -> &str {
        self.config.get_dbname().or(self.config.get_user()).unwrap_or("postgres")
    }

    /// The same for another database of that server.
    #[must_use]
    pub fn of_database(&self, name: &str) -> Self {
        let mut config = self.config.clone();
        config.dbname(name);
        Self { config, ..self.clone() }
    }

    /// What leads PostgreSQL's own programs there, as variables of their environment: a command line is seen by every user of a
    /// machine, and has a password in it.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let host = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(folder) => folder.to_string_lossy().into_owned(),
        };
        let listed = |parts: Vec<String>| Some(parts.join(",")).filter(|list| !list.is_empty());
        let config = &self.config;
        let password = config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let variables = [
            ("PGHOST", listed(config.get_hosts().iter().map(host).collect())),
            ("PGHOSTADDR", listed(config.get_hostaddrs().iter().map(IpAddr::to_string).collect())),
            ("PGPORT", listed(config.get_ports().iter().map(u16::to_string).collect())),
            ("PGUSER", config.get_user().map(str::to_owned)),
            ("PGPASSWORD", password),
            ("PGDATABASE", Some(self.database().to_owned())),
            ("PGSSLMODE", Some("disable".to_owned())),
            ("PGAPPNAME", Some("subtle".to_owned())),
        ];
        variables.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// The parameters that the driver does not take or that we want to see.
#[derive(Default)]
struct Ours {
    schema: Option<String>,
    connections: Option<usize>,
    wait: Option<Duration>,
}

const SECONDS: &str = "a number of seconds from 1 to 3600";

impl Ours {
    /// Takes a parameter, and says whether it is for the driver.
    fn take(&mut self, pair: &str, whole: &str) -> Result<bool, InvalidUrl> {
        let (key, value) = pair.split_once('=').ok_or(InvalidUrl::Malformed)?;
        match key {
            "connection_limit" => {
                let limit = whole_number(value, 10_000).and_then(|limit| usize::try_from(limit).ok());
                let wrong = InvalidUrl::Value("connection_limit", "a whole number from 1 to 10000");
                self.connections = Some(limit.ok_or(wrong)?);
            }
            "pool_timeout" => {
                let seconds = whole_number(value, 3_600).ok_or(InvalidUrl::Value("pool_timeout", SECONDS))?;
                self.wait = Some(Duration::from_secs(seconds));
            }
            "schema" => {
                let named = !value.is_empty()
                    && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                if !named {
                    return Err(InvalidUrl::Value("schema", "made of letters, digits, `_` and `-`"));
                }
                self.schema = Some(value.to_owned());
            }
            "sslmode" => match value {
                "disable" | "allow" | "prefer" => {}
                "require" | "verify-ca" | "verify-full" => return Err(InvalidUrl::Tls),
                _ => return Err(InvalidUrl::Value("sslmode", "disable, allow or prefer")),
            },
            "connect_timeout" => {
                // 0 means "for ever" to libpq and to Prisma; here it means our own limit.
                if value != "0" && whole_number(value, 3_600).is_none() {
                    return Err(InvalidUrl::Value("connect_timeout", SECONDS));
                }
                return Ok(value != "0");
            }
            _ if PRISMAS.contains(&key) => {}
            _ if DRIVERS.contains(&key) => return Ok(true),
            // With a second `@` this may be a piece of a password that was not percent-encoded.
            _ if whole.contains('@') => return Err(InvalidUrl::Parameter(String::new())),
            _ => return Err(InvalidUrl::Parameter(format!(": {}", key.escape_default()))),
        }
        Ok(false)
    }

    fn into_options(self, mut config: Config) -> PoolOptions {
        // Without TLS built in, "prefer" is a question whose answer we could not use.
        config.ssl_mode(SslMode::Disable);
        if config.get_application_name().is_none() {
            config.application_name("subtle");
        }
        let connect = config.get_connect_timeout().copied().unwrap_or(Duration::from_secs(2));
        config.connect_timeout(connect);
        PoolOptions {
            config,
            schema: self.schema,
            connections: self.connections.unwrap_or(10),
            wait: self.wait.unwrap_or(Duration::from_millis(1_500)),
            connect,
            statement: Duration::from_secs(2),
            lock: Duration::from_millis(1_500),
            idle_in_transaction: Duration::from_secs(5),
            protects_rows: true,
        }
    }
}

fn whole_number(text: &str, most: u64) -> Option<u64> {
    text.parse().ok().filter(|number| (1..=most).contains(number))
}

/// What tunes Prisma's engine and means nothing here.
const PRISMAS: &[&str] = &[
    "max_connection_lifetime",
    "max_idle_connection_lifetime",
    "pgbouncer",
    "single_use_connections",
    "socket_timeout",
    "sslaccept",
    "sslcert",
    "sslidentity",
    "sslpassword",
    "statement_cache_size",
];

/// What tokio-postgres understands.
const DRIVERS: &[&str] = &[
    "application_name",
    "channel_binding",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> InvalidUrl {
        PoolOptions::from_url(url).unwrap_err()
    }

    #[test]
    fn the_seeds_url_is_understood() {
        let url = "postgresql://subtle:s%40cret@db.example:6432/subtle?schema=public&connection_limit=25&pool_timeout=20";
        let options = PoolOptions::from_url(url).unwrap();
        assert_eq!((options.connections, options.wait), (25, Duration::from_secs(20)));
        assert_eq!(options.schema.as_deref(), Some("public"));
        assert_eq!(options.config.get_password(), Some(&b"s@cret"[..]));
        assert_eq!(options.config.get_ports(), [6432]);
        assert_eq!(options.config.get_dbname(), Some("subtle"));
        assert_eq!(options.config.get_application_name(), Some("subtle"));
    }

    #[test]
    fn without_parameters_waiting_ends_within_two_seconds() {
        let options = PoolOptions::from_url("postgres://u@localhost/db").unwrap();
        assert_eq!((options.connections, options.wait), (10, Duration::from_millis(1_500)));
        assert_eq!(options.connect, Duration::from_secs(2));
    }

    #[test]
    fn a_unix_socket_and_prismas_parameters_are_fine() {
        let url = "postgres://postgres@/db?host=%2Frun%2Fpg&port=5432&pgbouncer=true&socket_timeout=3&connect_timeout=7";
        let options = PoolOptions::from_url(url).unwrap();
        assert_eq!(options.connect, Duration::from_secs(7));
        assert_eq!(options.config.get_hosts().len(), 1);
    }

    #[test]
    fn a_password_may_hold_a_question_mark() {
        let options = PoolOptions::from_url("postgres://u:a?b=c@h/db?connection_limit=3").unwrap();
        assert_eq!(options.config.get_password(), Some(&b"a?b=c"[..]));
        assert_eq!(options.connections, 3);
    }

    #[test]
    fn a_wrong_url_is_refused_in_clear_words() {
        for (url, refused) in [
            ("mysql://u@h/db", InvalidUrl::Scheme),
            ("host=h user=u", InvalidUrl::Scheme),
            ("postgres://h/db?nonsense=1", InvalidUrl::Parameter(": nonsense".into())),
            ("postgres://h/db?pool_timeout", InvalidUrl::Malformed),
            ("postgres://u@h:x/db", InvalidUrl::Malformed),
            ("postgres://h/db?pool_timeout=0", InvalidUrl::Value("pool_timeout", SECONDS)),
            ("postgres://h/db?connect_timeout=-1", InvalidUrl::Value("connect_timeout", SECONDS)),
            (
                "postgres://h/db?connection_limit=many",
                InvalidUrl::Value("connection_limit", "a whole number from 1 to 10000"),
            ),
            (
                "postgres://h/db?schema=a%22b",
                InvalidUrl::Value("schema", "made of letters, digits, `_` and `-`"),
            ),
        ] {
            assert_eq!(refusal(url), refused, "{url}");
        }
    }

    #[test]
    fn a_database_on_this_machine_is_told_from_one_elsewhere() {
        let local = |url| PoolOptions::from_url(url).unwrap().is_local();
        for url in [
            "postgres://u@/db?host=%2Frun",
            "postgres://localhost/db",
            "postgres://127.8.8.8",
            "postgres://[::1]/",
        ] {
            assert!(local(url), "{url}");
        }
        for url in [
            "postgres://db.example/db",
            "postgres://10.0.0.1/db",
            "postgres://localhost,db.example/db",
            "postgres://localhost/db?hostaddr=10.0.0.1",
        ] {
            assert!(!local(url), "{url}");
        }
    }

    #[test]
    fn a_demand_for_tls_is_refused_rather_than_ignored() {
        for mode in ["require", "verify-ca", "verify-full"] {
            assert_eq!(refusal(&format!("postgres://u@h/db?sslmode={mode}")), InvalidUrl::Tls);
        }
        assert!(PoolOptions::from_url("postgres://u@h/db?sslmode=disable").is_ok());
        assert!(PoolOptions::from_url("postgres://u@h/db?sslmode=prefer").is_ok());
    }

    #[test]
    fn other_programs_are_led_to_the_same_database_or_another_of_its_server() {
        let url = "postgres://u:s%40cret@h:6432/db?connection_limit=3";
        let environment = PoolOptions::from_url(url).unwrap().of_database("other").environment();
        let value = |name| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
        let expected = [Some("h"), Some("6432"), Some("u"), Some("s@cret"), Some("other"), None];
        let names = ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGHOSTADDR"];
        assert_eq!(names.map(value), expected);
        let socket = PoolOptions::from_url("postgres://u@/db?host=%2Frun%2Fpg&port=5433").unwrap();
        assert!(socket.environment().contains(&("PGHOST", "/run/pg".to_owned())));
    }

    #[test]
    fn neither_errors_nor_options_show_the_password() {
        for url in ["postgres://u:hunter2@h:x/db", "postgres://u:hu@nter2?hunter2=1@h/db", "hunter2"] {
            let error = refusal(url);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let options = PoolOptions::from_url("postgres://u:hunter2@h/db").unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
