//! Usage: recording what an AI backend tells, and showing it.

mod record;
mod show;

pub use record::{NewUsageEvent, record_usage};
pub use show::{UsagePage, UsageSummary, list_usage, summarize_usage};

pub(crate) use show::{page, summary};
