//! The second factor: how it begins and ends, and what its codes open.

mod confirm;
mod enrol;
mod recovery_codes;
mod remove;
mod show;
mod spend;

pub use confirm::{ConfirmError, Confirmed, confirm_second_factor};
pub use enrol::{EnrolError, enrol_second_factor};
pub use recovery_codes::replace_recovery_codes;
pub use remove::{NoSecondFactor, remove_second_factor};
pub use show::{SecondFactorStatus, show_second_factor};
pub use spend::CodeRefused;

pub(crate) use remove::remove_within;
