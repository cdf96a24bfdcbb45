//! `subtle serve`: start, serve, stop in good order.

mod announce;
mod metrics;
mod post;
mod process;
mod signals;

use std::sync::Arc;
use std::time::Duration;

use subtle_http::{Gauges, Readiness, Server};
use subtle_metrics::Tally;
use subtle_persistence::{
    ActivityWriter, AuditSealing, Cleaning, PgBacklog, PgCleaner, PgEncryption, Reencryption, RevocationFeed,
    UsageWriters, migrations,
};
use subtle_security::MasterSecrets;
use tokio::time::{sleep, timeout};

use crate::database::Home;
use crate::failure::Failure;
use crate::settings::{DatabaseUrl, Settings};
use crate::traces::{Exporting, Traces};
use crate::{encryption, logging, secrets, wiring};
use metrics::Watched;
pub(crate) use post::PostError;
use post::{Post, Stationery};
use signals::{Signal, Signals};

/// How long what was committed to the audit trail waits for its seal.
const SEAL_EVERY: Duration = Duration::from_secs(2);
/// How often what is long dead is taken away.
const CLEAN_EVERY: Duration = Duration::from_mins(10);
/// How often is looked for values under other keys than the newest, which servers with other settings and other programs write. Seldom:
/// while servers are replaced by such with a newer key, the old ones would undo what the new ones do.
const REENCRYPT_EVERY: Duration = Duration::from_hours(1);
/// How long the start waits for what was revoked before it. Later than that, readiness waits for it.
const CATCH_UP: Duration = Duration::from_secs(3);
/// What is left of a stop's 30 seconds after the requests in flight: for the timeline's last entries…
const LAST_ENTRIES: Duration = Duration::from_secs(2);
/// …and for connections to close.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A server that answers, and what works beside it.
struct Running {
    server: Server,
    readiness: Readiness,
    feed: RevocationFeed,
    activity: ActivityWriter,
    usage: UsageWriters,
    sealing: AuditSealing,
    cleaning: Cleaning,
    reencryption: Reencryption,
    post: Post,
    traces: Option<Exporting>,
}

pub(crate) fn serve(settings: &Settings, traces: Option<Traces>) -> Result<(), Failure> {
    logging::report_panics();
    let stationery = Stationery::find(settings)?;
    let local = settings.database_url.as_ref().is_none_or(DatabaseUrl::is_local);
    let secrets = secrets::find(settings, local)?;
    let runtime = crate::runtime()?;
    // Before the private PostgreSQL starts: a signal that came between would leave it behind.
    let signals = runtime.block_on(async { Signals::new() }).map_err(Failure::Signals)?;
    let home = Home::open(settings)?;
    let outcome = runtime.block_on(run(settings, &home, &secrets, stationery, traces, signals));
    // While the runtime still hears signals: a second one ends this too.
    let closed = home.close();
    runtime.shutdown_timeout(LAST_WORDS);
    outcome?;
    closed?;
    tracing::info!("stopped");
    Ok(())
}

async fn run(
    settings: &Settings,
    home: &Home,
    secrets: &MasterSecrets,
    stationery: Stationery,
    traces: Option<Traces>,
    mut signals: Signals,
) -> Result<(), Failure> {
    let running = tokio::select! {
        running = start(settings, home, secrets, stationery, traces) => running?,
        _ = signals.next() => return Ok(()),
    };
    let Running { server, readiness, feed, activity, usage, sealing, cleaning, reencryption, post, traces } =
        running;
    let stop = async {
        let signal = signals.next().await;
        readiness.stop();
        tracing::info!(?signal, "stopping; a second signal ends it at once");
        tokio::spawn(signals.exit_at_next());
        // Those who send requests by readiness need a moment to notice. A person at the terminal does not.
        if signal == Signal::Terminate {
            sleep(settings.shutdown_delay).await;
        }
    };
    let served = server.run(stop).await.map_err(Failure::Server);
    let last_traces = async {
        if let Some(traces) = traces {
            traces.close().await;
        }
    };
    let ((), (), written) = tokio::join!(post.close(), last_traces, timeout(LAST_ENTRIES, usage.close()));
    if written.is_err() {
        tracing::warn!("the last usage could not be written in time; those who sent it were not answered");
    }
    if timeout(LAST_ENTRIES, activity.close()).await.is_err() {
        tracing::warn!("the last entries of the activity log could not be written in time");
    }
    cleaning.close().await;
    reencryption.close().await;
    sealing.close().await;
    let _closed_by_the_end_of_the_process = timeout(LAST_WORDS, feed.stop()).await;
    served
}

async fn start(
    settings: &Settings,
    home: &Home,
    secrets: &MasterSecrets,
    stationery: Stationery,
    traces: Option<Traces>,
) -> Result<Running, Failure> {
    let mut options = home.options()?;
    let applied = migrations::migrate_at(options.clone(), announce::grants).await?;
    announce::migrations(&applied);
    migrations::check_rights(home.url().expose()).await?;
    options.protects_rows = migrations::are_rows_protected(home.url().expose()).await?;
    announce::protection(options.protects_rows);
    let wired = wiring::wire(settings, options, secrets, settings.bcrypt_threads)?;
    encryption::check(&wired.database).await?;
    let feed = wired.start_feed();
    let sealing = AuditSealing::start(wired.sealer, Arc::clone(&wired.ports.clock), SEAL_EVERY);
    let cleaner = PgCleaner::new(wired.database.clone(), settings.sync_retention.map(wiring::delta));
    let cleaning = Cleaning::start(cleaner, Arc::clone(&wired.ports.clock), CLEAN_EVERY);
    let reencryption = Reencryption::start(PgEncryption::new(wired.database.clone()), REENCRYPT_EVERY);
    let status = feed.status();
    if timeout(CATCH_UP, status.ready()).await.is_err() {
        tracing::warn!("what was revoked before the start is not known yet; not ready until it is");
    }
    let readiness = Readiness::new(move || status.is_ready());
    let ports = wired.ports.clone();
    let letters = Arc::new(Tally::of(&post::OUTCOMES));
    let watched = Watched {
        clock: Arc::clone(&ports.clock),
        began: ports.clock.now(),
        backlog: metrics::watch(PgBacklog::new(wired.database.clone())),
        database: wired.database,
        hasher: wired.hasher,
        usage: wired.usage_log,
        activity: wired.activity_log,
        sealing: sealing.status(),
        feed: feed.status(),
        revocations: wired.revocations,
        letters: Arc::clone(&letters),
        spans: traces.as_ref().map(Traces::outcomes).unwrap_or_default(),
    };
    let gauges = Gauges::new(move |exposition| watched.write(exposition));
    let server = Server::bind(wired.ports, delivery(settings), readiness.clone(), gauges)
        .map_err(|source| Failure::Listen { address: settings.listen, source })?;
    announce::cautions(settings, server.address());
    let mailer = post::mailer(settings, stationery, &post::base(settings, server.address()))?;
    let post = Post::open(ports, mailer, letters);
    let is_new = !applied.is_empty() && announce::are_all(&applied, home.url()).await?;
    announce::address(server.address(), settings, home, is_new);
    let (activity, usage) = (wired.activity, wired.usage);
    let traces = traces.map(Exporting::start);
    Ok(Running { server, readiness, feed, activity, usage, sealing, cleaning, reencryption, post, traces })
}

fn delivery(settings: &Settings) -> subtle_http::Settings {
    subtle_http::Settings {
        listen: settings.listen,
        max_body: settings.max_body,
        body_deadline: settings.body_deadline,
        header_deadline: settings.header_deadline,
        shutdown_grace: settings.shutdown_grace,
        stream_heartbeat: settings.stream_heartbeat,
        trusted_proxies: settings.trusted_proxies.clone(),
        metrics_from: settings.metrics_from.clone(),
        cors_origins: settings.cors_origins.clone(),
    }
}
