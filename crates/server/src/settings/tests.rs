use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;

use super::*;

const SECRET: &str = "one-secret-of-thirty-two-bytes!!";

/// A `subtle.toml` that is gone when this is.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("subtle-settings-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn from_flags(flags: &[(&'static str, &str)]) -> Result<Settings, SettingError> {
    let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Settings::read(&Given::gather(flags, None, [])?)
}

fn from_variables(variables: &[(&str, &str)]) -> Result<Settings, SettingError> {
    Settings::read(&Given::gather(HashMap::new(), None, environment(variables))?)
}

fn from_file(name: &str, text: &str) -> Result<Settings, SettingError> {
    let file = File::new(name, text);
    Settings::read(&Given::gather(HashMap::new(), Some(file.0.clone()), [])?)
}

#[test]
fn every_default_is_fit() {
    let settings = from_flags(&[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert!(settings.database_url.is_none() && settings.secret.is_none());
    assert_eq!(settings.max_body, 1 << 20);
    let unfinished = settings.body_deadline.max(settings.header_deadline);
    assert!(unfinished < Duration::from_secs(10), "what stalls is given up within ten seconds");
    assert_eq!(settings.bcrypt_cost, 10);
    assert_eq!(settings.session_lifetime, 90 * DAY);
    assert_eq!(settings.limit_password_guesses.unwrap().burst, 10);
    assert!(settings.rate_limit && !settings.require_verified_email);
    assert!(settings.trusted_proxies.is_empty() && settings.cors_origins.is_empty());
    assert!(settings.otlp_endpoint.is_none(), "nothing is sent anywhere unless asked for");
    let near = |address: &str| settings.metrics_from.iter().any(|net| net.contains(address.parse().unwrap()));
    assert!(near("127.0.0.1") && near("::1") && !near("10.0.0.1"), "metrics are the machine's own affair");
}

#[test]
fn the_defaults_of_sessions_are_those_of_the_domain() {
    let (settings, domain) = (from_flags(&[]).unwrap(), subtle_domain::session::SessionPolicy::default());
    assert_eq!(settings.access_token_ttl, domain.access_token.to_std().unwrap());
    assert_eq!(settings.session_lifetime, domain.absolute.to_std().unwrap());
    assert_eq!(settings.session_idle, domain.idle.to_std().unwrap());
    assert_eq!(settings.refresh_grace, domain.grace.to_std().unwrap());
}

#[test]
fn flags_are_over_variables_over_the_file_over_defaults() {
    let file = File::new("layers", "bcrypt_cost = 5\nbcrypt_queue = 5\nissuer = 'file'\n");
    let flags = HashMap::from([("bcrypt_cost", "7".to_owned())]);
    let variables = environment(&[("SUBTLE_BCRYPT_COST", "6"), ("SUBTLE_BCRYPT_QUEUE", "6")]);
    let given = Given::gather(flags, Some(file.0.clone()), variables).unwrap();
    let settings = Settings::read(&given).unwrap();
    assert_eq!((settings.bcrypt_cost, settings.bcrypt_queue), (7, 6));
    assert_eq!((settings.issuer.as_str(), settings.audience.as_str()), ("file", "subtle"));
}

#[test]
fn the_file_is_named_by_a_flag_or_by_a_variable() {
    let (one, other) = (File::new("one", "issuer = 'one'"), File::new("other", "issuer = 'other'"));
    let variable = || vec![(OsString::from("SUBTLE_CONFIG"), other.0.clone().into_os_string())];
    let issuer = |config, variables| {
        Settings::read(&Given::gather(HashMap::new(), config, variables).unwrap()).unwrap().issuer
    };
    assert_eq!(issuer(None, variable()), "other");
    assert_eq!(issuer(Some(one.0.clone()), variable()), "one");
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let missing = Some(PathBuf::from("/nowhere/subtle.toml"));
    let error = Given::gather(HashMap::new(), missing, []).unwrap_err().to_string();
    assert!(error.starts_with("cannot read /nowhere/subtle.toml: "), "{error}");
}

#[test]
fn the_file_takes_strings_numbers_switches_and_lists() {
    let text = "bcrypt_cost = 4\nrate_limit = false\ntrusted_proxies = ['10.0.0.0/8', '::1']\n\
                cors_origins = []\nlimit_token_by_account = 'off'\ndatabase_url = 'postgres://u@localhost/db'\n";
    let settings = from_file("kinds", text).unwrap();
    assert_eq!((settings.bcrypt_cost, settings.rate_limit), (4, false));
    assert_eq!((settings.trusted_proxies.len(), settings.cors_origins.len()), (2, 0));
    assert!(settings.limit_token_by_account.is_none());
    assert!(settings.database_url.unwrap().is_local());
}

#[test]
fn what_kubernetes_sets_beside_a_service_of_our_name_is_no_setting() {
    for name in
        ["SUBTLE_PORT", "SUBTLE_PORT_8080_TCP_ADDR", "SUBTLE_SERVICE_HOST", "SUBTLE_SERVICE_PORT_HTTP"]
    {
        assert!(from_variables(&[(name, "tcp://10.0.0.1:8080")]).is_ok(), "{name}");
    }
}

#[test]
fn an_unknown_variable_is_refused_with_the_name_that_was_meant() {
    for (name, hint) in [
        ("SUBTLE_LISTN", ": did you mean SUBTLE_LISTEN?"),
        ("SUBTLE_DATABASE_URL", ": did you mean DATABASE_URL?"),
        ("SUBTLE_BCRYPTCOST", ": did you mean SUBTLE_BCRYPT_COST?"),
        ("SUBTLE_COLOUR", " (`subtle --help` lists all)"),
        ("SUBTLE_", " (`subtle --help` lists all)"),
    ] {
        let error = from_variables(&[(name, "x")]).unwrap_err().to_string();
        assert_eq!(error, format!("the environment variable {name} is no setting{hint}"));
    }
    assert!(from_variables(&[("SUBTLETY", "x"), ("PATH", "/bin")]).is_ok(), "not ours to judge");
}

#[test]
fn an_unknown_key_is_refused_with_the_name_that_was_meant() {
    let error = from_file("unknown", "rate-limits = 'off'").unwrap_err().to_string();
    assert!(
        error.ends_with("has the key \"rate-limits\", which is no setting: did you mean \"rate_limit\"?"),
        "{error}"
    );
}

#[test]
fn an_unfit_value_is_told_with_its_origin_and_with_what_would_be_fit() {
    let cost = "it must be a whole number from 4 to 16";
    assert_eq!(
        from_variables(&[("SUBTLE_BCRYPT_COST", "99")]).unwrap_err().to_string(),
        format!("bcrypt_cost cannot be \"99\" (from SUBTLE_BCRYPT_COST): {cost}")
    );
    assert_eq!(
        from_flags(&[("bcrypt_cost", "x\ny")]).unwrap_err().to_string(),
        format!("bcrypt_cost cannot be \"x\\ny\" (from --bcrypt-cost): {cost}")
    );
    let error = from_file("unfit", "bcrypt_cost = 3").unwrap_err().to_string();
    assert!(error.contains("subtle-settings-") && error.ends_with(cost), "{error}");
}

#[test]
fn every_setting_refuses_nonsense_or_takes_any_text_on_purpose() {
    let free = HashSet::from([
        "data_dir",
        "secret_file",
        "encryption_keys_file",
        "mail_dir",
        "mail_templates",
        "issuer",
        "audience",
    ]);
    for setting in TABLE {
        let outcome = from_flags(&[(setting.name, "=?!")]);
        assert_eq!(outcome.is_ok(), free.contains(setting.name), "{}", setting.name);
        if let Err(error) = outcome {
            let line = error.to_string();
            assert!(line.starts_with(setting.name) && !line.contains('\n'), "{line}");
        }
    }
}

#[test]
fn what_may_hold_a_password_is_never_repeated() {
    for (variable, value) in [
        ("SUBTLE_SECRET", "hunter2"),
        ("SUBTLE_ENCRYPTION_KEYS", "hunter2"),
        ("DATABASE_URL", "mysql://u:hunter2@h/db"),
        ("DATABASE_URL", "postgres://u:hunter2@h:x/db"),
        ("SUBTLE_SMTP_URL", "http://u:hunter2@mail"),
        ("SUBTLE_OTLP_ENDPOINT", "http://u:hunter2@collector"),
        ("SUBTLE_OTLP_ENDPOINT", "https://u:hunter2@collector"),
    ] {
        let error = from_variables(&[(variable, value)]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        assert!(error.to_string().contains(variable), "{error}");
    }
    let error = from_file("secret", "issuer = 'x'\nsecret = 'hunter2").unwrap_err().to_string();
    assert!(error.contains("line 2") && !error.contains("hunter2") && !error.contains('\n'), "{error}");
    let settings = from_variables(&[
        ("SUBTLE_SECRET", SECRET),
        ("SUBTLE_ENCRYPTION_KEYS", SECRET),
        ("DATABASE_URL", "postgres://u:hunter2@h/db"),
    ]);
    let shown = format!("{:?}", settings.unwrap());
    assert!(!shown.contains(SECRET) && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_short_secret_is_refused_with_its_length() {
    let error = from_variables(&[("SUBTLE_SECRET", "sesame")]).unwrap_err().to_string();
    assert_eq!(
        error,
        "secret cannot be what SUBTLE_SECRET says: secret 1 has 6 bytes; it needs at least 32; \
         `openssl rand -base64 32` makes one"
    );
}

#[test]
fn a_collector_behind_tls_is_refused_with_what_to_do_instead() {
    let error =
        from_variables(&[("SUBTLE_OTLP_ENDPOINT", "https://traces.example.com")]).unwrap_err().to_string();
    assert_eq!(
        error,
        "otlp_endpoint cannot be what SUBTLE_OTLP_ENDPOINT says: must begin with http://: to reach a collector over TLS, \
         let an OpenTelemetry Collector near by forward to it"
    );
}

#[test]
fn encryption_keys_are_none_or_several_and_a_short_one_is_refused_with_its_place() {
    assert!(from_flags(&[]).unwrap().encryption_keys.is_none());
    for keys in
        [SECRET, &format!("{SECRET}, an older key of thirty-two bytes or more"), &format!("plain,{SECRET}")]
    {
        assert!(from_variables(&[("SUBTLE_ENCRYPTION_KEYS", keys)]).unwrap().encryption_keys.is_some());
    }
    let error = from_variables(&[("SUBTLE_ENCRYPTION_KEYS", &format!("{SECRET},sesame"))]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "encryption_keys cannot be what SUBTLE_ENCRYPTION_KEYS says: key 2 has 6 bytes; it needs at least 32; \
         `openssl rand -base64 32` makes a key"
    );
}

#[test]
fn an_empty_variable_is_a_value_and_mostly_an_unfit_one() {
    for name in [
        "DATABASE_URL",
        "SUBTLE_SECRET",
        "SUBTLE_ENCRYPTION_KEYS",
        "SUBTLE_LISTEN",
        "SUBTLE_DATA_DIR",
        "SUBTLE_LOG",
    ] {
        assert!(from_variables(&[(name, "")]).is_err(), "{name}");
    }
    assert!(from_variables(&[("SUBTLE_CORS_ORIGINS", "")]).is_ok());
}

#[test]
fn all_limits_go_off_together() {
    let settings = from_flags(&[("rate_limit", "off")]).unwrap();
    assert!(settings.limit_password_guesses.is_some());
    assert!(settings.limit(settings.limit_password_guesses).is_none());
}

#[test]
fn names_are_unique_and_in_snake_case() {
    let names: HashSet<&str> = TABLE.iter().map(|setting| setting.name).collect();
    assert_eq!(names.len(), TABLE.len());
    assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
}
