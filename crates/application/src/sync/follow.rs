use std::sync::Arc;

use chrono::TimeDelta;
use subtle_domain::ids::UserId;
use subtle_domain::ports::{StoreError, SyncSignal};
use subtle_domain::sync::{Place, PlacedEvent};

use crate::sessions::Caller;
use crate::{OpenStream, Ports, TooManyStreams};

/// Most events that are read at once.
const MOST: u32 = 16;
/// How much of what was read is kept for who has not taken it, in bytes of data. One event is kept however large it is.
const KEPT: usize = 16_384;

/// Somebody who follows their sync log. What they are told comes from the log alone, by its places: a signal only says that it is
/// worth a look, so one that is lost or comes twice does no harm.
pub struct Follower {
    ports: Arc<Ports>,
    caller: Caller,
    place: Place,
    /// How many events to read next: few where they are large.
    reach: u32,
    signal: Box<dyn SyncSignal>,
    _counted: OpenStream,
}

/// Why nobody follows.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The account has as many streams open at this server as it may have.
    #[error(transparent)]
    TooMany(#[from] TooManyStreams),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Follows the caller's sync log from behind a place; without one, or with one that the log has not reached, from its end.
pub async fn follow_events(
    ports: Arc<Ports>,
    caller: Caller,
    after: Option<Place>,
) -> Result<Follower, FollowError> {
    let counted = ports.streams.open(&caller.user_id)?;
    // Before the log is read: what comes in between is heard or read, or both.
    let signal = ports.sync_signals.listen(&caller.user_id, &caller.session_id);
    let last = ports.sync_events.last(&caller.user_id).await?;
    let place = after.map_or(last, |after| after.min(last));
    Ok(Follower { ports, caller, place, reach: MOST, signal, _counted: counted })
}

impl Follower {
    /// How far they are.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Whose log it is.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.caller.user_id
    }

    /// For how long they may go on, as far as is known now; not at all once their session is over or their access token has expired.
    #[must_use]
    pub fn time_left(&self) -> TimeDelta {
        self.caller.time_left(&self.ports)
    }

    /// Reads the events that come next, if there are any yet, for [`Follower::pass`] to go on behind them.
    ///
    /// As many as [`Follower::pass`] will keep, as far as can be told. The future is its own: run to its end, even if nobody wants the
    /// events any more, it gives its connection back. One that is dropped costs the connection, and many clients may go away at once.
    pub fn read(&self) -> impl Future<Output = Result<Vec<PlacedEvent>, StoreError>> + Send + 'static {
        let (ports, user) = (Arc::clone(&self.ports), self.caller.user_id.clone());
        let (place, reach) = (self.place, self.reach);
        async move { ports.sync_events.after(&user, place, reach).await }
    }

    /// Goes on behind the first of the events that were read, as many as may wait to be taken, and gives those: with many slow
    /// readers and large events the others would cost more memory than another look costs time.
    pub fn pass(&mut self, mut events: Vec<PlacedEvent>) -> Vec<PlacedEvent> {
        let mut bytes = 0;
        let fits = |placed: &PlacedEvent| {
            bytes += placed.event.data.as_ref().map_or(0, String::len);
            bytes <= KEPT
        };
        let fitting = events.iter().map(fits).take_while(|fits| *fits).count().max(1);
        self.reach = if fitting < events.len() {
            u32::try_from(fitting).unwrap_or(MOST)
        } else {
            self.reach.saturating_mul(2).min(MOST)
        };
        events.truncate(fitting);
        self.place = events.last().map_or(self.place, |last| last.place);
        events
    }

    /// Waits until there may be more to read, or they may go on no longer. Nothing is lost when the future is dropped.
    pub async fn heard(&mut self) {
        self.signal.heard().await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tell::tests::placed;
    use super::*;
    use crate::Streams;
    use crate::test_ports::{self, NOW, caller};
    use subtle_domain::ports::MockSyncSignal;

    fn mocks(last: i64) -> test_ports::Mocks {
        let mut mocks = test_ports::Mocks::default();
        mocks
            .sync_signals
            .expect_listen()
            .withf(|user, session| user.as_str() == "ada" && session.as_str() == "s1")
            .returning(|_, _| {
                let mut signal = MockSyncSignal::new();
                signal.expect_heard().return_const(());
                Box::new(signal)
            });
        mocks.sync_events.expect_last().returning(move |_| Ok(Place::new(last)));
        mocks
    }

    async fn follow(mocks: test_ports::Mocks, after: Option<i64>) -> Follower {
        follow_events(Arc::new(mocks.ports()), caller(), after.map(Place::new)).await.unwrap()
    }

    #[tokio::test]
    async fn it_begins_behind_the_place_that_is_named_or_at_the_end() {
        for (after, place) in [(None, 7), (Some(3), 3), (Some(0), 0), (Some(7), 7), (Some(99), 7)] {
            assert_eq!(follow(mocks(7), after).await.place(), Place::new(place), "{after:?}");
        }
    }

    #[tokio::test]
    async fn each_read_goes_on_where_the_last_one_ended() {
        let mut mocks = mocks(7);
        mocks
            .sync_events
            .expect_after()
            .returning(|_, place, _| Ok((place.number() + 1..=9).take(2).map(placed).collect()));
        let mut follower = follow(mocks, Some(5)).await;
        follower.heard().await;
        for expected in [&[6, 7][..], &[8, 9], &[], &[]] {
            let events = follower.read().await.unwrap();
            let places: Vec<_> = events.iter().map(|event| event.place.number()).collect();
            assert_eq!(places, expected);
            assert_eq!(follower.pass(events.clone()), events);
        }
        assert_eq!(follower.place(), Place::new(9));
    }

    #[tokio::test]
    async fn of_large_events_few_wait_to_be_taken() {
        let large = |number, bytes| {
            let mut event = placed(number);
            event.event.data = Some("x".repeat(bytes));
            event
        };
        let mut follower = follow(mocks(7), Some(0)).await;
        let kept = follower.pass(vec![large(1, 60_000), large(2, 1)]);
        assert_eq!((kept.len(), follower.place(), follower.reach), (1, Place::new(1), 1));
        let kept = follower.pass(vec![large(2, KEPT - 1), large(3, 1), large(4, 1)]);
        assert_eq!((kept.len(), follower.place()), (2, Place::new(3)));
        assert_eq!((follower.pass(Vec::new()), follower.place()), (Vec::new(), Place::new(3)));
        for reach in [4, 8, 16, 16] {
            assert_eq!(follower.reach, reach);
            follower.pass(vec![large(4, 1)]);
        }
    }

    #[tokio::test]
    async fn one_too_many_is_refused_until_another_ends() {
        let ports = Arc::new(test_ports::Mocks { streams: Streams::new(1), ..mocks(0) }.ports());
        let first = follow_events(Arc::clone(&ports), caller(), None).await.unwrap();
        let refused = follow_events(Arc::clone(&ports), caller(), None).await;
        assert!(matches!(refused, Err(FollowError::TooMany(TooManyStreams))));
        drop(first);
        assert!(follow_events(ports, caller(), None).await.is_ok());
    }

    #[tokio::test]
    async fn it_ends_with_the_token_and_at_once_with_the_session() {
        let until = caller().until;
        for (revoked, left) in [(false, until - NOW), (true, TimeDelta::zero())] {
            let mut mocks = mocks(0);
            mocks.revocations.expect_covers().return_const(revoked);
            assert_eq!(follow(mocks, None).await.time_left(), left);
        }
    }
}
