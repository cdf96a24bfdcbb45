//! All settings, in one table: the struct, the flags, the variables, the keys of the file and the help come from it.

mod given;
mod parse;
mod places;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use subtle_domain::quota::QuotaLimits;
use subtle_domain::throttle::Rate;
use subtle_http::IpNetwork;
use subtle_mail::Sender;
use subtle_security::{EncryptionKeys, MasterSecrets};

use crate::traces::{Endpoint, Ratio};
pub(crate) use given::{FILE_VARIABLE, Given, SettingError};
pub(crate) use parse::LogFormat;
use parse::{
    DAY, MILLISECOND, MINUTE, SECOND, address, cores, count, database_url, encryption_keys, endpoint, list,
    log_directive, log_format, network, origin, path, quota, rate, ratio, secrets, sender, size, smtp_url,
    switch, time, unless, web_url, word,
};
pub(crate) use places::{DatabaseUrl, SmtpUrl};

/// How much of a setting's value may be seen, and where it may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// Anybody may see it.
    Open,
    /// There may be a password in it: it is never repeated in a message.
    Hidden,
    /// Likewise, and it has no flag, for every user of a machine sees the command lines of all.
    Secret,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The heading in the help.
    pub(crate) group: &'static str,
    /// Its name in `subtle.toml`.
    pub(crate) name: &'static str,
    pub(crate) privacy: Privacy,
    pub(crate) default: &'static str,
    /// What stands for the value in the help.
    pub(crate) value: &'static str,
    pub(crate) help: &'static str,
}

impl Setting {
    /// `--rate-limit` without the dashes in front.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// `SUBTLE_RATE_LIMIT`; the one for the database is named as everybody names it.
    pub(crate) fn variable(&self) -> String {
        match self.name {
            "database_url" => "DATABASE_URL".to_owned(),
            name => format!("SUBTLE_{}", name.to_ascii_uppercase()),
        }
    }
}

macro_rules! settings {
    ($($group:literal { $($privacy:ident $name:ident: $type:ty = $default:literal, $value:literal, $help:literal, $parse:expr;)* })*) => {
        /// What the operator chose, read and checked. The table says what each of them is.
        #[derive(Debug, Clone)]
        pub(crate) struct Settings {
            $($(
                pub(crate) $name: $type,
            )*)*
        }

        /// Every setting, in the order of the help.
        pub(crate) const TABLE: &[Setting] = &[$($(
            Setting {
                group: $group,
                name: stringify!($name),
                privacy: Privacy::$privacy,
                default: $default,
                value: $value,
                help: $help,
            },
        )*)*];

        impl Settings {
            /// Reads what was given. The first unfit value ends it.
            pub(crate) fn read(given: &Given) -> Result<Self, SettingError> {
                Ok(Self { $($($name: given.read(stringify!($name), $parse)?,)*)* })
            }
        }
    };
}

settings! {
    "Network" {
        Open listen: SocketAddr = "127.0.0.1:8080", "ADDRESS",
            "Address and port to serve on; port 0 takes a free one", address;
        Open public_url: Option<String> = "none", "URL",
            "Where people reach the service, for links in letters; without, where it listens", unless("none", web_url);
        Open trusted_proxies: Vec<IpNetwork> = "none", "NETWORKS",
            "Proxies whose X-Forwarded-For is believed: 10.0.0.0/8,::1", list(network);
        Open metrics_from: Vec<IpNetwork> = "127.0.0.0/8,::1", "NETWORKS",
            "Whose callers are shown /metrics; none is nobody", list(network);
        Open cors_origins: Vec<String> = "none", "ORIGINS",
            "Web apps that may call from a browser: https://app.example.com", list(origin);
        Open max_body: usize = "1MiB", "SIZE",
            "Longest request body", |text| size(text, 1 << 10, 64 << 20);
        Open header_deadline: Duration = "5s", "TIME",
            "Longest time for a request's headers to arrive", |text| time(text, 100 * MILLISECOND, 5 * MINUTE);
        Open body_deadline: Duration = "8s", "TIME",
            "Longest time for a request's body to arrive", |text| time(text, 100 * MILLISECOND, 5 * MINUTE);
        Open stream_heartbeat: Duration = "15s", "TIME",
            "How often a stream on which nothing happens says that it lives", |text| time(text, 100 * MILLISECOND, 5 * MINUTE);
        Open shutdown_delay: Duration = "1s", "TIME",
            "How long requests are still taken after SIGTERM, while readiness already fails", |text| time(text, Duration::ZERO, MINUTE);
        Open shutdown_grace: Duration = "25s", "TIME",
            "How long requests in flight may take to finish at the end", |text| time(text, Duration::ZERO, 10 * MINUTE);
    }
    "Storage" {
        Hidden database_url: Option<DatabaseUrl> = "embedded", "URL",
            "PostgreSQL: postgres://user:password@host/db?connection_limit=10; without, a private one in the data dir",
            unless("embedded", database_url);
        Open data_dir: PathBuf = ".subtle", "FOLDER",
            "Where the private PostgreSQL and generated secrets are kept", path;
        Secret encryption_keys: Option<EncryptionKeys> = "none", "KEYS",
            "What avatar URLs and session data are encrypted with: 32 bytes or more; several, newest first; `plain` first to stop",
            unless("none", encryption_keys);
        Open encryption_keys_file: Option<PathBuf> = "none", "FILE",
            "A file that holds what SUBTLE_ENCRYPTION_KEYS would", unless("none", path);
    }
    "Passwords" {
        Open bcrypt_cost: u32 = "10", "COST",
            "Work per password hash; each step doubles it", |text| count(text, 4, 16);
        Open bcrypt_threads: NonZeroUsize = "cores", "NUMBER",
            "Threads that hash passwords", cores;
        Open bcrypt_queue: usize = "64", "NUMBER",
            "Most passwords that wait for a thread; more are told to come back", |text| count(text, 0, 100_000);
    }
    "Tokens and sessions" {
        Secret secret: Option<MasterSecrets> = "none", "SECRETS",
            "What all keys come from: 32 bytes or more; several, newest first, separated by commas, to rotate",
            unless("none", secrets);
        Open secret_file: Option<PathBuf> = "none", "FILE",
            "A file that holds what SUBTLE_SECRET would", unless("none", path);
        Open issuer: String = "subtle", "TEXT",
            "The claim `iss` of access tokens", word;
        Open audience: String = "subtle", "TEXT",
            "The claim `aud` of access tokens", word;
        Open access_token_ttl: Duration = "15m", "TIME",
            "Life of an access token", |text| time(text, SECOND, DAY);
        Open clock_leeway: Duration = "1s", "TIME",
            "By how much the clocks of several servers may differ", |text| time(text, Duration::ZERO, 5 * SECOND);
        Open refresh_grace: Duration = "10s", "TIME",
            "How long a refresh token may be presented again after a lost answer", |text| time(text, Duration::ZERO, 10 * MINUTE);
        Open session_idle: Duration = "30d", "TIME",
            "Life of a session that is not used", |text| time(text, SECOND, 3650 * DAY);
        Open session_lifetime: Duration = "90d", "TIME",
            "Life of a session, however much it is used", |text| time(text, SECOND, 3650 * DAY);
        Open fresh_sign_in: Duration = "15m", "TIME",
            "How old a sign-in may be for what is sensitive: password, address, deletion, export", |text| time(text, SECOND, 3650 * DAY);
        Open sessions_per_user: u32 = "100", "NUMBER",
            "Most live sessions of an account; a new one ends the longest unused", |text| count(text, 1, 10_000);
        Open require_verified_email: bool = "false", "true|false",
            "Whether an address must be verified before its owner may sign in", switch;
    }
    "Rate limits" {
        Open rate_limit: bool = "on", "on|off",
            "All of them; off is for load tests on loopback", switch;
        Open limit_password_guesses: Option<Rate> = "10/10m", "N/TIME|off",
            "Wrong guesses at one account's password, over all servers", unless("off", rate);
        Open limit_code_guesses: Option<Rate> = "10/10m", "N/TIME|off",
            "Codes of one account's second factor that are tried, and changes of the factor, over all servers", unless("off", rate);
        Open limit_password_by_address: Option<Rate> = "300/1m", "N/TIME|off",
            "Requests with a password, a code or a reset, by client address", unless("off", rate);
        Open limit_token_by_address: Option<Rate> = "1200/1m", "N/TIME|off",
            "Requests with a refresh token, one of a letter or of a hand-off, by client address", unless("off", rate);
        Open limit_letters_by_address: Option<Rate> = "60/10m", "N/TIME|off",
            "Requests for letters, by client address", unless("off", rate);
        Open limit_letters_by_recipient: Option<Rate> = "10/1h", "N/TIME|off",
            "Letters that somebody asks for, by the address they go to, over all servers", unless("off", rate);
        Open limit_events_by_account: Option<Rate> = "6000/1m", "N/TIME|off",
            "Events that apps tell each other, and hand-offs, by account", unless("off", rate);
        Open limit_token_by_account: Option<Rate> = "120/1m", "N/TIME|off",
            "Exchanges of refresh tokens, by account", unless("off", rate);
    }
    "Sync" {
        Open streams_per_user: u32 = "1024", "NUMBER",
            "Most streams that an account may have open at one server", |text| count(text, 1, 1_000_000);
        Open sync_retention: Option<Duration> = "none", "TIME",
            "How long events are kept in sync logs; none is until the person leaves", unless("none", |text| time(text, DAY, 36_500 * DAY));
    }
    "Quotas (a calendar month, UTC)" {
        Open quota_free: QuotaLimits = "10000/10000000/5.00", "REQUESTS/TOKENS/COST",
            "What a user of the tier free may use; none for no limit", quota;
        Open quota_pro: QuotaLimits = "500000/500000000/200.00", "REQUESTS/TOKENS/COST",
            "What a user of the tier pro may use", quota;
        Open quota_enterprise: QuotaLimits = "none/none/none", "REQUESTS/TOKENS/COST",
            "What a user of the tier enterprise may use", quota;
    }
    "Letters" {
        Open mail_dir: Option<PathBuf> = "none", "FOLDER",
            "Where letters are put as .eml files; without, `mail` in the data dir", unless("none", path);
        Hidden smtp_url: Option<SmtpUrl> = "none", "URL",
            "The mail server that sends them instead: smtps://user:password@host, or smtp:// with STARTTLS", unless("none", smtp_url);
        Open mail_from: Option<Sender> = "none", "ADDRESS",
            "Who they come from: Example <no-reply@example.com>; without, no-reply at the host of public_url", unless("none", sender);
        Open mail_templates: Option<PathBuf> = "none", "FOLDER",
            "Templates that take the place of ours: verify_email.txt, verify_email.html and so on", unless("none", path);
    }
    "Logs" {
        Open log: String = "info", "DIRECTIVES",
            "What is logged: a level, or by module: info,subtle_http=debug", log_directive;
        Open log_format: LogFormat = "auto", "auto|json|text",
            "auto is text on a terminal, else one JSON object a line", log_format;
    }
    "Traces" {
        Hidden otlp_endpoint: Option<Endpoint> = "none", "URL",
            "OpenTelemetry collector that traces are sent to, by OTLP over HTTP: http://127.0.0.1:4318", unless("none", endpoint);
        Open traces_ratio: Ratio = "1", "0..1",
            "Share of requests that are traced; callers who send a traceparent decide by themselves", ratio;
    }
}

impl Settings {
    /// A rate, unless all limits are off.
    pub(crate) fn limit(&self, rate: Option<Rate>) -> Option<Rate> {
        rate.filter(|_| self.rate_limit)
    }
}

/// The row of a setting.
pub(crate) fn setting(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.name == name)
}

#[cfg(test)]
mod tests;
