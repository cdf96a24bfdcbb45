//! Counters, histograms of time, and the text that Prometheus reads.
//!
//! There is no registry and nothing global: whoever counts owns what they count with, and whoever is scraped writes it down, next to
//! what is read from others at that moment. Counting is an atomic addition or two, without a lock. No label is ever made from what a
//! client sent: that is for the caller to hold.
//!
//! In reading order: [`Counter`], [`Tally`], [`Histogram`], [`Exposition`].

#![warn(missing_docs)]

mod counter;
mod exposition;
mod histogram;
mod tally;

pub use counter::Counter;
pub use exposition::{Exposition, Family, Format, Value};
pub use histogram::Histogram;
pub use tally::Tally;
