use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::ports::{Revocation, StoreError};
use subtle_domain::second_factor::Assurance;
use subtle_domain::session::{ClientInfo, Generation, RefreshDecision, RevocationReason, Session};
use subtle_domain::throttle::RetryAfter;
use subtle_domain::token::{PresentedRefreshToken, RefreshToken};
use subtle_domain::user::User;

use super::take_over::take_over;
use super::{SignedIn, signed_in};
use crate::{AccountLimit, Ports};

/// What became of a refresh token that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// It was spent for its successor.
    Rotated(SignedIn),
    /// It was spent a moment ago, by a parallel caller or with a lost answer: the same successor again.
    Repeated(SignedIn),
}

impl Refreshed {
    /// What the caller gets, either way.
    #[must_use]
    pub fn into_signed_in(self) -> SignedIn {
        match self {
            Self::Rotated(signed_in) | Self::Repeated(signed_in) => signed_in,
        }
    }
}

/// Why a refresh token is good for nothing. Whoever presents it learns no more than that.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Not one of ours, or its session is over.
    #[error("the refresh token is not valid")]
    Invalid,
    /// It was spent before. Its session has been ended, for somebody has a copy (RFC 9700, 4.14.2).
    #[error("the refresh token was used before; its session was ended")]
    Reused,
    /// The account's tokens are exchanged too often.
    #[error("too many refreshes of this account")]
    TooMany(RetryAfter),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Exchanges a refresh token for its successor and an access token. One that another service gave out, and that came along with an
/// imported account, is exchanged for the first of a session of ours.
///
/// However many present the same token at once, the session steps forward once and all get the same successor.
pub async fn refresh(ports: &Ports, token: &str, client: &ClientInfo) -> Result<Refreshed, RefreshError> {
    let now = ports.clock.now();
    match ports.refresh_tokens.open(token) {
        Some(presented) => exchange(ports, &presented.into(), client, now).await,
        None => take_over(ports, token, client, now).await,
    }
}

/// A refresh token that is presented.
pub(super) struct Presented {
    pub(super) user_id: UserId,
    pub(super) session_id: SessionId,
    pub(super) generation: Generation,
    /// What it says of itself and is to be checked; nothing where it was found by its digest.
    pub(super) unchecked: Option<PresentedRefreshToken>,
}

impl From<PresentedRefreshToken> for Presented {
    fn from(token: PresentedRefreshToken) -> Self {
        let (user_id, session_id) = (token.user_id.clone(), token.session_id.clone());
        Self { user_id, session_id, generation: token.generation, unchecked: Some(token) }
    }
}

pub(super) async fn exchange(
    ports: &Ports,
    presented: &Presented,
    client: &ClientInfo,
    now: Timestamp,
) -> Result<Refreshed, RefreshError> {
    let mut counted = false;
    loop {
        let found = ports.sessions.find(&presented.user_id, &presented.session_id).await?;
        let (session, user) = found.ok_or(RefreshError::Invalid)?;
        let is_ours = |token| ports.refresh_tokens.is_authentic(token, &session.salt);
        if !presented.unchecked.as_ref().is_none_or(is_ours) {
            return Err(RefreshError::Invalid);
        }
        // Counted once the token is known to be ours: a forged one can't use up somebody's share.
        if !std::mem::replace(&mut counted, true) {
            ports.limits.admit_account(AccountLimit::Token, &user.id, now).map_err(RefreshError::TooMany)?;
        }
        let unverified = ports.policy.require_verified_email && !user.email_verified;
        // A server of an older version may have begun it without the code that is asked for.
        let too_little = user.second_factor_at.is_some() && session.assurance == Assurance::Password;
        if !user.is_active() || unverified || too_little {
            return refuse(ports, &user, client, now);
        }
        match session.decide_refresh(presented.generation, &ports.policy.sessions, now) {
            RefreshDecision::Rotate(next) => {
                let successor = ports.refresh_tokens.mint(&user.id, &session.id, next, &session.salt);
                let digest = ports.refresh_tokens.digest(&successor);
                if ports.sessions.rotate(&session, next, &digest, now).await? {
                    let rotated = Session { generation: next, digest, last_used_at: now, ..session };
                    return Ok(Refreshed::Rotated(signed_in(ports, user, rotated, successor, now)));
                }
                // Somebody was faster: read and decide again. Each turn means that the session moved on, so this ends.
            }
            RefreshDecision::Repeat(_) => {
                let successor = current_token(ports, &session).ok_or(RefreshError::Invalid)?;
                return Ok(Refreshed::Repeated(signed_in(ports, user, session, successor, now)));
            }
            RefreshDecision::Reuse => return end_family(ports, &session, client, now).await,
            RefreshDecision::Refuse => return refuse(ports, &user, client, now),
        }
    }
}

fn current_token(ports: &Ports, session: &Session) -> Option<RefreshToken> {
    let Session { user_id, id, generation, salt, digest, .. } = session;
    ports.refresh_tokens.mint_again(user_id, id, *generation, salt, digest)
}

/// The revocation is a statement of its own: it stays, though the caller gets an error.
async fn end_family(
    ports: &Ports,
    session: &Session,
    client: &ClientInfo,
    now: Timestamp,
) -> Result<Refreshed, RefreshError> {
    ports.sessions.revoke(&session.user_id, &session.id, RevocationReason::Reuse, now).await?;
    ports.revocations.learn(&[Revocation::Session(session.id.clone())], now);
    ports.record(&session.user_id, ActivityAction::RefreshReused, client, now);
    tracing::warn!(user = %session.user_id, session = %session.id, "a spent refresh token was presented; its session is ended");
    Err(RefreshError::Reused)
}

fn refuse(
    ports: &Ports,
    user: &User,
    client: &ClientInfo,
    now: Timestamp,
) -> Result<Refreshed, RefreshError> {
    ports.record(&user.id, ActivityAction::RefreshRefused, client, now);
    Err(RefreshError::Invalid)
}

#[cfg(test)]
mod tests;
