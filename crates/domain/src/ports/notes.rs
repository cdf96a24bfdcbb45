use async_trait::async_trait;

use super::StoreError;
use crate::ids::{NoteId, UserId};
use crate::note::{Note, NoteCursor};

/// Reading notes.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Notes: Send + Sync {
    /// Notes, newest first: on one user or on all, flagged or not or both; at most `limit` behind `after`.
    async fn page(
        &self,
        user: Option<UserId>,
        flagged: Option<bool>,
        after: Option<NoteCursor>,
        limit: u32,
    ) -> Result<Vec<Note>, StoreError>;
}

/// Notes inside a unit of work.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait NoteRepository: Send {
    /// Writes a note.
    async fn add(&mut self, note: &Note) -> Result<(), StoreError>;
    /// A note, which nobody else changes before this unit of work ends.
    async fn lock(&mut self, id: &NoteId) -> Result<Option<Note>, StoreError>;
    /// Flags a note or takes the flag away.
    async fn set_flag(&mut self, id: &NoteId, is_flagged: bool) -> Result<(), StoreError>;
}
