use crate::Timestamp;
use crate::ids::{SessionId, UserId};

/// What access tokens are refused from now on, until the last of them has expired.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Revocation {
    /// Those of a session.
    Session(SessionId),
    /// All of an account, for ever: the person is erased.
    User(UserId),
}

/// What was revoked lately, on this replica or another; asked on each request, so it is held in memory.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait Revocations: Send + Sync {
    /// Whether the tokens of a user's session are refused.
    fn covers(&self, user: &UserId, session: &SessionId) -> bool;
    /// Refuses more, here and at once. Other replicas are told by the commit that caused it.
    fn learn(&self, revocations: &[Revocation], now: Timestamp);
}
