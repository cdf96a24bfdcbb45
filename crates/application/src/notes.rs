//! Notes that support writes on users, who never see them.

mod flag;
mod list;
mod write;

pub use flag::{FlagNoteError, flag_note};
pub use list::{NotePage, list_notes, list_user_notes};
pub use write::{NewNote, WriteNoteError, write_note};
