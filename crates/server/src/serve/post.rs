//! Sends letters behind the requests' backs, over any number of servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use subtle_application::Ports;
use subtle_application::mail::{self, Delivery};
use subtle_domain::ports::{Mailer, StoreError};
use subtle_mail::{
    Composer, FileMailer, InvalidSender, InvalidSmtpUrl, Sender, SmtpMailer, SmtpServer, TemplateError,
    Templates,
};
use subtle_metrics::Tally;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::settings::Settings;

/// How often is looked whether there is something to do.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many letters are on their way at once.
const AT_ONCE: usize = 4;
/// How long a letter that is on its way at the end may take. One that takes longer is sent again by the next server.
const LAST_LETTER: Duration = Duration::from_secs(2);

/// What becomes of letters.
pub(super) const OUTCOMES: [&str; 4] = ["sent", "dropped", "put_off", "given_up"];

/// Why no letters can be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error(transparent)]
    Templates(#[from] TemplateError),
    #[error("no letters can come from the host of public_url: set mail_from")]
    Sender(#[from] InvalidSender),
    #[error(transparent)]
    Smtp(#[from] InvalidSmtpUrl),
}

/// What letters need, checked before anything is started.
#[derive(Debug)]
pub(super) struct Stationery {
    templates: Templates,
    server: Option<SmtpServer>,
}

impl Stationery {
    pub(super) fn find(settings: &Settings) -> Result<Self, PostError> {
        let templates = Templates::load(settings.mail_templates.as_deref())?;
        let server = settings.smtp_url.as_ref().map(|url| SmtpServer::parse(url.expose())).transpose()?;
        Ok(Self { templates, server })
    }
}

/// Where people reach the service.
pub(super) fn base(settings: &Settings, address: SocketAddr) -> String {
    let reachable = if address.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
    } else {
        address
    };
    settings.public_url.clone().unwrap_or_else(|| format!("http://{reachable}"))
}

/// The mailer that the settings ask for.
pub(super) fn mailer(
    settings: &Settings,
    stationery: Stationery,
    base: &str,
) -> Result<Arc<dyn Mailer>, PostError> {
    let Stationery { templates, server } = stationery;
    let composer = Composer::new(templates, sender(settings, base)?, base);
    let folder = || settings.mail_dir.clone().unwrap_or_else(|| settings.data_dir.join("mail"));
    Ok(match server {
        Some(server) => Arc::new(SmtpMailer::new(composer, server)),
        None => Arc::new(FileMailer::new(composer, folder())),
    })
}

/// Without one, `no-reply` at the host where people reach the service.
fn sender(settings: &Settings, base: &str) -> Result<Sender, InvalidSender> {
    let host = base.split("://").nth(1).unwrap_or_default();
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    // A port follows the last colon, unless that stands inside an IPv6 address.
    let host =
        host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(host, |(name, _port)| name);
    settings.mail_from.clone().map_or_else(|| Sender::at(host), Ok)
}

/// The task that sends letters. When this is dropped it stops after the letters that are on their way, but nobody waits for it.
#[derive(Debug)]
#[must_use = "no letter is sent any more once this is dropped"]
pub(super) struct Post {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Post {
    /// What becomes of letters is counted in `letters`. Must be called inside a Tokio runtime.
    pub(super) fn open(ports: Ports, mailer: Arc<dyn Mailer>, letters: Arc<Tally>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(run(ports, mailer, letters, stopped)) }
    }

    /// Takes on no more letters and ends, within two seconds or so.
    pub(super) async fn close(self) {
        let _has_ended = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(error = &error as &dyn std::error::Error, "sending letters failed");
        }
    }
}

async fn run(ports: Ports, mailer: Arc<dyn Mailer>, letters: Arc<Tally>, mut stopped: oneshot::Receiver<()>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut outage = Outage::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut stopped => return,
        }
        let mut round = std::pin::pin!(round(&ports, &mailer, &letters));
        tokio::select! {
            outcome = &mut round => outage.note(&outcome),
            _ = &mut stopped => {
                if timeout(LAST_LETTER, round).await.is_err() {
                    tracing::warn!("the last letters took too long; they are sent again");
                }
                return;
            }
        }
    }
}

/// Does all that there is to do.
async fn round(ports: &Ports, mailer: &Arc<dyn Mailer>, letters: &Tally) -> Result<(), StoreError> {
    if !mail::is_waiting(ports).await? {
        return Ok(());
    }
    while mail::answer_request(ports).await? {}
    let deliver = || async {
        while let Some(outcome) = outcome(mail::deliver(ports, &**mailer).await?) {
            letters.count(outcome);
        }
        Ok(())
    };
    let all: [_; AT_ONCE] = std::array::from_fn(|_| deliver());
    let [one, two, three, four] = all;
    // Each to its end: a letter that is on its way when another one fails would be sent twice.
    let (one, two, three, four): (Result<(), StoreError>, _, _, _) = tokio::join!(one, two, three, four);
    one.and(two).and(three).and(four)
}

/// What became of a letter, in a word of [`OUTCOMES`]; `None` if there was none.
fn outcome(delivery: Delivery) -> Option<&'static str> {
    match delivery {
        Delivery::Nothing => None,
        Delivery::Sent => Some("sent"),
        Delivery::Dropped => Some("dropped"),
        Delivery::PutOff => Some("put_off"),
        Delivery::GivenUp => Some("given_up"),
    }
}

/// Whether the last round failed, so that an outage is told once and not at every look.
#[derive(Default)]
struct Outage(bool);

impl Outage {
    fn note(&mut self, outcome: &Result<(), StoreError>) {
        let was_out = std::mem::replace(&mut self.0, outcome.is_err());
        match outcome {
            Err(error) if !was_out => {
                let error = error as &dyn std::error::Error;
                tracing::warn!(error, "no letters can be sent; trying again");
            }
            Ok(()) if was_out => tracing::info!("letters are being sent again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::settings::Given;

    fn settings(flags: &[(&'static str, &str)]) -> Settings {
        let flags: HashMap<_, _> = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Settings::read(&Given::gather(flags, None, []).unwrap()).unwrap()
    }

    #[test]
    fn links_lead_to_the_public_url_or_to_where_the_server_listens() {
        let listens = |address: &str| base(&settings(&[]), address.parse().unwrap());
        assert_eq!(listens("127.0.0.1:4321"), "http://127.0.0.1:4321");
        assert_eq!(listens("0.0.0.0:8080"), "http://127.0.0.1:8080");
        assert_eq!(listens("[::]:8080"), "http://127.0.0.1:8080");
        let public = settings(&[("public_url", "https://accounts.example.com")]);
        assert_eq!(base(&public, "0.0.0.0:8080".parse().unwrap()), "https://accounts.example.com");
    }

    #[test]
    fn letters_come_from_the_host_of_the_links_unless_it_is_said_otherwise() {
        let from = |base: &str| sender(&settings(&[]), base).unwrap().to_string();
        assert_eq!(from("https://accounts.example.com/base"), "no-reply@accounts.example.com");
        assert_eq!(from("http://localhost:8080"), "no-reply@localhost");
        assert_eq!(from("http://127.0.0.1:8080"), "no-reply@localhost");
        assert_eq!(from("http://[::1]:8080"), "no-reply@localhost");
        assert_eq!(from("http://[::1]"), "no-reply@localhost");
        let said = settings(&[("mail_from", "Example <post@example.com>")]);
        assert_eq!(sender(&said, "http://127.0.0.1:8080").unwrap().to_string(), "Example <post@example.com>");
    }
}
