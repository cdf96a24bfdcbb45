//! The launcher against the PostgreSQL that is installed: folders of their own, real processes, real signals.

#![expect(clippy::unwrap_used, reason = "clippy allows it in tests, but not in what they share")]

mod accounts;
mod failures;
mod helper;
mod lifecycle;
mod scratch;
mod sharing;
mod test_databases;
