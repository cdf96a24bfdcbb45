//! Letters by a mail server.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, Error};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use subtle_domain::letter::Letter;
use subtle_domain::ports::{Mailer, NotSent};
use subtle_domain::token::OneTimeToken;

use crate::compose::Composer;

/// How long a server may take for each of its answers.
const PATIENCE: Duration = Duration::from_secs(20);
/// Answers by which a server says that it knows no such mailbox, or will never take letters to it (RFC 5321, 4.2.3). Others of that
/// class tell of the server itself or of our account there, which somebody can put right.
const REFUSED_FOR_GOOD: [u16; 4] = [550, 551, 552, 553];

/// Why a URL leads to no mail server. It may hold a password, so it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSmtpUrl {
    /// Not one that is understood.
    #[error("smtp_url is no URL such as smtps://user:password@mail.example.com")]
    Unfit,
    /// A password would go over the net for everybody to read.
    #[error("smtp_url has a password and tls=none: only a server on this machine may be spoken to like that")]
    Exposed,
}

/// A mail server, not connected yet: over TLS with `smtps://`; with `smtp://` over STARTTLS, which is demanded where there is a password and
/// taken where it is offered otherwise. `?tls=required`, `opportunistic` or `none` says it outright.
#[derive(Clone)]
pub struct SmtpServer(AsyncSmtpTransportBuilder);

impl SmtpServer {
    /// The server of that URL.
    pub fn parse(url: &str) -> Result<Self, InvalidSmtpUrl> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(&with_tls(url)?);
        let builder = builder.map_err(|_may_repeat_it| InvalidSmtpUrl::Unfit)?;
        Ok(Self(builder.timeout(Some(PATIENCE))))
    }
}

impl fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpServer(…)")
    }
}

/// Hands each letter to a mail server.
pub struct SmtpMailer {
    composer: Composer,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpMailer(…)")
    }
}

impl SmtpMailer {
    /// By that server, to which the sender's domain is told as ours.
    #[must_use]
    pub fn new(composer: Composer, server: SmtpServer) -> Self {
        let name = ClientId::Domain(composer.sender().domain().to_owned());
        Self { composer, transport: server.0.hello_name(name).build() }
    }
}

/// The URL as `lettre` understands it: without a word on TLS it would do without.
fn with_tls(url: &str) -> Result<String, InvalidSmtpUrl> {
    let Some(rest) = url.strip_prefix("smtp://") else { return Ok(url.to_owned()) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (has_password, host) =
        authority.rsplit_once('@').map_or((false, authority), |(_, host)| (true, host));
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    match query {
        "" if has_password => Ok(format!("{place}?tls=required")),
        "" => Ok(format!("{place}?tls=opportunistic")),
        "tls=none" if has_password && !is_local(host) => Err(InvalidSmtpUrl::Exposed),
        "tls=none" => Ok(place.to_owned()),
        "tls=required" | "tls=opportunistic" => Ok(url.to_owned()),
        _ => Err(InvalidSmtpUrl::Unfit),
    }
}

fn is_local(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    let address =
        name.trim_matches(['[', ']']).parse().map(|address: std::net::IpAddr| address.is_loopback());
    address.unwrap_or(name == "localhost")
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send<'a>(&self, letter: &Letter, token: Option<&'a OneTimeToken>) -> Result<(), NotSent> {
        let message = self.composer.compose(letter, token)?;
        self.transport.send(message).await.map(|_its_words| ()).map_err(|error| not_sent(&error))
    }
}

/// What rustls refuses comes wrapped as input that is not as it should be.
fn fails_in_handshake(error: &Error) -> bool {
    let sources = std::iter::successors(error.source(), |&source| source.source());
    let mut sources = sources.filter_map(|source| source.downcast_ref::<io::Error>());
    sources.any(|source| source.kind() == io::ErrorKind::InvalidData)
}

/// What a server says may repeat the address, so only its number is kept.
fn not_sent(error: &Error) -> NotSent {
    if let Some(code) = error.status() {
        let number = u16::from(code);
        let told = format!("the mail server answered {number}");
        return if REFUSED_FOR_GOOD.contains(&number) { NotSent::Ever(told) } else { NotSent::Yet(told) };
    }
    let why = match error {
        error if error.is_timeout() => "the mail server took too long",
        error if error.is_tls() || fails_in_handshake(error) => {
            "there is no TLS with the mail server that could be trusted"
        }
        error if error.is_client() => {
            "the mail server does not offer what is needed, STARTTLS or a way to sign in"
        }
        error if error.is_response() => "the mail server's answer made no sense",
        _ => "the mail server could not be reached",
    };
    NotSent::Yet(why.to_owned())
}

#[cfg(test)]
mod tests;
