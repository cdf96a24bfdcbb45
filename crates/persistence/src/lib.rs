//! The domain's ports on PostgreSQL: the only crate that knows SQL.
//!
//! It decides nothing. What the domain decides is written by compare-and-set or inside a unit of work, and how that went is told
//! by row counts. Times and identifiers come from the caller; nothing here reads a clock or draws a random number.
//!
//! In reading order: [`options`] says which database and with how much patience, [`pool`] hands out connections, `lease` and
//! `error` judge what goes wrong, `traces` tells how long it took, `unit_of_work` is the transaction, `scope` the role of one person,
//! `batcher` puts questions that arrive together into one statement, `prepared` keeps plans; `accounts`, `users`, `sessions`, `bridges`,
//! `sync`, `usage`,
//! `billing`, `service_keys`, `idempotency`, `one_time`, `outbox`, `timelines`, `notes`, `audit`, `audit_trail`, `throttle`, `health`, `inspection`,
//! `directory`, `activity`, `imports` and `revocations` implement the ports; `supabase` reads another service's accounts; `cleaner`
//! takes away what is long dead; `backlog` tells what waits to be done; `encryption` keeps some values encrypted; [`migrations`] brings a
//! database up to date; [`backup`] is what backups and restores need beside `pg_dump`. `schema` is generated.

mod error;
pub mod options;
pub mod pool;
mod prepared;
#[macro_use]
mod traces;
#[macro_use]
mod lease;
mod schema;
#[macro_use]
mod scope;
#[macro_use]
mod unit_of_work;

mod accounts;
mod activity;
mod audit;
mod audit_trail;
mod backlog;
pub mod backup;
mod batcher;
mod billing;
mod bridges;
mod cleaner;
mod directory;
mod encryption;
mod health;
mod idempotency;
mod imports;
mod inspection;
pub mod migrations;
mod notes;
mod one_time;
mod outbox;
mod refusal;
mod revocations;
mod second_factors;
mod service_keys;
mod sessions;
mod supabase;
mod sync;
mod throttle;
mod timelines;
mod usage;
mod user_row;
mod users;

pub use accounts::PgAccounts;
pub use activity::{ActivityWriter, PgActivityLog};
pub use audit::{AuditSealing, AuditVerdict, PgAuditSealer, PgAuditVerifier, SealingStatus, Unsealable};
pub use audit_trail::PgAuditTrail;
pub use backlog::{Backlog, PgBacklog};
pub use billing::PgBilling;
pub use bridges::PgBridges;
pub use cleaner::{Cleaning, PgCleaner};
pub use directory::PgDirectory;
pub use encryption::{KeyStanding, KeyUse, PgEncryption, Reencryption};
pub use health::PgHealth;
pub use imports::PgImports;
pub use inspection::PgInspection;
pub use notes::PgNotes;
pub use one_time::PgOneTimeRecords;
pub use options::{InvalidUrl, PoolOptions};
pub use outbox::PgOutbox;
pub use pool::{Database, PoolStatus, PoolWaits};
pub use revocations::{FeedStatus, RevocationFeed, RevocationList};
pub use second_factors::PgSecondFactors;
pub use service_keys::PgServiceKeys;
pub use sessions::PgSessions;
pub use supabase::{PgSupabase, SupabaseError};
pub use sync::{PgSyncEvents, Signals};
pub use throttle::PgThrottle;
pub use timelines::PgTimelines;
pub use unit_of_work::PgStore;
pub use usage::{PgUsageLog, PgUsageReports, UsageWriters, WrittenUsage};
