//! Quotas: how much may be used in a month, and holding an amount before it is.

mod release;
mod reserve;
mod settle;
mod show;

pub use release::{ReleaseError, release};
pub use reserve::{NewReservation, ReserveError, reserve};
pub use settle::{SettleError, Settled, settle};
pub use show::show_quota;

pub(crate) use show::{of_figures, of_user};
