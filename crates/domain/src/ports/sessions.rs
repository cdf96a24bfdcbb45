use async_trait::async_trait;

use super::StoreError;
use crate::Timestamp;
use crate::ids::{SessionId, UserId};
use crate::password::PasswordHash;
use crate::session::{Generation, RevocationReason, Session, SessionPolicy, SessionSummary};
use crate::token::TokenDigest;
use crate::user::User;

/// Sessions, a statement at a time.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Begins `session`, in its first generation, of an active account whose hash still is `verified`, and which has no second factor
    /// unless the session has; `false` if any of that is no longer so.
    async fn begin(&self, session: &Session, verified: &PasswordHash) -> Result<bool, StoreError>;
    /// Whether the user of `session` has had sessions before, and none of them on its device (see [`crate::letter::device_of`]).
    async fn is_new_device(&self, session: &Session) -> Result<bool, StoreError>;
    /// A session and whose it is.
    async fn find(&self, user: &UserId, session: &SessionId) -> Result<Option<(Session, User)>, StoreError>;
    /// Steps a session from its generation to `next`, if nobody was faster and it is not revoked.
    async fn rotate(
        &self,
        session: &Session,
        next: Generation,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Ends a session and tells all replicas; `false` if there is none or it was ended before.
    async fn revoke(
        &self,
        user: &UserId,
        session: &SessionId,
        reason: RevocationReason,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Notes that the owner of a session has shown that it is them; the session, if it is not ended.
    async fn authenticated(
        &self,
        user: &UserId,
        session: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError>;
    /// Ends a user's live sessions but those `policy.most` that were used last, tells all replicas, and names those that were ended.
    async fn supersede(
        &self,
        user: &UserId,
        policy: &SessionPolicy,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError>;
    /// A user's live sessions, last used first: at most `limit`, behind `after`.
    async fn live(
        &self,
        user: &UserId,
        policy: &SessionPolicy,
        now: Timestamp,
        after: Option<(Timestamp, SessionId)>,
        limit: u32,
    ) -> Result<Vec<SessionSummary>, StoreError>;
    /// A user's sessions, ended ones too, those that began last first: at most `limit`, behind the one of that beginning and identifier.
    async fn begun(
        &self,
        user: &UserId,
        after: Option<(Timestamp, String)>,
        limit: u32,
    ) -> Result<Vec<SessionSummary>, StoreError>;
    /// Ends all sessions of a user but `keep`, tells all replicas, and names those that were ended.
    async fn revoke_others(
        &self,
        user: &UserId,
        keep: &SessionId,
        reason: RevocationReason,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError>;
}

/// Sessions inside a unit of work.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SessionRepository: Send {
    /// Begins a session.
    async fn add(&mut self, session: &Session) -> Result<(), StoreError>;
    /// Ends a session and tells all replicas on commit; `false` if there is none or it was ended before.
    async fn revoke(
        &mut self,
        user: &UserId,
        session: &SessionId,
        reason: RevocationReason,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// A session, which nobody changes before this unit of work ends.
    async fn hold(&mut self, user: &UserId, id: &SessionId) -> Result<Option<SessionSummary>, StoreError>;
    /// As [`Sessions::begin`].
    async fn begin(&mut self, session: &Session, verified: &PasswordHash) -> Result<bool, StoreError>;
    /// Notes that the owner of a session has an app with their new second factor; the session, if it is not ended. Its sign-in gets no
    /// fresher: a code of a secret that was just shown tells nothing of who has it.
    async fn raise(&mut self, user: &UserId, session: &SessionId) -> Result<Option<Session>, StoreError>;
    /// As [`Sessions::is_new_device`].
    async fn is_new_device(&mut self, session: &Session) -> Result<bool, StoreError>;
    /// Ends all sessions of a user but `keep`, tells all replicas on commit, and names those that were ended.
    async fn revoke_all<'a>(
        &mut self,
        user: &UserId,
        keep: Option<&'a SessionId>,
        reason: RevocationReason,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError>;
    /// Deletes all sessions of a user, and tells all replicas on commit that no token of theirs holds any more.
    async fn delete_all(&mut self, user: &UserId) -> Result<(), StoreError>;
}
