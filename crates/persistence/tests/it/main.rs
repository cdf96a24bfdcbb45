//! Each port on a real PostgreSQL: a mock agrees with wrong SQL.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod accounts;
mod activity;
mod adoption;
mod audit;
mod backlog;
mod billing;
mod bridges;
mod cleaner;
mod directory;
mod encryption;
mod faults;
mod idempotency;
mod imports;
mod inspection;
mod migrations;
mod notes;
mod one_time;
mod outbox;
mod plans;
mod revocations;
mod roles;
mod second_factors;
mod service_keys;
mod sessions;
mod supabase;
mod support;
mod sync;
mod throttle;
mod timelines;
mod times;
mod unit_of_work;
mod usage;
mod users;
