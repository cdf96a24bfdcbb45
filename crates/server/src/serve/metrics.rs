//! What is told to Prometheus beside the requests: the pool, the queues, what waits in the database, the process. It is read where it
//! is, at each scrape; nothing is asked of the database then.

use std::sync::Arc;
use std::time::Duration;

use subtle_domain::Timestamp;
use subtle_domain::ports::Clock;
use subtle_metrics::{Exposition, Tally};
use subtle_persistence::{
    Backlog, Database, FeedStatus, PgActivityLog, PgBacklog, PgUsageLog, RevocationList, SealingStatus,
};
use subtle_security::BcryptHasher;
use tokio::sync::watch;
use tokio::time::sleep;

use super::process;
use crate::traces::Outcomes;

/// How often the database is asked what waits in it: once for all who scrape, and whether anybody does or not, so that a scrape
/// never waits.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What waits in the database, as far as it can be asked now.
pub(super) type Watch = watch::Receiver<Option<Backlog>>;

/// Begins to look at what waits, for as long as somebody has what this gives. Must be called inside a Tokio runtime.
pub(super) fn watch(backlog: PgBacklog) -> Watch {
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        while !sender.is_closed() {
            // That there is no answer says enough; others log why.
            sender.send_replace(backlog.look().await.ok());
            sleep(LOOK_EVERY).await;
        }
    });
    receiver
}

/// All that is read at a scrape.
pub(super) struct Watched {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) began: Timestamp,
    pub(super) database: Database,
    pub(super) backlog: Watch,
    pub(super) hasher: Arc<BcryptHasher>,
    pub(super) usage: Arc<PgUsageLog>,
    pub(super) activity: Arc<PgActivityLog>,
    pub(super) sealing: Arc<SealingStatus>,
    pub(super) feed: FeedStatus,
    pub(super) revocations: Arc<RevocationList>,
    pub(super) letters: Arc<Tally>,
    pub(super) spans: Arc<Outcomes>,
}

impl Watched {
    pub(super) fn write(&self, to: &mut Exposition) {
        self.write_pool(to);
        self.write_passwords(to);
        self.write_usage(to);
        self.write_backlog(to);
        self.write_revocations(to);
        self.spans.write(to);
        to.gauge("subtle_build_info", "1, with the version of the program.")
            .has(&[("version", env!("CARGO_PKG_VERSION"))], true);
        let began = self.began.timestamp_millis().try_into().map(Duration::from_millis);
        to.gauge("process_start_time_seconds", "When the process began, since 1970.")
            .is(began.unwrap_or_default());
        process::write(to);
    }

    fn write_pool(&self, to: &mut Exposition) {
        let (status, waits) = (self.database.status(), self.database.waits());
        to.gauge("subtle_pool_connections_limit", "Connections to the database that there may be.")
            .is(status.limit);
        to.gauge("subtle_pool_connections_open", "Connections to the database that there are.")
            .is(status.open);
        to.gauge("subtle_pool_connections_idle", "Those of them that nobody uses.").is(status.idle);
        to.gauge("subtle_pool_waiting", "Callers that wait for a connection.").is(status.waiting);
        to.histogram("subtle_pool_wait_seconds", "Time waited for a connection, in vain too.")
            .times(&[], &waits.waited);
        to.counter("subtle_pool_timeouts_total", "Callers for whom no connection became free in time.")
            .is(waits.timeouts.get());
        to.counter("subtle_pool_failures_total", "Callers for whom no connection could be made.")
            .is(waits.failures.get());
    }

    fn write_passwords(&self, to: &mut Exposition) {
        let hasher = &self.hasher;
        to.gauge("subtle_bcrypt_threads", "Threads that hash passwords.").is(hasher.threads());
        to.gauge("subtle_bcrypt_busy", "Those of them that do.").is(hasher.running());
        to.gauge("subtle_bcrypt_waiting", "Passwords that wait for a thread.").is(hasher.waiting());
        to.counter(
            "subtle_bcrypt_refused_total",
            "Passwords that found too many waiting, and were answered 503.",
        )
        .is(hasher.refused());
        to.histogram("subtle_bcrypt_duration_seconds", "Time that a password was worked on.")
            .times(&[], hasher.took());
    }

    fn write_usage(&self, to: &mut Exposition) {
        let written = self.usage.written();
        to.gauge("subtle_usage_waiting", "Usage events that wait to be written, or are being written.")
            .is(self.usage.waiting());
        to.counter("subtle_usage_written_total", "Usage events in committed batches.")
            .is(written.events.get());
        to.histogram("subtle_usage_commit_seconds", "Time that a batch of usage took, to its commit.")
            .times(&[], &written.took);
        to.gauge("subtle_activity_waiting", "Entries of the activity timeline that wait to be written.")
            .is(self.activity.waiting());
        to.counter("subtle_activity_lost_total", "Entries of the activity timeline that were given up.")
            .is(self.activity.lost());
    }

    /// What the last look saw; nothing while the database is away.
    fn write_backlog(&self, to: &mut Exposition) {
        let seen = *self.backlog.borrow();
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        to.gauge("subtle_database_up", "Whether the last look at the database, every 5 s, was answered.")
            .is(seen.is_some());
        to.gauge("subtle_outbox_waiting", "Letters that are not sent yet, up to 10,000.")
            .may_be(seen.map(|seen| count(seen.letters)));
        to.gauge("subtle_outbox_requests_waiting", "Wishes for a letter, up to 10,000.")
            .may_be(seen.map(|seen| count(seen.requests)));
        to.gauge("subtle_outbox_oldest_due_seconds", "For how long a letter has been due.")
            .may_be(seen.map(|seen| seen.oldest_due_at.map_or(Duration::ZERO, |due| self.since(due))));
        to.counter("subtle_letters_total", "Letters, by what became of them at this server.")
            .tallies("outcome", &self.letters);
        to.gauge("subtle_audit_unsealed", "Audit rows without a seal, up to 10,000.")
            .may_be(seen.map(|seen| count(seen.unsealed)));
        to.gauge("subtle_audit_seal_age_seconds", "Age of the last seal; it grows while nothing is audited.")
            .may_be(seen.and_then(|seen| seen.sealed_at).map(|at| self.since(at)));
        to.counter("subtle_audit_sealed_total", "Audit rows that this server has sealed.")
            .is(self.sealing.sealed.get());
        to.counter("subtle_audit_seal_failures_total", "Times that this server could not seal.")
            .is(self.sealing.failures.get());
        to.gauge("subtle_audit_halted", "Whether nothing is sealed any more until somebody has looked.")
            .is(self.sealing.is_halted());
    }

    fn write_revocations(&self, to: &mut Exposition) {
        to.gauge("subtle_revocations_connected", "Whether this server hears what others revoke.")
            .is(self.feed.is_listening());
        let lag = self.feed.lag().and_then(|lag| lag.to_std().ok());
        to.gauge("subtle_revocations_lag_seconds", "What was revoked longer ago than this is known here.")
            .may_be(lag);
        to.gauge("subtle_revocations_held", "Sessions and accounts whose access tokens are refused.")
            .is(self.revocations.len());
    }

    fn since(&self, then: Timestamp) -> Duration {
        (self.clock.now() - then).to_std().unwrap_or_default()
    }
}
