use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use subtle_domain::session::ClientInfo;

use crate::problem::ApiError;
use crate::settings::{IpNetwork, Settings};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Longest `User-Agent` that is kept, in characters.
const USER_AGENT: usize = 512;

/// Where a request comes from.
pub(crate) struct Client(pub(crate) ClientInfo);

impl FromRequest for Client {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(of(request).map(Self))
    }
}

pub(super) fn of(request: &HttpRequest) -> Result<ClientInfo, ApiError> {
    let settings = request.app_data::<Data<Settings>>().ok_or(ApiError::Internal)?;
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    Ok(ClientInfo {
        ip_address: peer.map(|peer| address(peer, request.headers(), &settings.trusted_proxies)),
        user_agent: user_agent(request.headers()),
    })
}

/// Where a request comes from for certain; `None` if it came by a proxy that nobody trusts, for then anybody may be behind that.
pub(super) fn sure_address(
    peer: Option<SocketAddr>,
    headers: &HeaderMap,
    trusted: &[IpNetwork],
) -> Option<IpAddr> {
    let peer = peer?.ip().to_canonical();
    let is_forwarded = headers.contains_key(FORWARDED_FOR) || headers.contains_key(header::FORWARDED);
    let is_trusted = trusted.iter().any(|network| network.contains(peer));
    (is_trusted || !is_forwarded).then(|| address(peer, headers, trusted))
}

/// The nearest address that is not one of our proxies. What stands further left in `X-Forwarded-For` anybody may have written.
fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNetwork]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut nearest = peer;
    let lines: Vec<_> = headers.get_all(FORWARDED_FOR).collect();
    for hop in lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
        if !is_trusted(nearest) {
            break;
        }
        let Some(hop) = str::from_utf8(hop).ok().and_then(|hop| parse(hop.trim())) else { break };
        nearest = hop;
    }
    nearest
}

/// An address, perhaps with a port, as proxies write it.
fn parse(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = String::from_utf8_lossy(headers.get(header::USER_AGENT)?.as_bytes());
    let text: String = text.chars().filter(|c| !c.is_control()).take(USER_AGENT).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn seen(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        seen_bytes(peer, &forwarded.iter().map(|line| line.as_bytes()).collect::<Vec<_>>(), trusted)
    }

    fn seen_bytes(peer: &str, forwarded: &[&[u8]], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap());
        }
        let trusted: Vec<_> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn without_a_trusted_proxy_only_the_peer_counts() {
        assert_eq!(seen("203.0.113.9", &["1.2.3.4"], &[]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", &["1.2.3.4"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn behind_trusted_proxies_the_nearest_stranger_counts() {
        let trusted = ["10.0.0.0/8", "::1"];
        assert_eq!(seen("10.0.0.1", &["1.2.3.4"], &trusted), "1.2.3.4");
        assert_eq!(seen("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.7"], &trusted), "1.2.3.4");
        assert_eq!(seen("10.0.0.1", &["6.6.6.6", "1.2.3.4"], &trusted), "1.2.3.4");
        assert_eq!(seen("10.0.0.1", &["[2001:db8::1]:443"], &trusted), "2001:db8::1");
        assert_eq!(seen("10.0.0.1", &[], &trusted), "10.0.0.1");
    }

    #[test]
    fn nonsense_in_the_header_leaves_the_last_address_that_is_sure() {
        assert_eq!(seen("10.0.0.1", &["1.2.3.4, nonsense"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[""], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn behind_a_proxy_that_nobody_trusts_no_address_is_sure() {
        let trusted: Vec<IpNetwork> = vec!["10.0.0.0/8".parse().unwrap()];
        let forwarded = |name| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("127.0.0.1"));
            headers
        };
        let (by_proxy, by_other) = (forwarded(FORWARDED_FOR), forwarded(header::FORWARDED));
        for (peer, headers, sure) in [
            ("127.0.0.1:1", &HeaderMap::new(), Some("127.0.0.1")),
            ("[::ffff:127.0.0.1]:1", &HeaderMap::new(), Some("127.0.0.1")),
            ("10.0.0.1:1", &HeaderMap::new(), Some("10.0.0.1")),
            ("127.0.0.1:1", &by_proxy, None),
            ("127.0.0.1:1", &by_other, None),
            ("10.0.0.1:1", &by_proxy, Some("127.0.0.1")),
            ("10.0.0.1:1", &by_other, Some("10.0.0.1")),
        ] {
            let found = sure_address(Some(peer.parse().unwrap()), headers, &trusted);
            assert_eq!(found.map(|address| address.to_string()).as_deref(), sure, "{peer} {headers:?}");
        }
        assert_eq!(sure_address(None, &HeaderMap::new(), &trusted), None);
    }

    #[test]
    fn a_line_that_is_no_text_hides_nothing() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(seen_bytes("10.0.0.1", &[b"6.6.6.6", b"\xff, 1.2.3.4"], &trusted), "1.2.3.4");
        assert_eq!(seen_bytes("10.0.0.1", &[b"6.6.6.6", b"\xff"], &trusted), "10.0.0.1");
    }

    #[test]
    fn a_user_agent_is_cut_and_freed_of_control_characters() {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_bytes(b"a\tb\xffc").unwrap());
        assert_eq!(user_agent(&headers).unwrap(), "ab\u{fffd}c");
        headers.insert(header::USER_AGENT, HeaderValue::from_str(&"x".repeat(600)).unwrap());
        assert_eq!(user_agent(&headers).unwrap().len(), 512);
        assert_eq!(user_agent(&HeaderMap::new()), None);
    }
}
