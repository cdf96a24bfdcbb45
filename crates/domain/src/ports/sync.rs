use async_trait::async_trait;

use super::StoreError;
use crate::ids::{SessionId, SyncEventId, UserId};
use crate::sync::{Place, PlacedEvent, SyncEvent};

/// Reading in a person's sync log.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SyncEvents: Send + Sync {
    /// Events behind a place, in their order: at most `limit`.
    async fn after(&self, user: &UserId, place: Place, limit: u32) -> Result<Vec<PlacedEvent>, StoreError>;
    /// Events without a place, which other programs wrote, in the order of their identifiers: at most `limit`, behind that one. They are
    /// no part of the feed.
    async fn unplaced(
        &self,
        user: &UserId,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<SyncEvent>, StoreError>;
    /// The place of the last event; [`Place::START`] if there is none.
    async fn last(&self, user: &UserId) -> Result<Place, StoreError>;
}

/// Sync logs inside a unit of work.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SyncRepository: Send {
    /// Gives an event the next place, and tells those who follow the log on commit. Until then others who append for the same person
    /// wait, so that events are committed in the order of their places.
    async fn append(&mut self, event: &SyncEvent) -> Result<PlacedEvent, StoreError>;
    /// An event of a user's.
    async fn find(&mut self, user: &UserId, id: &SyncEventId) -> Result<Option<PlacedEvent>, StoreError>;
}

/// Wakes those who follow a sync log, on whichever replica an event was written.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait SyncSignals: Send + Sync {
    /// Begins to listen for a user, in one of their sessions.
    fn listen(&self, user: &UserId, session: &SessionId) -> Box<dyn SyncSignal>;
}

/// What one follower hears. It ends when it is dropped.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SyncSignal: Send {
    /// Waits until there may be new events, or the session may be over. What happened since the last time, or the beginning, ends
    /// the wait at once; nothing is lost when the future is dropped.
    async fn heard(&mut self);
}
