//! What an operator may choose about the delivery.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// How the API is served.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Largest request body, in bytes.
    pub max_body: usize,
    /// Longest time in which a body must have arrived.
    pub body_deadline: Duration,
    /// Longest time in which the headers must have arrived.
    pub header_deadline: Duration,
    /// Longest time for requests in flight once the server is told to stop.
    pub shutdown_grace: Duration,
    /// How often a stream on which nothing happens says that it lives.
    pub stream_heartbeat: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNetwork>,
    /// Networks whose callers are shown the metrics.
    pub metrics_from: Vec<IpNetwork>,
    /// Origins whose pages may call from a browser (CORS): `https://app.example.com`.
    pub cors_origins: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            max_body: 1 << 20,
            body_deadline: Duration::from_secs(8),
            header_deadline: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(25),
            stream_heartbeat: Duration::from_secs(15),
            trusted_proxies: Vec::new(),
            metrics_from: IpNetwork::LOOPBACK.into(),
            cors_origins: Vec::new(),
        }
    }
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an address or a network such as 10.0.0.0/8 or ::1")]
pub struct InvalidNetwork;

/// A range of addresses in CIDR notation (RFC 4632).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpNetwork {
    base: IpAddr,
    bits: u32,
}

impl IpNetwork {
    /// The machine itself.
    pub const LOOPBACK: [Self; 2] = [
        Self { base: IpAddr::V4(Ipv4Addr::LOCALHOST), bits: 8 },
        Self { base: IpAddr::V6(Ipv6Addr::LOCALHOST), bits: 128 },
    ];

    /// Whether the address is in the range.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(other)) => {
                (base.to_bits() ^ other.to_bits()).leading_zeros() >= self.bits
            }
            (IpAddr::V6(base), IpAddr::V6(other)) => {
                (base.to_bits() ^ other.to_bits()).leading_zeros() >= self.bits
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for IpNetwork {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let base: IpAddr = address.parse().map_err(|_told_as_a_whole| InvalidNetwork)?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_told_as_a_whole| InvalidNetwork)?,
            None => most,
        };
        if bits > most { Err(InvalidNetwork) } else { Ok(Self { base, bits }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("::1", "::1", "127.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::ffff:11.1.1.1"),
        ] {
            let parsed: IpNetwork = network.parse().unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network} {outside}");
        }
    }

    #[test]
    fn the_machine_itself_is_written_as_an_operator_would() {
        assert_eq!(
            "127.0.0.1/8,::1".split(',').map(str::parse).collect::<Result<Vec<_>, _>>(),
            Ok(IpNetwork::LOOPBACK.into())
        );
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "::1/129", "10.0.0/8", "example.com", "10.0.0.0/-1", "10.0.0.0/"] {
            assert_eq!(text.parse::<IpNetwork>(), Err(InvalidNetwork), "{text}");
        }
    }
}
