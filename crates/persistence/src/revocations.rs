//! What was revoked lately, held in memory: every request asks, so no request asks the database.
//!
//! [`RevocationList`] is the set and answers; [`RevocationFeed`] keeps it in step with what other replicas commit.

mod backoff;
mod feed;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

use chrono::TimeDelta;
use subtle_domain::Timestamp;
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::ports::{Revocation, Revocations};

use crate::sync::{Signals, Topic};

pub use feed::{FeedStatus, RevocationFeed};

/// By how much the clocks of replicas may differ, and the leeway with which tokens are verified: what is revoked is remembered
/// for so much longer than a token lives.
const SKEW: TimeDelta = TimeDelta::minutes(1);
/// How often what nobody needs any more is cleared away.
const SWEEP: TimeDelta = TimeDelta::minutes(1);

/// The sessions and accounts whose access tokens are refused, each until the last of them has expired.
#[derive(Debug)]
pub struct RevocationList {
    memory: TimeDelta,
    held: RwLock<Held>,
    signals: Signals,
}

/// Each with the time from which nothing needs it any more.
#[derive(Debug, Default)]
struct Held {
    sessions: HashMap<SessionId, Timestamp>,
    users: HashMap<UserId, Timestamp>,
    next_sweep: Option<Timestamp>,
}

impl RevocationList {
    /// An empty list, for access tokens that live `token_life`.
    #[must_use]
    pub fn new(token_life: TimeDelta) -> Self {
        Self { memory: token_life + SKEW, held: RwLock::default(), signals: Signals::default() }
    }

    /// Those who follow a sync log on this replica: they are woken when what lets them is over.
    #[must_use]
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Clears away what no living token can be about; once a minute, however often it is called.
    pub fn forget_expired(&self, now: Timestamp) {
        let due = |held: &Held| held.next_sweep.is_none_or(|at| at <= now);
        if due(&self.held.read().unwrap_or_else(PoisonError::into_inner)) {
            self.held.write().unwrap_or_else(PoisonError::into_inner).sweep(now);
        }
    }

    /// How many sessions and accounts are held.
    #[must_use]
    pub fn len(&self) -> usize {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.sessions.len() + held.users.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was revoked after this is about tokens that may still live at `now`.
    fn horizon(&self, now: Timestamp) -> Timestamp {
        now - self.memory
    }
}

impl Held {
    fn sweep(&mut self, now: Timestamp) {
        self.sessions.retain(|_, until| *until > now);
        self.users.retain(|_, until| *until > now);
        self.next_sweep = Some(now + SWEEP);
    }
}

/// Keeps the later of two times: a revocation may be told twice and out of order.
fn keep<K: Hash + Eq + Clone>(held: &mut HashMap<K, Timestamp>, key: &K, until: Timestamp) {
    held.entry(key.clone()).and_modify(|known| *known = until.max(*known)).or_insert(until);
}

impl Revocations for RevocationList {
    fn covers(&self, user: &UserId, session: &SessionId) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.sessions.contains_key(session) || held.users.contains_key(user)
    }

    fn learn(&self, revocations: &[Revocation], now: Timestamp) {
        let until = now + self.memory;
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        for revocation in revocations {
            match revocation {
                Revocation::Session(id) => keep(&mut held.sessions, id, until),
                Revocation::User(id) => keep(&mut held.users, id, until),
            }
        }
        drop(held);
        for revocation in revocations {
            self.signals.wake(&match revocation {
                Revocation::Session(id) => Topic::Session(id.clone()),
                Revocation::User(id) => Topic::User(id.clone()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use subtle_domain::ports::SyncSignals;

    fn start() -> Timestamp {
        chrono::DateTime::from_timestamp_millis(1_700_000_000_000).unwrap()
    }

    fn covers(list: &RevocationList, user: &str, session: &str) -> bool {
        list.covers(&UserId::parse(user).unwrap(), &SessionId::parse(session).unwrap())
    }

    fn session(id: &str) -> Revocation {
        Revocation::Session(SessionId::parse(id).unwrap())
    }

    fn user(id: &str) -> Revocation {
        Revocation::User(UserId::parse(id).unwrap())
    }

    #[test]
    fn a_session_or_all_of_an_account_is_covered_and_nobody_else() {
        let list = RevocationList::new(TimeDelta::minutes(15));
        list.learn(&[session("s1"), user("u2")], start());
        assert!(covers(&list, "u1", "s1"));
        assert!(covers(&list, "u2", "s2"));
        assert!(!covers(&list, "u1", "s3"));
        assert!(!covers(&list, "s1", "u2"), "an account is no session");
    }

    #[test]
    fn who_follows_a_log_is_woken_when_their_session_or_account_is_over() {
        let list = RevocationList::new(TimeDelta::minutes(15));
        let mut follower =
            list.signals().listen(&UserId::parse("u1").unwrap(), &SessionId::parse("s1").unwrap());
        let mut woken_by = |revocation| {
            list.learn(&[revocation], start());
            follower.heard().now_or_never().is_some()
        };
        assert!(!woken_by(session("s2")) && !woken_by(user("u2")));
        assert!(woken_by(session("s1")) && woken_by(user("u1")));
    }

    #[test]
    fn what_is_older_than_a_tokens_life_and_the_skew_is_forgotten() {
        let list = RevocationList::new(TimeDelta::minutes(15));
        list.learn(&[session("s1"), user("u1")], start());
        list.learn(&[session("s2")], start() + TimeDelta::minutes(5));
        list.forget_expired(start() + TimeDelta::minutes(15));
        assert_eq!(list.len(), 3);
        list.forget_expired(start() + TimeDelta::minutes(16));
        assert_eq!(list.len(), 1);
        assert!(covers(&list, "u1", "s2"));
        list.forget_expired(start() + TimeDelta::minutes(21));
        assert!(list.is_empty());
    }

    #[test]
    fn clearing_away_happens_once_a_minute() {
        let list = RevocationList::new(TimeDelta::minutes(15));
        list.forget_expired(start());
        list.learn(&[session("s1")], start() - TimeDelta::minutes(20));
        list.forget_expired(start() + TimeDelta::seconds(59));
        assert_eq!(list.len(), 1);
        list.forget_expired(start() + TimeDelta::seconds(60));
        assert!(list.is_empty());
    }

    #[test]
    fn an_older_report_does_not_shorten_what_is_known() {
        let list = RevocationList::new(TimeDelta::minutes(15));
        list.learn(&[session("s1")], start());
        list.learn(&[session("s1")], start() - TimeDelta::minutes(10));
        list.forget_expired(start() + TimeDelta::minutes(10));
        assert!(covers(&list, "u1", "s1"));
    }
}
