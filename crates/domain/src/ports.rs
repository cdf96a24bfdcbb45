//! The ways out: traits through which use cases reach storage, secrets and time.
//!
//! All are object-safe and injected as `Arc<dyn …>`. Those of [`store`] that take `&mut self` live inside a unit of work; those
//! that take `&self` stand for one statement each, which commits by itself.

mod billing;
mod bridges;
mod clock;
mod directory;
mod encryption;
mod health;
mod idempotency;
mod imports;
mod mail;
#[cfg(feature = "mocks")]
mod mocks;
mod notes;
mod one_time;
mod passwords;
mod records;
mod revocations;
mod second_factor;
mod service_keys;
mod sessions;
mod store;
mod sync;
mod throttle;
mod tokens;
mod usage;
mod users;

pub use billing::{Billing, BillingRepository};
pub use bridges::{BridgeRepository, BridgeTokens, Bridges};
pub use clock::{Clock, IdGenerator};
pub use directory::Directory;
pub use encryption::FieldCipher;
pub use health::{Health, Inspection};
pub use idempotency::IdempotencyKeys;
pub use imports::{AlreadyThere, ImportRepository, ImportSource, ImportedTokens, Imports, NewImport};
pub use mail::{Mailer, NotSent, Outbox, OutboxRepository, TakenLetter};
pub use notes::{NoteRepository, Notes};
pub use one_time::{OneTimeRecords, OneTimeRepository, OneTimeTokens};
pub use passwords::{HasherBusy, PasswordHasher};
pub use records::{ActivityLog, ActivityRepository, AuditLog, AuditProof, AuditTrail, Timelines};
pub use revocations::{Revocation, Revocations};
pub use second_factor::{
    Authenticators, Challenges, Enrolment, RightCode, SecondFactorRepository, SecondFactors,
};
pub use service_keys::{ServiceKeyRepository, ServiceKeySecrets, ServiceKeys};
pub use sessions::{SessionRepository, Sessions};
pub use store::{Store, StoreError, UnitOfWork};
pub use sync::{SyncEvents, SyncRepository, SyncSignal, SyncSignals};
pub use throttle::{Throttle, ThrottleRepository};
pub use tokens::{AccessTokens, RefreshTokens, SigningKey};
pub use usage::{NotRecorded, UsageLog, UsageReports, UsageRepository};
pub use users::{Accounts, Credentials, NewUser, UserRepository};

#[cfg(feature = "mocks")]
pub use {
    billing::{MockBilling, MockBillingRepository},
    bridges::{MockBridgeRepository, MockBridgeTokens, MockBridges},
    clock::{MockClock, MockIdGenerator},
    directory::MockDirectory,
    health::{MockHealth, MockInspection},
    idempotency::MockIdempotencyKeys,
    imports::{MockImportRepository, MockImportSource, MockImportedTokens, MockImports},
    mail::{MockMailer, MockOutbox, MockOutboxRepository},
    mocks::MockUnit,
    notes::{MockNoteRepository, MockNotes},
    one_time::{MockOneTimeRecords, MockOneTimeRepository, MockOneTimeTokens},
    passwords::MockPasswordHasher,
    records::{
        MockActivityLog, MockActivityRepository, MockAuditLog, MockAuditProof, MockAuditTrail, MockTimelines,
    },
    revocations::MockRevocations,
    second_factor::{MockAuthenticators, MockChallenges, MockSecondFactorRepository, MockSecondFactors},
    service_keys::{MockServiceKeyRepository, MockServiceKeySecrets, MockServiceKeys},
    sessions::{MockSessionRepository, MockSessions},
    store::MockStore,
    sync::{MockSyncEvents, MockSyncRepository, MockSyncSignal, MockSyncSignals},
    throttle::{MockThrottle, MockThrottleRepository},
    tokens::{MockAccessTokens, MockRefreshTokens},
    usage::{MockUsageLog, MockUsageReports, MockUsageRepository},
    users::{MockAccounts, MockUserRepository},
};
