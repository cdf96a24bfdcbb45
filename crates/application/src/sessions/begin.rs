use chrono::TimeDelta;
use subtle_domain::Timestamp;
use subtle_domain::ids::UserId;
use subtle_domain::second_factor::Assurance;
use subtle_domain::session::{ClientInfo, Generation, Session};
use subtle_domain::token::{AccessClaims, AccessToken, RefreshToken};
use subtle_domain::user::User;

use crate::Ports;
use crate::again::again;

/// Somebody who is signed in: what they get to stay so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Their account.
    pub user: User,
    /// The session.
    pub session: Session,
    /// Opens everything else, for a short time.
    pub access_token: AccessToken,
    /// For how long.
    pub expires_in: TimeDelta,
    /// Good for the next access token, once.
    pub refresh_token: RefreshToken,
}

/// A session that `user` may begin by their password alone, and its first refresh token. It is not stored yet.
pub(crate) fn new_session(
    ports: &Ports,
    user: &User,
    client: ClientInfo,
    now: Timestamp,
) -> (Session, RefreshToken) {
    let id = ports.ids.session_id();
    let salt = ports.ids.salt().to_vec();
    let token = ports.refresh_tokens.mint(&user.id, &id, Generation::FIRST, &salt);
    let session = Session {
        id,
        user_id: user.id.clone(),
        generation: Generation::FIRST,
        digest: ports.refresh_tokens.digest(&token),
        salt,
        created_at: now,
        authenticated_at: now,
        assurance: Assurance::Password,
        expires_at: now + ports.policy.sessions.absolute,
        last_used_at: now,
        revoked_at: None,
        client,
    };
    (session, token)
}

impl Ports {
    /// Ends what an account has more than it may have, now that a session has begun. That it can't be done is no reason to refuse
    /// the new one: the next sign-in tries again.
    pub(crate) async fn make_room(&self, user: &UserId, now: Timestamp) {
        match again(|| self.sessions.supersede(user, &self.policy.sessions, now)).await {
            Ok(ended) => self.learn_ended(ended, now),
            Err(error) => tracing::warn!(%error, "superseded sessions could not be ended"),
        }
    }
}

/// Signs an access token for a session, that does not outlive it.
pub(crate) fn signed_in(
    ports: &Ports,
    user: User,
    session: Session,
    refresh_token: RefreshToken,
    now: Timestamp,
) -> SignedIn {
    let Renewed { access_token, expires_in } = renewed(ports, &user, &session, now);
    SignedIn { user, session, access_token, expires_in, refresh_token }
}

/// An access token in place of an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// Opens everything else, for a short time.
    pub access_token: AccessToken,
    /// For how long.
    pub expires_in: TimeDelta,
}

pub(crate) fn renewed(ports: &Ports, user: &User, session: &Session, now: Timestamp) -> Renewed {
    let expires_at = session.expires_at.min(now + ports.policy.sessions.access_token);
    let access_token = ports.access_tokens.sign(&AccessClaims {
        user_id: user.id.clone(),
        session_id: session.id.clone(),
        role: user.role,
        token_id: ports.ids.token_id(),
        assurance: session.assurance,
        authenticated_at: session.authenticated_at,
        issued_at: now,
        expires_at,
    });
    Renewed { access_token, expires_in: expires_at - now }
}
