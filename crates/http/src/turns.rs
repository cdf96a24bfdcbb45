//! Turns: requests about one account wait for each other's locks, so all but a few wait here, where it costs no connection to the
//! database. Else one busy account would take them all from everybody. Where the account is not known yet, those with the same token
//! wait for each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::Data;
use subtle_domain::throttle::RetryAfter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::problem::ApiError;

/// How many requests about one account are worked on at once.
const AT_ONCE: usize = 2;
/// How many of one account's streams read at once.
const READ_AT_ONCE: usize = 4;
/// How many may be here at once, waiting ones among them.
const MOST: usize = 256;
/// Longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whose turn it is, by account or token.
pub(crate) struct Turns {
    at_once: usize,
    most: usize,
    queues: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Turns of streams: all that an account has open may wait, for as long as it takes.
#[derive(Clone)]
pub(crate) struct StreamTurns(Data<Turns>);

/// A turn: over when it is dropped.
pub(crate) struct Turn {
    // Given back before the place is looked at.
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

/// A place in a queue.
struct Place {
    turns: Data<Turns>,
    key: String,
    queue: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { at_once: AT_ONCE, most: MOST, queues: Mutex::default() }
    }
}

impl Default for StreamTurns {
    fn default() -> Self {
        Self(Data::new(Turns { at_once: READ_AT_ONCE, most: usize::MAX, queues: Mutex::default() }))
    }
}

impl StreamTurns {
    /// Waits for a turn with an account; `None` when the server ends.
    pub(crate) async fn take(&self, key: &str) -> Option<Turn> {
        let place = Turns::line_up(&self.0, key)?;
        let permit = Arc::clone(&place.queue).acquire_owned().await.ok()?;
        Some(Turn { _permit: permit, _place: place })
    }
}

impl Turns {
    /// Waits for a turn with an account or a token.
    pub(crate) async fn take(turns: &Data<Self>, key: &str) -> Result<Turn, ApiError> {
        let busy = || ApiError::UsageBusy(RetryAfter(Duration::from_secs(1)));
        let place = Self::line_up(turns, key).ok_or_else(busy)?;
        let permit = timeout(PATIENCE, Arc::clone(&place.queue).acquire_owned()).await;
        match permit {
            Ok(Ok(permit)) => Ok(Turn { _permit: permit, _place: place }),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    fn line_up(turns: &Data<Self>, key: &str) -> Option<Place> {
        let mut queues = turns.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(key.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(turns.at_once)));
        // One count is the map's; who has a turn counts twice.
        (Arc::strong_count(queue) <= turns.most).then(|| Place {
            turns: turns.clone(),
            key: key.to_owned(),
            queue: Arc::clone(queue),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.turns.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's count and this one: nobody else is in the queue.
        if Arc::strong_count(&self.queue) <= 2 {
            queues.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[actix_web::test]
    async fn a_few_are_served_at_once_the_next_one_waits_and_others_accounts_do_not() {
        let turns = Data::new(Turns::default());
        let ada = "ada";
        let first = Turns::take(&turns, ada).await.ok().unwrap();
        let _second = Turns::take(&turns, ada).await.ok().unwrap();
        let mut third = Box::pin(Turns::take(&turns, ada));
        assert!((&mut third).now_or_never().is_none());
        assert!(Turns::take(&turns, "bob").await.is_ok());
        drop(first);
        assert!(third.await.is_ok());
    }

    #[actix_web::test]
    async fn nobody_is_remembered_who_does_not_wait_and_a_queue_has_an_end() {
        let turns = Data::new(Turns::default());
        let ada = "ada";
        let places: Vec<_> = std::iter::from_fn(|| Turns::line_up(&turns, ada)).collect();
        assert_eq!(places.len(), MOST);
        assert!(matches!(Turns::take(&turns, ada).await, Err(ApiError::UsageBusy(_))));
        drop(places);
        drop(Turns::take(&turns, ada).await.ok().unwrap());
        assert!(turns.queues.lock().unwrap().is_empty());
    }

    #[actix_web::test]
    async fn streams_of_one_account_read_by_a_few_and_none_is_sent_away() {
        let turns = StreamTurns::default();
        let ada = "ada";
        let mut reading = Vec::new();
        for _ in 0..READ_AT_ONCE {
            reading.push(turns.take(ada).await.unwrap());
        }
        let mut waiting: Vec<_> = (0..1_000).map(|_| Box::pin(turns.take(ada))).collect();
        assert!(waiting.iter_mut().all(|turn| turn.now_or_never().is_none()));
        assert!(turns.take("bob").await.is_some());
        drop(reading);
        for turn in waiting {
            drop(turn.await.unwrap());
        }
        assert!(turns.0.queues.lock().unwrap().is_empty());
    }
}
