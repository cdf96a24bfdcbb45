//! Taking over the accounts of another service.

mod report;
mod run;

pub use report::{ImportReport, Tally};
pub use run::{ImportError, Mode, import_accounts};
