//! `subtle health`: asks the server of these settings whether it is ready, for container images without a shell.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::failure::Failure;
use crate::settings::Settings;

/// Longer than the server takes to find out that its database does not answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// The first line of an answer is shorter.
const LONGEST: u64 = 256;

/// Why a server does not count as ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unready {
    #[error("nobody answers on {address}")]
    Mute { address: SocketAddr, source: io::Error },
    #[error("the server on {address} is not ready: {answer}")]
    No { address: SocketAddr, answer: String },
}

pub(crate) fn health(settings: &Settings) -> Result<(), Failure> {
    let address = reachable(settings.listen);
    let answer = asked(address).map_err(|source| Unready::Mute { address, source })?;
    if answer.split(' ').nth(1) == Some("200") {
        return crate::print("ready\n");
    }
    Err(Unready::No { address, answer }.into())
}

/// The status line of the answer.
fn asked(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// Who listens everywhere listens on loopback, too.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let own: IpAddr = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        named => named,
    };
    SocketAddr::new(own, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        for (listens, asked) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.1:80", "10.0.0.1:80")]
        {
            assert_eq!(reachable(listens.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
