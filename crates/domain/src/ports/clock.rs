use crate::Timestamp;
use crate::ids::{
    ActivityId, AuditId, BillingId, BridgeId, LetterId, NoteId, OneTimeTokenId, ReservationId, ServiceKeyId,
    SessionId, SyncEventId, TokenId, UsageId, UserId,
};

/// The time. Read once per use case and passed on as a value.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait Clock: Send + Sync {
    /// Now, in whole milliseconds: what the database's columns keep.
    fn now(&self) -> Timestamp;
}

/// Where identifiers and other chance comes from.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait IdGenerator: Send + Sync {
    /// For an account.
    fn user_id(&self) -> UserId;
    /// For a session.
    fn session_id(&self) -> SessionId;
    /// For an access token.
    fn token_id(&self) -> TokenId;
    /// For a row of the timeline.
    fn activity_id(&self) -> ActivityId;
    /// For a row of the audit trail.
    fn audit_id(&self) -> AuditId;
    /// For a row of usage.
    fn usage_id(&self) -> UsageId;
    /// For a hold on a user's budget.
    fn reservation_id(&self, user: &UserId) -> ReservationId;
    /// For a record of the ledger.
    fn billing_id(&self) -> BillingId;
    /// For a note on a user.
    fn note_id(&self) -> NoteId;
    /// For a bridge token.
    fn bridge_id(&self) -> BridgeId;
    /// For an event in a sync log.
    fn sync_event_id(&self) -> SyncEventId;
    /// For a letter.
    fn letter_id(&self) -> LetterId;
    /// For a token in a letter.
    fn one_time_token_id(&self) -> OneTimeTokenId;
    /// For a service key.
    fn service_key_id(&self) -> ServiceKeyId;
    /// Sixteen bytes from the system's generator, for a session or a token in a letter (ASVS 7.2.3).
    fn salt(&self) -> [u8; 16];
}
