//! The timeline: what happened on an account.

mod report;

pub use report::{NewActivity, ReportActivityError, report_activity};

use subtle_domain::activity::{ActivityCursor, ActivitySummary, RecordedActivity};
use subtle_domain::ids::UserId;
use subtle_domain::ports::StoreError;

use crate::sessions::Caller;
use crate::{Page, Ports};

/// A page of a timeline, newest first.
pub type ActivityPage = Page<RecordedActivity, ActivityCursor>;

/// Shows the caller a page of their timeline.
pub async fn list_activity(
    ports: &Ports,
    caller: &Caller,
    after: Option<ActivityCursor>,
    limit: u32,
) -> Result<ActivityPage, StoreError> {
    page(ports, &caller.user_id, after, limit).await
}

/// Shows the caller their timeline in figures.
pub async fn summarize_activity(ports: &Ports, caller: &Caller) -> Result<ActivitySummary, StoreError> {
    ports.timelines.summary(&caller.user_id, ports.clock.now()).await
}

pub(crate) async fn page(
    ports: &Ports,
    user: &UserId,
    after: Option<ActivityCursor>,
    limit: u32,
) -> Result<ActivityPage, StoreError> {
    let rows = ports.timelines.activity(user, after, ActivityPage::reach(limit)).await?;
    Ok(Page::of(rows, limit, |last| (last.at, last.id.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, NOW, caller};

    fn row(id: &str) -> RecordedActivity {
        RecordedActivity { id: id.to_owned(), action: "sign_in".to_owned(), data: None, at: NOW }
    }

    #[tokio::test]
    async fn a_full_page_tells_where_the_next_begins() {
        let mut mocks = test_ports::Mocks::default();
        mocks
            .timelines
            .expect_activity()
            .withf(|user, after, limit| user.as_str() == "ada" && after.is_none() && *limit == 3)
            .returning(|_, _, _| Ok(vec![row("c"), row("b"), row("a")]));
        let page = list_activity(&mocks.ports(), &caller(), None, 2).await.unwrap();
        assert_eq!(page, ActivityPage { items: vec![row("c"), row("b")], next: Some((NOW, "b".to_owned())) });
    }

    #[tokio::test]
    async fn the_last_page_has_no_next() {
        let mut mocks = test_ports::Mocks::default();
        mocks.timelines.expect_activity().returning(|_, _, _| Ok(vec![row("b"), row("a")]));
        let page = list_activity(&mocks.ports(), &caller(), None, 2).await.unwrap();
        assert_eq!(page.next, None);
    }
}
