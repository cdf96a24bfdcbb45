//! What is measured, a file each.

pub(crate) mod admin;
pub(crate) mod live;
pub(crate) mod login;
pub(crate) mod me;
pub(crate) mod memory;
pub(crate) mod refresh;
pub(crate) mod start;
pub(crate) mod storm;
pub(crate) mod usage;
pub(crate) mod usage_batch;
