//! What texts mean as settings. Each parser tells in a few words what would have been fit.

use std::fmt::Display;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;
use subtle_domain::decimal;
use subtle_domain::quota::{Limit, QuotaLimits};
use subtle_domain::throttle::Rate;
use subtle_http::IpNetwork;
use subtle_mail::Sender;
use subtle_persistence::PoolOptions;
use subtle_security::{EncryptionKeys, MasterSecrets};
use tracing_subscriber::EnvFilter;

use super::places::{DatabaseUrl, SmtpUrl};
use crate::traces::{Endpoint, Ratio};

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);

/// Longest first, so that a length is told in the fewest digits.
const TIME_UNITS: [(&str, Duration); 5] =
    [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MILLISECOND)];
const SIZE_UNITS: [(&str, usize); 4] = [("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1), ("", 1)];

/// What a value would have to be: the end of a sentence that begins with "it".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unfit(String);

pub(super) type Parsed<T> = Result<T, Unfit>;

pub(super) fn unfit<T>(fit: impl Display) -> Parsed<T> {
    Err(Unfit(fit.to_string()))
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    Json,
    Text,
}

/// A value, or the word that stands for its absence.
pub(super) fn unless<T>(
    absent: &'static str,
    parse: impl Fn(&str) -> Parsed<T>,
) -> impl Fn(&str) -> Parsed<Option<T>> {
    move |text| if text == absent { Ok(None) } else { parse(text).map(Some) }
}

/// Values separated by commas; `none` and the empty text are no value.
pub(super) fn list<T>(parse: impl Fn(&str) -> Parsed<T>) -> impl Fn(&str) -> Parsed<Vec<T>> {
    move |text| match text.trim() {
        "" | "none" => Ok(Vec::new()),
        text => text.split(',').map(|item| parse(item.trim())).collect(),
    }
}

pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().or(unfit("must be an address and a port, such as 127.0.0.1:8080 or [::]:8080"))
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() { unfit("must be a path") } else { Ok(text.into()) }
}

pub(super) fn count<T: FromStr + PartialOrd + Display + Copy>(text: &str, least: T, most: T) -> Parsed<T> {
    match text.parse() {
        Ok(number) if least <= number && number <= most => Ok(number),
        _ => unfit(format_args!("must be a whole number from {least} to {most}")),
    }
}

pub(super) fn cores(text: &str) -> Parsed<NonZeroUsize> {
    if text == "cores" {
        return Ok(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    }
    match text.parse::<NonZeroUsize>() {
        Ok(number) if number.get() <= 1024 => Ok(number),
        _ => unfit("must be a whole number from 1 to 1024, or cores"),
    }
}

pub(super) fn switch(text: &str) -> Parsed<bool> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => unfit("must be on or off, or true or false"),
    }
}

pub(super) fn time(text: &str, least: Duration, most: Duration) -> Parsed<Duration> {
    match duration(text) {
        Some(time) if least <= time && time <= most => Ok(time),
        _ => {
            let (least, most) = (written(least), written(most));
            unfit(format_args!("must be a time from {least} to {most}, such as 500ms, 10s, 15m, 12h or 90d"))
        }
    }
}

/// `90d`, `12h`, `15m`, `10s`, `500ms`, or bare seconds.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = text.get(digits.len()..).filter(|suffix| !suffix.is_empty()).unwrap_or("s");
    let (_, unit) = TIME_UNITS.into_iter().find(|(name, _)| *name == suffix)?;
    unit.checked_mul(natural(digits)?)
}

/// Digits and nothing else: std takes a plus in front.
fn natural<T: FromStr>(digits: &str) -> Option<T> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn written(time: Duration) -> String {
    let whole = |unit: Duration| time.as_millis().is_multiple_of(unit.as_millis()) && time >= unit;
    let fits = TIME_UNITS.into_iter().find(|(_, unit)| whole(*unit));
    fits.map_or_else(
        || "0s".to_owned(),
        |(name, unit)| format!("{}{name}", time.as_millis() / unit.as_millis()),
    )
}

pub(super) fn size(text: &str, least: usize, most: usize) -> Parsed<usize> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = text.get(digits.len()..).unwrap_or_default();
    let unit = SIZE_UNITS.into_iter().find(|(name, _)| *name == suffix).map(|(_, unit)| unit);
    let bytes = unit.zip(natural::<usize>(digits)).and_then(|(unit, number)| number.checked_mul(unit));
    let within = |bytes: &usize| (least..=most).contains(bytes);
    bytes.filter(within).ok_or(()).or_else(|()| {
        unfit(format_args!("must be a size from {least} to {most} bytes, such as 64KiB or 1MiB"))
    })
}

/// `10000/10000000/5.00`: requests, tokens and US dollars; `none` is no limit.
pub(super) fn quota(text: &str) -> Parsed<QuotaLimits> {
    let limit = |text: &str, integer, scale| match text {
        "none" => Some(Limit::Unlimited),
        amount => decimal::parse(amount, integer, scale).ok().map(Limit::AtMost),
    };
    let parse = || {
        let mut parts = text.split('/');
        let requests = limit(parts.next()?, 15, 0)?;
        let tokens = limit(parts.next()?, 15, 0)?;
        let cost = limit(parts.next()?, 10, 10)?;
        parts.next().is_none().then_some(QuotaLimits { requests, tokens, cost })
    };
    let fit = "must be requests/tokens/cost, such as 10000/10000000/5.00, each of them a number or none";
    parse().ok_or(()).or_else(|()| unfit(fit))
}

/// `10/10m`: ten at once, and all ten again after ten minutes.
pub(super) fn rate(text: &str) -> Parsed<Rate> {
    let parts = text.split_once('/').and_then(|(burst, window)| {
        let burst = natural::<u32>(burst).filter(|burst| (1..=1_000_000).contains(burst))?;
        let window = duration(window).filter(|window| (SECOND..=DAY).contains(window))?;
        // Whole milliseconds, as the database keeps them; rounded up, so that no more get in than was said.
        let milliseconds = window.as_millis().div_ceil(u128::from(burst));
        Some(Rate { burst, interval: TimeDelta::milliseconds(i64::try_from(milliseconds).ok()?) })
    });
    parts
        .ok_or(())
        .or_else(|()| unfit("must be a number and a time, such as 10/10m (1 to 1000000 in 1s to 1d), or off"))
}

pub(super) fn word(text: &str) -> Parsed<String> {
    let fit = !text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control);
    if fit { Ok(text.to_owned()) } else { unfit("must be 1 to 255 characters") }
}

pub(super) fn network(text: &str) -> Parsed<IpNetwork> {
    text.parse().or(unfit("must be networks separated by commas, such as 10.0.0.0/8,::1, or none"))
}

pub(super) fn origin(text: &str) -> Parsed<String> {
    match web_url(text) {
        Ok(url) if url.matches('/').count() == 2 => Ok(url),
        _ => unfit("must be origins separated by commas, such as https://app.example.com, or none"),
    }
}

pub(super) fn web_url(text: &str) -> Parsed<String> {
    of_scheme(text, &["https://", "http://"], "must be a URL such as https://accounts.example.com, or none")
}

pub(super) fn smtp_url(text: &str) -> Parsed<SmtpUrl> {
    let fit = "must be a URL such as smtps://user:password@mail.example.com, or none";
    of_scheme(text, &["smtps://", "smtp://"], fit).map(SmtpUrl::new)
}

pub(super) fn endpoint(text: &str) -> Parsed<Endpoint> {
    text.parse().or_else(unfit)
}

pub(super) fn ratio(text: &str) -> Parsed<Ratio> {
    text.parse().or_else(unfit)
}

pub(super) fn sender(text: &str) -> Parsed<Sender> {
    Sender::parse(text).or_else(unfit)
}

/// A URL with a host and no stray characters. Whoever uses it reads it more closely.
fn of_scheme(text: &str, schemes: &[&str], fit: &str) -> Parsed<String> {
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain =
        text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>'));
    if plain && !host.is_empty() { Ok(text.to_owned()) } else { unfit(fit) }
}

pub(super) fn database_url(text: &str) -> Parsed<DatabaseUrl> {
    match PoolOptions::from_url(text) {
        Ok(_) => Ok(DatabaseUrl::new(text)),
        Err(reason) => unfit(reason),
    }
}

pub(super) fn secrets(text: &str) -> Parsed<MasterSecrets> {
    MasterSecrets::parse(text)
        .or_else(|reason| unfit(format_args!("{reason}; `openssl rand -base64 32` makes one")))
}

pub(super) fn encryption_keys(text: &str) -> Parsed<EncryptionKeys> {
    EncryptionKeys::parse(text)
        .or_else(|reason| unfit(format_args!("{reason}; `openssl rand -base64 32` makes a key")))
}

pub(super) fn log_directive(text: &str) -> Parsed<String> {
    match EnvFilter::try_new(text) {
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        _ => {
            unfit("must be a level (error, warn, info, debug, trace, off), or such as info,subtle_http=debug")
        }
    }
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        _ => unfit("must be auto, json or text"),
    }
}

#[cfg(test)]
mod tests;
