use subtle_domain::activity::ActivityAction;
use subtle_domain::ids::SessionId;
use subtle_domain::ports::{Revocation, StoreError};
use subtle_domain::session::RevocationReason;

use super::Caller;
use crate::Ports;
use crate::again::again;

/// What became of a wish to end a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndSession {
    /// It is ended.
    Ended,
    /// The caller has no such session that still lives.
    NotFound,
}

/// Ends one of the caller's sessions, the one they came with included.
pub async fn end_session(ports: &Ports, caller: &Caller, id: &SessionId) -> Result<EndSession, StoreError> {
    let now = ports.clock.now();
    if !ports.sessions.revoke(&caller.user_id, id, RevocationReason::User, now).await? {
        return Ok(EndSession::NotFound);
    }
    ports.revocations.learn(&[Revocation::Session(id.clone())], now);
    ports.record(&caller.user_id, ActivityAction::SignOut, &caller.client, now);
    Ok(EndSession::Ended)
}

/// Ends all of the caller's sessions but the one they came with.
pub async fn end_others(ports: &Ports, caller: &Caller) -> Result<(), StoreError> {
    let now = ports.clock.now();
    let (user, keep) = (&caller.user_id, &caller.session_id);
    let ended = again(|| ports.sessions.revoke_others(user, keep, RevocationReason::User, now)).await?;
    ports.learn_ended(ended, now);
    Ok(())
}

impl Ports {
    /// Refuses the access tokens of ended sessions here at once; the other replicas learn of it from the store.
    pub(crate) fn learn_ended(&self, sessions: Vec<SessionId>, now: subtle_domain::Timestamp) {
        let revocations: Vec<_> = sessions.into_iter().map(Revocation::Session).collect();
        self.revocations.learn(&revocations, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, caller};

    #[tokio::test]
    async fn anothers_session_is_not_found() {
        let mut mocks = test_ports::Mocks::default();
        mocks
            .sessions
            .expect_revoke()
            .withf(|user, _, _, _| user.as_str() == "ada")
            .returning(|_, _, _, _| Ok(false));
        let foreign = SessionId::parse("of-somebody-else").unwrap();
        assert_eq!(end_session(&mocks.ports(), &caller(), &foreign).await.unwrap(), EndSession::NotFound);
    }

    #[tokio::test]
    async fn all_others_end_and_the_callers_own_stays() {
        let mut mocks = test_ports::Mocks::default();
        let others = ["s2", "s3"].map(|id| SessionId::parse(id).unwrap());
        let ended = others.to_vec();
        mocks
            .sessions
            .expect_revoke_others()
            .withf(|_, keep, reason, _| keep.as_str() == "s1" && *reason == RevocationReason::User)
            .return_once(move |_, _, _, _| Ok(ended));
        mocks
            .revocations
            .expect_learn()
            .withf(move |learned, _| learned == others.clone().map(Revocation::Session))
            .times(1)
            .return_const(());
        end_others(&mocks.ports(), &caller()).await.unwrap();
    }
}
