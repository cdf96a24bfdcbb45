//! Where traces go, and how they are put there: one POST on a connection of its own.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How much of an answer is read: more than a head needs.
const LONGEST_HEAD: u64 = 8 * 1024;

/// A collector's address. Without TLS, and so without a password: one near by carries them further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// As the URL has it, for `Host`.
    authority: String,
    host: String,
    port: u16,
    path: String,
}

/// No address that traces could go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnfitEndpoint {
    #[error(
        "must begin with http://: to reach a collector over TLS, let an OpenTelemetry Collector near by forward to it"
    )]
    Tls,
    #[error("must be a URL such as http://127.0.0.1:4318, without a password, or none")]
    NoUrl,
}

impl FromStr for Endpoint {
    type Err = UnfitEndpoint;

    /// Reads `http://host[:port][/path]`, to whose end `/v1/traces` is added, as OpenTelemetry's own exporters do.
    fn from_str(url: &str) -> Result<Self, UnfitEndpoint> {
        if url.starts_with("https://") {
            return Err(UnfitEndpoint::Tls);
        }
        let rest = url.strip_prefix("http://").ok_or(UnfitEndpoint::NoUrl)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address stand within brackets.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port != 0)),
            _ => (authority, Some(80)),
        };
        let name = |host: &str| {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        let bare = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok().then_some(address),
            None => name(host).then_some(host),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        match (bare, port) {
            (Some(bare), Some(port)) if path.bytes().all(plain) => Ok(Self {
                authority: authority.to_owned(),
                host: bare.to_owned(),
                port,
                path: format!("{}/v1/traces", path.trim_end_matches('/')),
            }),
            _ => Err(UnfitEndpoint::NoUrl),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error("the collector cannot be reached")]
    Unreached(#[from] io::Error),
    #[error("the collector does not answer")]
    Mute,
    #[error("the collector's answer is no HTTP")]
    NoHttp,
    #[error("the collector answers {status}")]
    Refused { status: u16, retry_after: Option<Duration> },
}

impl PostError {
    /// Whether the same may be taken later, as OTLP has it.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreached(_) | Self::Mute => true,
            Self::NoHttp => false,
            Self::Refused { status, .. } => matches!(status, 429 | 502 | 503 | 504),
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        if let Self::Refused { retry_after, .. } = self { *retry_after } else { None }
    }
}

impl Endpoint {
    /// Sends a body, and reads what is said of it. Whoever calls this sees to it that it ends.
    pub(super) async fn post(&self, body: &str) -> Result<(), PostError> {
        let mut connection = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: subtle/{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.path,
            self.authority,
            env!("CARGO_PKG_VERSION"),
            body.len()
        );
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(body.as_bytes()).await?;
        let mut answer = Vec::new();
        let mut reader = connection.take(LONGEST_HEAD);
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") && reader.read_buf(&mut answer).await? > 0 {}
        judge(&String::from_utf8_lossy(&answer))
    }
}

/// What an answer says; its body matters to nobody.
fn judge(answer: &str) -> Result<(), PostError> {
    let (head, _body) = answer.split_once("\r\n\r\n").ok_or(PostError::NoHttp)?;
    let mut lines = head.split("\r\n");
    let line =
        lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ").or(line.strip_prefix("HTTP/1.0 ")));
    let status = line.and_then(|line| line.get(..3)?.parse::<u16>().ok()).ok_or(PostError::NoHttp)?;
    if (200..300).contains(&status) {
        return Ok(());
    }
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    let retry_after = fields.find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
    let retry_after =
        retry_after.and_then(|(_, seconds)| seconds.trim().parse().ok()).map(Duration::from_secs);
    Err(PostError::Refused { status, retry_after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_plain_url_to_whose_path_that_of_traces_is_added() {
        for (url, host, port, shown) in [
            ("http://127.0.0.1:4318", "127.0.0.1", 4318, "http://127.0.0.1:4318/v1/traces"),
            ("http://collector", "collector", 80, "http://collector/v1/traces"),
            ("http://collector/", "collector", 80, "http://collector/v1/traces"),
            ("http://a.b-c:9/otlp/", "a.b-c", 9, "http://a.b-c:9/otlp/v1/traces"),
            ("http://[::1]:4318", "::1", 4318, "http://[::1]:4318/v1/traces"),
            ("http://[::1]/x", "::1", 80, "http://[::1]/x/v1/traces"),
        ] {
            let endpoint: Endpoint = url.parse().unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port), "{url}");
            assert_eq!(endpoint.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_such_url_is_refused_and_tls_with_what_to_do_instead() {
        assert_eq!("https://collector:4318".parse::<Endpoint>(), Err(UnfitEndpoint::Tls));
        for url in [
            "",
            "collector:4318",
            "grpc://collector",
            "http://",
            "http:///x",
            "http://:1",
            "http://a:x",
            "http://a:0",
            "http://a:65536",
            "http://a b",
            "http://u:p@a",
            "http://[::1",
            "http://[zz]:1",
            "http://::1",
            "http://a/\r\nX: y",
            "http://a/?x=y",
        ] {
            assert_eq!(url.parse::<Endpoint>(), Err(UnfitEndpoint::NoUrl), "{url:?}");
        }
    }

    #[test]
    fn an_answer_is_judged_by_its_status() {
        let judged = |answer: &str| judge(answer).map_err(|error| (error.may_pass(), error.retry_after()));
        assert_eq!(judged("HTTP/1.1 200 OK\r\n\r\n{}"), Ok(()));
        assert_eq!(judged("HTTP/1.0 202 \r\nA: b\r\n\r\n"), Ok(()));
        assert_eq!(judged("HTTP/1.1 400 Bad Request\r\n\r\n"), Err((false, None)));
        assert_eq!(judged("HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n"), Err((false, None)));
        let three = Some(Duration::from_secs(3));
        assert_eq!(judged("HTTP/1.1 429 Slow\r\nretry-AFTER: 3\r\n\r\n"), Err((true, three)));
        assert_eq!(judged("HTTP/1.1 503 Busy\r\nRetry-After: tomorrow\r\n\r\n"), Err((true, None)));
        for rubbish in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 2\r\n\r\n",
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 \u{fc}\u{fc}\r\n\r\n",
        ] {
            assert_eq!(judged(rubbish), Err((false, None)), "{rubbish:?}");
        }
    }
}
