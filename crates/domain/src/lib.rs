//! What Subtle is about, without the machinery: entities, value types, rules and ports.
//!
//! Values are parsed once at the edge into types that cannot be wrong; rules are pure functions of an entity and the time they
//! are given; ports are the traits through which use cases reach storage, secrets and time. Nothing here does I/O, reads a
//! clock, draws a random number or knows a framework.
//!
//! In reading order: [`ids`], [`email`], [`password`], [`text`], [`decimal`] and [`money`] hold the values; [`user`],
//! [`session`], [`second_factor`], [`device`], [`bridge`], [`sync`], [`usage`], [`quota`], [`billing`], [`activity`], [`note`],
//! [`one_time`], [`letter`], [`audit`], [`seal`], [`timeline`], [`service_key`], [`idempotency`], [`throttle`] and [`import`] the entities and their rules; [`directory`] and [`inspection`] what administrators look at; [`encryption`] how values are kept that a dump must not tell; [`ports`] the ways out.

#![warn(missing_docs)]

pub mod activity;
pub mod audit;
pub mod billing;
pub mod bridge;
pub mod decimal;
pub mod device;
pub mod directory;
pub mod email;
pub mod encryption;
pub mod idempotency;
pub mod ids;
pub mod import;
pub mod inspection;
pub mod letter;
pub mod money;
pub mod note;
pub mod one_time;
pub mod password;
pub mod ports;
pub mod quota;
pub mod seal;
pub mod second_factor;
pub mod service_key;
pub mod session;
pub mod sync;
pub mod text;
pub mod throttle;
pub mod timeline;
pub mod token;
pub mod usage;
pub mod user;

/// A point in time, UTC. Stored with milliseconds; the clock port gives no more than that.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
