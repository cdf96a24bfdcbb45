//! A private PostgreSQL from the programs that are installed: durable for `cargo run`, throw-away for tests.
//!
//! [`Cluster::start`] makes a data folder where there is none, starts a server that listens on a unix socket only, or joins the
//! one that runs there already: processes share a cluster by file locks, and the last one to leave stops it. [`testing`] hands out
//! a database for each test on top of that.
//!
//! It never downloads or installs anything, never listens on a network address, never touches a server it did not start, and knows
//! nothing of migrations or of what the databases hold.

mod account;
mod binaries;
mod cluster;
mod error;
mod folders;
mod initdb;
mod postmaster;
mod process;
mod psql;
pub mod testing;
mod url;

pub use binaries::Binaries;
pub use cluster::{Cluster, Durability, Options, Stopped, is_running, stop};
pub use error::Error;
