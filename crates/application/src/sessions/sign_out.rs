use subtle_domain::activity::ActivityAction;
use subtle_domain::ports::{Revocation, StoreError};
use subtle_domain::session::{ClientInfo, RevocationReason};

use super::take_over::waiting;
use crate::Ports;

/// Ends the session of a refresh token, of whichever generation. A token that is none, or whose session is over, is as good as
/// signed out.
pub async fn sign_out(ports: &Ports, token: &str, client: &ClientInfo) -> Result<(), StoreError> {
    let now = ports.clock.now();
    let Some(presented) = ports.refresh_tokens.open(token) else { return forget(ports, token).await };
    let found = ports.sessions.find(&presented.user_id, &presented.session_id).await?;
    let Some((session, user)) = found else { return Ok(()) };
    if !ports.refresh_tokens.is_authentic(&presented, &session.salt) {
        return Ok(());
    }
    if ports.sessions.revoke(&user.id, &session.id, RevocationReason::SignOut, now).await? {
        ports.revocations.learn(&[Revocation::Session(session.id)], now);
        ports.record(&user.id, ActivityAction::SignOut, client, now);
    }
    Ok(())
}

/// A session of another service that was never taken over waits no longer.
async fn forget(ports: &Ports, token: &str) -> Result<(), StoreError> {
    match waiting(ports, token).await? {
        Some(session) => ports.imports.forget(&session.user_id, &session.id).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, NOW, ada, session};
    use subtle_domain::token::{PresentedRefreshToken, TokenDigest};

    fn presenting(mocks: &mut test_ports::Mocks, authentic: bool) {
        mocks.refresh_tokens.expect_open().returning(|_| {
            Some(PresentedRefreshToken {
                user_id: ada().id,
                session_id: session().id,
                generation: session().generation,
                mac: [0; 32],
            })
        });
        mocks.refresh_tokens.expect_is_authentic().return_const(authentic);
        mocks.sessions.expect_find().returning(|_, _| Ok(Some((session(), ada()))));
    }

    #[tokio::test]
    async fn the_session_of_the_token_ends_here_and_elsewhere() {
        let mut mocks = test_ports::Mocks::default();
        presenting(&mut mocks, true);
        mocks
            .sessions
            .expect_revoke()
            .withf(|user, id, reason, now| {
                user.as_str() == "ada"
                    && id.as_str() == "s1"
                    && *reason == RevocationReason::SignOut
                    && *now == NOW
            })
            .times(1)
            .returning(|_, _, _, _| Ok(true));
        mocks
            .revocations
            .expect_learn()
            .withf(|learned, _| learned == [Revocation::Session(session().id)])
            .times(1)
            .return_const(());
        mocks.expect_activity(&[ActivityAction::SignOut]);
        sign_out(&mocks.ports(), "rt", &ClientInfo::default()).await.unwrap();
    }

    #[tokio::test]
    async fn a_forged_token_ends_nothing() {
        let mut mocks = test_ports::Mocks::default();
        presenting(&mut mocks, false);
        sign_out(&mocks.ports(), "rt", &ClientInfo::default()).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_token_needs_no_sign_out() {
        let mut mocks = test_ports::Mocks::default();
        mocks.refresh_tokens.expect_open().returning(|_| None);
        mocks.imported_tokens.expect_digests().returning(|_| Vec::new());
        sign_out(&mocks.ports(), "nonsense", &ClientInfo::default()).await.unwrap();
    }

    #[tokio::test]
    async fn a_session_of_another_service_waits_no_longer() {
        let mut mocks = test_ports::Mocks::default();
        mocks.refresh_tokens.expect_open().returning(|_| None);
        mocks.imported_tokens.expect_digests().returning(|_| vec![TokenDigest::new("digest of old")]);
        mocks.imports.expect_session().returning(|_| Ok(Some(test_ports::waiting())));
        mocks
            .imports
            .expect_forget()
            .withf(|user, id| *user == ada().id && *id == test_ports::waiting().id)
            .times(1)
            .returning(|_, _| Ok(()));
        sign_out(&mocks.ports(), "old", &ClientInfo::default()).await.unwrap();
    }
}
