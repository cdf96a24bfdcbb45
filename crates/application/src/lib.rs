//! What Subtle does for people: its use cases, one file each, over the ports of the domain.
//!
//! A use case is a function that takes the [`Ports`] and a command, reads the time once, lets the domain decide, and makes it so.
//! Nothing here knows HTTP, SQL or a framework.
//!
//! In reading order: [`ports`], then [`sessions`] (sign-in, rotation, sign-out), [`accounts`] (sign-up and what people do with
//! their own account), [`second_factor`] (what a password alone
//! does not open), [`bridge`] and [`sync`] (what their apps hand each other), [`mail`] (the letters to them), [`activity`] (their
//! timeline), [`service_keys`], [`usage`], [`quotas`] and [`billing`] (what an AI backend
//! does), [`notes`] and [`admin`] (what support and administrators do with others'), [`import`] (the accounts of another service).

#![warn(missing_docs)]

pub mod accounts;
pub mod activity;
mod actor;
pub mod admin;
mod again;
pub mod billing;
pub mod bridge;
mod idempotent;
pub mod import;
mod limits;
pub mod mail;
pub mod notes;
mod page;
pub mod ports;
pub mod quotas;
pub mod second_factor;
pub mod service_keys;
pub mod sessions;
pub mod sync;
#[cfg(test)]
mod test_ports;
mod throttle;
mod timeline;
pub mod usage;

pub use idempotent::KeyTaken;
pub use limits::{AccountLimit, AddressLimit, LimitRates, Limits, OpenStream, Streams, TooManyStreams};
pub use page::Page;
pub use ports::{Policy, Ports};
