//! Each port on a real PostgreSQL: a mock agrees with wrong SQL.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod accounts;
mod activity;
mod audit;
mod directory;
mod faults;
mod limits;
mod migrations;
mod revocations;
mod sessions;
mod support;
mod timelines;
mod times;
mod unit_of_work;
mod users;
