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
