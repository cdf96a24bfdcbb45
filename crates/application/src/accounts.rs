//! Accounts: how people come, what they do with their own account, and how they go.

mod change_password;
mod change_profile;
mod erase;
mod export;
mod register;
mod show;

pub use change_password::{ChangePassword, ChangePasswordError, change_password};
pub use change_profile::{ProfileError, change_profile};
pub use erase::{EraseError, erase_own_account};
pub use export::{ExportCursor, ExportPart, ExportRow, export_account, export_part};
pub use register::{Register, RegisterError, register};
pub use show::show_profile;

pub(crate) use erase::erase_within;
