//! Notes that support writes on users. The users themselves never see them.

use crate::Timestamp;
use crate::ids::{NoteId, UserId};
use crate::text::NoteText;

/// A note on a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its identifier.
    pub id: NoteId,
    /// On whom.
    pub user_id: UserId,
    /// By whom.
    pub author: UserId,
    /// What it says.
    pub text: NoteText,
    /// Whether somebody should look at it.
    pub is_flagged: bool,
    /// When it was written.
    pub created_at: Timestamp,
}

/// A place in a list of notes: behind the note of that time and identifier.
pub type NoteCursor = (Timestamp, String);

/// Which notes are wanted: those that fit all that is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoteQuery {
    /// On this user.
    pub user_id: Option<UserId>,
    /// Flagged, or not.
    pub flagged: Option<bool>,
}
