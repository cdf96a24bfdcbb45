use subtle_domain::Timestamp;
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::ports::StoreError;
use subtle_domain::session::SessionSummary;

use super::Caller;
use crate::{Page, Ports};

/// A place in a list of sessions: behind the one last used then, of that identifier.
pub type SessionCursor = (Timestamp, SessionId);

/// A page of sessions, last used first.
pub type SessionPage = Page<SessionSummary, SessionCursor>;

/// Shows the caller's live sessions.
pub async fn list_sessions(
    ports: &Ports,
    caller: &Caller,
    after: Option<SessionCursor>,
    limit: u32,
) -> Result<SessionPage, StoreError> {
    page(ports, &caller.user_id, after, limit).await
}

pub(crate) async fn page(
    ports: &Ports,
    user: &UserId,
    after: Option<SessionCursor>,
    limit: u32,
) -> Result<SessionPage, StoreError> {
    let (policy, now) = (&ports.policy.sessions, ports.clock.now());
    let reach = SessionPage::reach(limit);
    let sessions = ports.sessions.live(user, policy, now, after, reach).await?;
    Ok(Page::of(sessions, limit, |last| (last.last_used_at, last.id.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, caller, session};

    #[tokio::test]
    async fn a_full_page_tells_where_the_next_begins() {
        let mut mocks = test_ports::Mocks::default();
        mocks
            .sessions
            .expect_live()
            .withf(|_, _, _, _, limit| *limit == 3)
            .returning(|_, _, _, _, _| Ok(vec![session().summary(); 3]));
        let page = list_sessions(&mocks.ports(), &caller(), None, 2).await.unwrap();
        assert_eq!(page.items.len(), 2);
        assert_eq!(page.next, Some((session().last_used_at, session().id)));
    }

    #[tokio::test]
    async fn the_last_page_has_no_next() {
        let mut mocks = test_ports::Mocks::default();
        mocks.sessions.expect_live().returning(|_, _, _, _, _| Ok(vec![session().summary(); 2]));
        let page = list_sessions(&mocks.ports(), &caller(), None, 2).await.unwrap();
        assert_eq!((page.items.len(), page.next), (2, None));
    }
}
