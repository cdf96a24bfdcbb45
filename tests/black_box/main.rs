//! Subtle from outside: real servers, a real PostgreSQL, HTTP.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails in a helper fails the test")]

mod support;

mod access_tokens;
mod accounts;
mod activity;
mod admin;
mod audit;
mod authorization;
mod bench;
mod bridge;
mod deadlines;
mod delivery;
mod deploy;
mod deployment;
mod encryption;
mod faults;
mod input;
mod kills;
mod ledger;
mod letters;
mod limits;
mod metrics;
mod model;
mod notes;
mod overload;
mod prisma;
mod readme;
mod second_factor;
mod sessions;
mod sync;
mod timeline;
mod totals;
mod traces;
mod usage;
mod workspace;
