use async_trait::async_trait;

use super::StoreError;
use crate::ids::NoteId;
use crate::note::{Note, NoteCursor, NoteQuery};

/// Reading notes.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Notes: Send + Sync {
    /// Notes, newest first: at most `limit`, behind `after`.
    async fn page(
        &self,
        query: &NoteQuery,
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
    /// A note, which nobody else changes before this unit of work ends. It is on an account that the caller has locked or will not
    /// touch: notes are locked after accounts.
    async fn lock(&mut self, id: &NoteId) -> Result<Option<Note>, StoreError>;
    /// Flags a note or takes the flag away.
    async fn set_flag(&mut self, id: &NoteId, is_flagged: bool) -> Result<(), StoreError>;
}
