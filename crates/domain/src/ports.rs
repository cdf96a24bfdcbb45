//! The ways out: traits through which use cases reach storage, secrets and time.
//!
//! All are object-safe and injected as `Arc<dyn …>`. Those of [`store`] that take `&mut self` live inside a unit of work; those
//! that take `&self` stand for one statement each, which commits by itself.

mod clock;
mod directory;
mod health;
mod limits;
#[cfg(feature = "mocks")]
mod mocks;
mod passwords;
mod records;
mod revocations;
mod sessions;
mod store;
mod tokens;
mod users;

pub use clock::{Clock, IdGenerator};
pub use directory::Directory;
pub use health::Health;
pub use limits::GuessLimiter;
pub use passwords::{HasherBusy, PasswordHasher};
pub use records::{ActivityLog, AuditLog, Timelines};
pub use revocations::{Revocation, Revocations};
pub use sessions::{SessionRepository, Sessions};
pub use store::{Store, StoreError, UnitOfWork};
pub use tokens::{AccessTokens, RefreshTokens, SigningKey};
pub use users::{Accounts, Credentials, NewUser, UserRepository};

#[cfg(feature = "mocks")]
pub use {
    clock::{MockClock, MockIdGenerator},
    directory::MockDirectory,
    health::MockHealth,
    limits::MockGuessLimiter,
    mocks::MockUnit,
    passwords::MockPasswordHasher,
    records::{MockActivityLog, MockAuditLog, MockTimelines},
    revocations::MockRevocations,
    sessions::{MockSessionRepository, MockSessions},
    store::MockStore,
    tokens::{MockAccessTokens, MockRefreshTokens},
    users::{MockAccounts, MockUserRepository},
};
