use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::import::ImportedSession;
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::second_factor::Assurance;
use subtle_domain::session::{ClientInfo, Generation, Session};
use subtle_domain::token::RefreshToken;
use subtle_domain::user::User;

use super::refresh::{Presented, RefreshError, Refreshed, exchange};
use super::{new_session, signed_in};
use crate::again::{again, conclude};
use crate::{AccountLimit, Ports};

/// Swaps a refresh token that another service gave out for one of ours, once: with it, the session of then goes on as one of ours.
///
/// That session keeps its identifier, and begins in the first generation. So the token of then is the parent of its first one, and is
/// treated as any parent is: good for the same answer within the grace, and a sign of theft after it.
pub(super) async fn take_over(
    ports: &Ports,
    token: &str,
    client: &ClientInfo,
    now: Timestamp,
) -> Result<Refreshed, RefreshError> {
    let waiting = waiting(ports, token).await?.ok_or(RefreshError::Invalid)?;
    if waiting.taken_at.is_none() {
        ports
            .limits
            .admit_account(AccountLimit::Token, &waiting.user_id, now)
            .map_err(RefreshError::TooMany)?;
        match again(|| begin(ports, &waiting, client, now)).await? {
            Ok((user, session, token)) => {
                ports.make_room(&user.id, now).await;
                ports.record_why(&user.id, ActivityAction::SignIn, Some("imported_session"), client, now);
                return Ok(Refreshed::Rotated(signed_in(ports, user, session, token, now)));
            }
            Err(NotBegun::Refused) => {
                ports.record(&waiting.user_id, ActivityAction::RefreshRefused, client, now);
                return Err(RefreshError::Invalid);
            }
            Err(NotBegun::Taken) => {}
        }
    }
    let ImportedSession { user_id, id: session_id, .. } = waiting;
    let presented = Presented { user_id, session_id, generation: Generation::BEFORE_FIRST, unchecked: None };
    exchange(ports, &presented, client, now).await
}

/// The session that waits for a token that another service gave out, or was taken over with it.
pub(super) async fn waiting(ports: &Ports, token: &str) -> Result<Option<ImportedSession>, StoreError> {
    let digests = ports.imported_tokens.digests(token);
    if digests.is_empty() { Ok(None) } else { ports.imports.session(&digests).await }
}

type Begun = (User, Session, RefreshToken);

/// Why a session does not begin.
enum NotBegun {
    /// Somebody else has taken it over.
    Taken,
    /// The account or the time does not allow it.
    Refused,
}

async fn begin(
    ports: &Ports,
    waiting: &ImportedSession,
    client: &ClientInfo,
    now: Timestamp,
) -> Result<Result<Begun, NotBegun>, StoreError> {
    let mut unit = ports.store.begin().await?;
    let begun = begin_within(ports, unit.as_mut(), waiting, client, now).await?;
    conclude(unit, begun).await
}

async fn begin_within(
    ports: &Ports,
    unit: &mut dyn UnitOfWork,
    waiting: &ImportedSession,
    client: &ClientInfo,
    now: Timestamp,
) -> Result<Result<Begun, NotBegun>, StoreError> {
    let user = unit.users().lock(&waiting.user_id).await?;
    let Some(user) = user.filter(|user| may_go_on(ports, user, waiting, now)) else {
        return Ok(Err(NotBegun::Refused));
    };
    if !unit.imports().take(waiting, now).await? {
        return Ok(Err(NotBegun::Taken));
    }
    let (session, token) = session_of(ports, waiting, &user, client, now);
    unit.sessions().add(&session).await?;
    Ok(Ok((user, session, token)))
}

fn may_go_on(ports: &Ports, user: &User, waiting: &ImportedSession, now: Timestamp) -> bool {
    let verified = user.email_verified || !ports.policy.require_verified_email;
    let enough = user.second_factor_at.is_none() || waiting.assurance == Assurance::SecondFactor;
    user.is_active() && verified && enough && now < waiting.expires_at
}

/// As old a sign-in as it was, and no surer.
fn session_of(
    ports: &Ports,
    waiting: &ImportedSession,
    user: &User,
    client: &ClientInfo,
    now: Timestamp,
) -> (Session, RefreshToken) {
    let (session, _of_another_id) = new_session(ports, user, client.clone(), now);
    let token = ports.refresh_tokens.mint(&user.id, &waiting.id, session.generation, &session.salt);
    let session = Session {
        id: waiting.id.clone(),
        digest: ports.refresh_tokens.digest(&token),
        authenticated_at: waiting.created_at,
        assurance: waiting.assurance,
        expires_at: waiting.end(&ports.policy.sessions, now),
        ..session
    };
    (session, token)
}

#[cfg(test)]
mod tests;
