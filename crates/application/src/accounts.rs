//! Accounts: how people come, what they do with their own account, and how they go.

mod change_email;
mod change_password;
mod change_profile;
mod erase;
mod export;
mod register;
mod reset_password;
mod show;
mod verify_email;

pub use change_email::{AskEmailChange, AskEmailChangeError, ask_email_change};
pub use change_password::{ChangePassword, change_password};
pub use change_profile::{ProfileError, change_profile};
pub use erase::{EraseError, erase_own_account};
pub use export::{ExportCursor, ExportError, ExportPart, ExportRow, export_account, export_part};
pub use register::{Register, RegisterError, register};
pub use reset_password::{ResetPassword, ResetPasswordError, reset_password};
pub use show::show_profile;
pub use verify_email::{VerifyEmailError, verify_email};

pub(crate) use erase::erase_within;
