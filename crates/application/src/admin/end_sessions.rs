use subtle_domain::Timestamp;
use subtle_domain::audit::AuditAction;
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::session::RevocationReason;

use super::{Forbidden, Privileged};
use crate::Ports;
use crate::actor::{Actor, Told};
use crate::again::again;

/// Why no session was ended.
#[derive(Debug, thiserror::Error)]
pub enum EndSessionsError {
    /// There is no such account, or it has no such session that still lives.
    #[error("there is no such account or session")]
    NotFound,
    /// Who acts has lost the privilege since they were found to hold it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Ends one of somebody's sessions (ASVS 7.4.5).
pub async fn end_user_session(
    ports: &Ports,
    by: &Privileged,
    id: &UserId,
    session: &SessionId,
) -> Result<(), EndSessionsError> {
    end(ports, by, id, Some(session)).await
}

/// Ends all of somebody's sessions.
pub async fn end_user_sessions(ports: &Ports, by: &Privileged, id: &UserId) -> Result<(), EndSessionsError> {
    end(ports, by, id, None).await
}

async fn end(
    ports: &Ports,
    by: &Privileged,
    id: &UserId,
    session: Option<&SessionId>,
) -> Result<(), EndSessionsError> {
    let now = ports.clock.now();
    let ended = again(|| attempt(ports, by, id, session, now)).await??;
    ports.learn_ended(ended, now);
    Ok(())
}

async fn attempt(
    ports: &Ports,
    by: &Privileged,
    id: &UserId,
    session: Option<&SessionId>,
    now: Timestamp,
) -> Result<Result<Vec<SessionId>, EndSessionsError>, StoreError> {
    let mut unit = ports.store.begin().await?;
    let subject = match by.confirm_on(unit.as_mut(), id).await? {
        Ok(subject) => subject.filter(|user| !user.is_erased()),
        Err(lost) => return unit.rollback().await.map(|()| Err(lost.into())),
    };
    let ended = if subject.is_some() { ended(unit.as_mut(), id, session, now).await? } else { None };
    let Some(ended) = ended else {
        return unit.rollback().await.map(|()| Err(EndSessionsError::NotFound));
    };
    if ended.is_empty() {
        return unit.rollback().await.map(|()| Ok(ended));
    }
    let which = session.map_or_else(|| ended.len().to_string(), SessionId::to_string);
    let told = Told::facts([(if session.is_some() { "sessionId" } else { "sessions" }, which)]);
    let entry = ports.audit_entry(&Actor::from(by), AuditAction::SessionsEnded, Some(id), told, now);
    unit.audit().append(&entry).await?;
    unit.commit().await.map(|()| Ok(ended))
}

/// The sessions that end; `None` if the one that is meant is not there.
async fn ended(
    unit: &mut dyn UnitOfWork,
    id: &UserId,
    session: Option<&SessionId>,
    now: Timestamp,
) -> Result<Option<Vec<SessionId>>, StoreError> {
    let Some(session) = session else {
        return unit.sessions().revoke_all(id, None, RevocationReason::Admin, now).await.map(Some);
    };
    let is_ended = unit.sessions().revoke(id, session, RevocationReason::Admin, now).await?;
    Ok(is_ended.then(|| vec![session.clone()]))
}

#[cfg(test)]
mod tests {
    use super::super::authorize::tests::grace;
    use super::*;
    use crate::test_ports::{self, ada, session, was};
    use subtle_domain::ports::{MockUnit, Revocation};
    use subtle_domain::user::{Role, User};

    fn unit(role: Role) -> MockUnit {
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(move |id| {
            let grace = User { id: grace().user_id().clone(), role, ..ada() };
            Ok([grace, ada()].into_iter().find(|user| user.id == *id))
        });
        unit
    }

    #[tokio::test]
    async fn a_session_ends_with_an_entry_and_its_tokens_at_once() {
        let mut mocks = test_ports::Mocks::default();
        let mut unit = unit(Role::Admin);
        unit.sessions
            .expect_revoke()
            .withf(|user, _, reason, _| *user == ada().id && *reason == RevocationReason::Admin)
            .returning(|_, _, _, _| Ok(true));
        unit.audit
            .expect_append()
            .withf(|entry| {
                entry.action == AuditAction::SessionsEnded
                    && entry.facts == [("sessionId", session().id.to_string())]
            })
            .times(1)
            .returning(|_| Ok(()));
        let told = [Revocation::Session(session().id)];
        mocks.revocations.expect_learn().withf(move |learned, _| learned == told).times(1).return_const(());
        let committed = mocks.expect_unit(unit);
        end_user_session(&mocks.ports(), &grace(), &ada().id, &session().id).await.unwrap();
        assert!(was(&committed));
    }

    #[tokio::test]
    async fn no_such_session_and_no_privilege_end_nothing() {
        for (role, is_found) in [(Role::Admin, false), (Role::Support, true)] {
            let mut mocks = test_ports::Mocks::default();
            let mut unit = unit(role);
            unit.sessions.expect_revoke().returning(move |_, _, _, _| Ok(is_found));
            let committed = mocks.expect_unit(unit);
            let refused = end_user_session(&mocks.ports(), &grace(), &ada().id, &session().id).await;
            assert!(refused.is_err() && !was(&committed), "{role}");
        }
    }

    #[tokio::test]
    async fn who_has_no_session_has_none_to_end_and_leaves_no_entry() {
        let mut mocks = test_ports::Mocks::default();
        let mut unit = unit(Role::Admin);
        unit.sessions.expect_revoke_all().returning(|_, _, _, _| Ok(Vec::new()));
        mocks.revocations.expect_learn().return_const(());
        let committed = mocks.expect_unit(unit);
        end_user_sessions(&mocks.ports(), &grace(), &ada().id).await.unwrap();
        assert!(!was(&committed));
    }
}
