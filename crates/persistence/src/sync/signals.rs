//! Who follows a sync log here, and is to be woken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::ports::{SyncSignal, SyncSignals};
use tokio::sync::Notify;

/// What somebody may be woken by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// A user's log has grown, or the user is gone.
    User(UserId),
    /// A session is over.
    Session(SessionId),
}

/// The followers of this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    next: AtomicU64,
    followers: Mutex<HashMap<Topic, HashMap<u64, Arc<Notify>>>>,
}

impl Shared {
    fn followers(&self) -> MutexGuard<'_, HashMap<Topic, HashMap<u64, Arc<Notify>>>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signals {
    /// Wakes those who follow this.
    pub(crate) fn wake(&self, topic: &Topic) {
        for follower in self.0.followers().get(topic).into_iter().flat_map(HashMap::values) {
            // Who does not wait at the moment won't wait the next time.
            follower.notify_one();
        }
    }

    /// Wakes everybody: nobody knows what was not heard.
    pub(crate) fn wake_all(&self) {
        for follower in self.0.followers().values().flat_map(HashMap::values) {
            follower.notify_one();
        }
    }

    /// How many follow a log.
    #[must_use]
    pub fn len(&self) -> usize {
        let followers = self.0.followers();
        followers
            .iter()
            .filter(|(topic, _)| matches!(topic, Topic::User(_)))
            .map(|(_, those)| those.len())
            .sum()
    }

    /// Whether nobody does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl SyncSignals for Signals {
    fn listen(&self, user: &UserId, session: &SessionId) -> Box<dyn SyncSignal> {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let topics = [Topic::User(user.clone()), Topic::Session(session.clone())];
        let notify = Arc::new(Notify::new());
        let mut followers = self.0.followers();
        for topic in &topics {
            followers.entry(topic.clone()).or_default().insert(number, Arc::clone(&notify));
        }
        drop(followers);
        Box::new(Follower { shared: Arc::clone(&self.0), number, topics, notify })
    }
}

struct Follower {
    shared: Arc<Shared>,
    number: u64,
    topics: [Topic; 2],
    notify: Arc<Notify>,
}

#[async_trait]
impl SyncSignal for Follower {
    async fn heard(&mut self) {
        self.notify.notified().await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut followers = self.shared.followers();
        for topic in &self.topics {
            if let Some(those) = followers.get_mut(topic) {
                those.remove(&self.number);
                if those.is_empty() {
                    followers.remove(topic);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    fn session(id: &str) -> SessionId {
        SessionId::parse(id).unwrap()
    }

    fn has_heard(follower: &mut Box<dyn SyncSignal>) -> bool {
        follower.heard().now_or_never().is_some()
    }

    #[test]
    fn a_user_wakes_their_followers_a_session_its_own_and_nobody_else() {
        let signals = Signals::default();
        let [mut one, mut two, mut other] = [("ada", "s1"), ("ada", "s2"), ("bob", "s3")]
            .map(|(id, of)| signals.listen(&user(id), &session(of)));
        assert!(!has_heard(&mut one));
        signals.wake(&Topic::User(user("ada")));
        assert!(has_heard(&mut one) && has_heard(&mut two) && !has_heard(&mut other));
        assert!(!has_heard(&mut one), "once");
        signals.wake(&Topic::Session(session("s2")));
        assert!(!has_heard(&mut one) && has_heard(&mut two));
        signals.wake_all();
        assert!(has_heard(&mut one) && has_heard(&mut two) && has_heard(&mut other));
    }

    #[test]
    fn who_no_longer_listens_is_forgotten() {
        let signals = Signals::default();
        let (one, two) =
            (signals.listen(&user("ada"), &session("s1")), signals.listen(&user("ada"), &session("s1")));
        assert_eq!(signals.len(), 2);
        drop(one);
        assert_eq!(signals.len(), 1);
        drop(two);
        assert!(signals.is_empty() && signals.0.followers().is_empty());
    }

    #[test]
    fn a_wait_that_was_given_up_loses_nothing() {
        let signals = Signals::default();
        let mut one = signals.listen(&user("ada"), &session("s1"));
        assert!(one.heard().now_or_never().is_none());
        signals.wake(&Topic::User(user("ada")));
        drop(one.heard());
        assert!(has_heard(&mut one));
    }
}
