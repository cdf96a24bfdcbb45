use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::bridge::{Bridge, BridgeRefusal};
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::second_factor::Assurance;
use subtle_domain::session::{ClientInfo, Session, SessionSummary};
use subtle_domain::sync::{EventName, SyncEvent};
use subtle_domain::text::ErrorMessage;
use subtle_domain::user::User;

use crate::Ports;
use crate::again::again;
use crate::sessions::{SignedIn, new_session, signed_in};

/// A bridge token that somebody presents.
#[derive(Clone)]
pub struct RedeemBridge {
    /// The token.
    pub token: String,
    /// What stands behind its challenge, if it has one.
    pub verifier: Option<String>,
    /// Who asks.
    pub client: ClientInfo,
}

/// A session that was begun with a bridge token, and what was handed over with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOver {
    /// The session.
    pub signed_in: SignedIn,
    /// A JSON document, if there is one.
    pub data: Option<String>,
}

/// Why a bridge token is good for nothing. Whoever presents it learns no more than that.
#[derive(Debug, thiserror::Error)]
pub enum RedeemBridgeError {
    /// Not one of ours, or one that may not be redeemed.
    #[error("the bridge token is not valid")]
    Invalid,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Begins a session with a bridge token. However many present the same token at once, one of them gets a session. Each attempt with a
/// token that once was made leaves an event in its owner's sync log, which commits with the session.
pub async fn redeem_bridge(ports: &Ports, command: RedeemBridge) -> Result<HandedOver, RedeemBridgeError> {
    let now = ports.clock.now();
    let presented = ports.bridge_tokens.open(&command.token).ok_or(RedeemBridgeError::Invalid)?;
    let bridge = ports.bridges.find(&presented.user_id, &presented.digest).await?;
    let bridge = bridge.ok_or(RedeemBridgeError::Invalid)?;
    let shown = match &command.verifier {
        None => Ok(None),
        Some(text) => ports.bridge_tokens.challenge(text).map(Some).ok_or(BridgeRefusal::WrongVerifier),
    };
    // What is no verifier is wrong whatever the token is bound to; that it was used or is too old comes first.
    let decided = bridge
        .decide_redemption(shown.as_ref().ok().and_then(Option::as_ref), now)
        .and_then(|()| shown.as_ref().map(drop).map_err(|refusal| *refusal));
    let redeemed = again(|| attempt(ports, &bridge, decided, &command.client, now)).await?;
    let (user, session, token) = redeemed.ok_or(RedeemBridgeError::Invalid)?;
    ports.make_room(&user.id, now).await;
    ports.record(&user.id, ActivityAction::SignIn, &command.client, now);
    Ok(HandedOver { signed_in: signed_in(ports, user, session, token, now), data: bridge.data })
}

type Begun = (User, Session, subtle_domain::token::RefreshToken);

async fn attempt(
    ports: &Ports,
    bridge: &Bridge,
    decided: Result<(), BridgeRefusal>,
    client: &ClientInfo,
    now: Timestamp,
) -> Result<Option<Begun>, StoreError> {
    let mut unit = ports.store.begin().await?;
    let user = unit.users().lock(&bridge.user_id).await?;
    // Of a person who is gone nothing is kept any more.
    let Some(user) = user.filter(|user| !user.is_erased()) else {
        return unit.rollback().await.map(|()| None);
    };
    let outcome = match decided {
        Ok(()) => spend(ports, bridge, &user, unit.as_mut(), now).await?,
        Err(refusal) => Err(refusal),
    };
    let told = told(ports, bridge, outcome.as_ref().err().copied(), client, now);
    let begun = match outcome {
        Ok(from) => {
            let (session, token) = new_session(ports, &user, client.clone(), now);
            let SessionSummary { authenticated_at, assurance, .. } = from;
            let expires_at = authenticated_at + ports.policy.sessions.absolute;
            let session = Session { authenticated_at, assurance, expires_at, ..session };
            if unit.sessions().is_new_device(&session).await? {
                ports.tell_of_device(unit.as_mut(), &user, &session, now).await?;
            }
            unit.sessions().add(&session).await?;
            Some((user, session, token))
        }
        Err(_) => None,
    };
    unit.sync().append(&told).await?;
    unit.commit().await.map(|()| begun)
}

/// Redeems the token, unless meanwhile somebody did or something that it depends on has ended. Gives the session that it comes from: a
/// handed over sign-in is as old as that one, ends no later for being handed over, and we are no surer of who it is.
async fn spend(
    ports: &Ports,
    bridge: &Bridge,
    user: &User,
    unit: &mut dyn UnitOfWork,
    now: Timestamp,
) -> Result<Result<SessionSummary, BridgeRefusal>, StoreError> {
    let unverified = ports.policy.require_verified_email && !user.email_verified;
    if !user.is_active() || unverified {
        return Ok(Err(BridgeRefusal::AccountClosed));
    }
    let Some(session) = &bridge.session_id else { return Ok(Err(BridgeRefusal::SessionOver)) };
    let session = unit.sessions().hold(&user.id, session).await?;
    let enough = |session: &SessionSummary| {
        user.second_factor_at.is_none() || session.assurance == Assurance::SecondFactor
    };
    let live = |session: &SessionSummary| session.is_live(&ports.policy.sessions, now) && enough(session);
    let Some(session) = session.filter(live) else {
        return Ok(Err(BridgeRefusal::SessionOver));
    };
    let spent = unit.bridges().spend(bridge, now).await?;
    Ok(if spent { Ok(session) } else { Err(BridgeRefusal::Used) })
}

/// What the owner's other apps are told of an attempt.
fn told(
    ports: &Ports,
    bridge: &Bridge,
    refused: Option<BridgeRefusal>,
    client: &ClientInfo,
    now: Timestamp,
) -> SyncEvent {
    SyncEvent {
        id: ports.ids.sync_event_id(),
        user_id: bridge.user_id.clone(),
        event_type: EventName::bridge_redemption(),
        source: EventName::service(),
        data: None,
        success: refused.is_none(),
        error: refused.map(|refusal| ErrorMessage::from_stored(refusal.to_string())),
        client: client.clone(),
        at: now,
    }
}

#[cfg(test)]
mod tests;
