//! All that is known about one person, in one list.

use subtle_domain::audit::AuditQuery;
use subtle_domain::billing::BillingQuery;
use subtle_domain::ids::UserId;
use subtle_domain::note::NoteQuery;
use subtle_domain::ports::StoreError;
use subtle_domain::timeline::{self, TimelineCursor, TimelineEntry, TimelineKind};

use super::{Privileged, is_there};
use crate::{Page, Ports};

/// A page of all that is known about a person, newest first.
pub type PersonPage = Page<TimelineEntry, TimelineCursor>;

/// Shows a page of all that is known about somebody; `None` if there is no such account, or no longer.
///
/// Each kind of row is read along its own index from the cursor's place in it; the newest of all make the page.
pub async fn show_person(
    ports: &Ports,
    _by: &Privileged,
    id: &UserId,
    after: Option<TimelineCursor>,
    limit: u32,
) -> Result<Option<PersonPage>, StoreError> {
    if !is_there(ports, id).await? {
        return Ok(None);
    }
    let reach = PersonPage::reach(limit);
    let lists = lists(ports, id, after.as_ref(), reach).await?;
    let entries = timeline::merge(lists, usize::try_from(reach).unwrap_or(usize::MAX));
    Ok(Some(Page::of(entries, limit, |last| TimelineCursor::from(last))))
}

async fn lists(
    ports: &Ports,
    id: &UserId,
    after: Option<&TimelineCursor>,
    reach: u32,
) -> Result<[Vec<TimelineEntry>; 6], StoreError> {
    let place = |kind| after.map(|cursor| cursor.among(kind));
    let billing = BillingQuery { user_id: Some(id.clone()), status: None };
    let notes = NoteQuery { user_id: Some(id.clone()), flagged: None };
    let audit = AuditQuery { subject: Some(id.clone()), ..AuditQuery::default() };
    let before = place(TimelineKind::Usage).map(|(moment, _)| moment);
    Ok([
        entries(
            ports.timelines.activity(id, place(TimelineKind::Activity), reach).await?,
            TimelineEntry::Activity,
        ),
        entries(
            ports.audit_trail.page(&audit, place(TimelineKind::Audit), reach).await?,
            TimelineEntry::Audit,
        ),
        entries(
            ports.billing.records(&billing, place(TimelineKind::Billing), reach).await?,
            TimelineEntry::Billing,
        ),
        entries(ports.notes.page(&notes, place(TimelineKind::Note), reach).await?, TimelineEntry::Note),
        entries(ports.sessions.begun(id, place(TimelineKind::Session), reach).await?, |session| {
            TimelineEntry::Session(Box::new(session))
        }),
        entries(ports.usage.days(id, before, reach).await?, |(day, sums)| TimelineEntry::Usage(day, sums)),
    ])
}

fn entries<T>(rows: Vec<T>, entry: impl Fn(T) -> TimelineEntry) -> Vec<TimelineEntry> {
    rows.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::super::authorize::tests::grace;
    use super::*;
    use crate::test_ports::{self, NOW, ada, session};
    use chrono::TimeDelta;
    use subtle_domain::activity::RecordedActivity;
    use subtle_domain::usage::UsageTotals;

    #[tokio::test]
    async fn the_newest_of_all_kinds_make_the_page_and_its_end_is_where_the_next_begins() {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_find().returning(|_| Ok(Some(ada())));
        mocks.timelines.expect_activity().withf(|_, after, limit| after.is_none() && *limit == 3).returning(
            |_, _, _| {
                let at = NOW - TimeDelta::hours(1);
                let action = "sign_in".to_owned();
                Ok(vec![RecordedActivity { id: "a1".to_owned(), action, data: None, at }])
            },
        );
        mocks.audit_trail.expect_page().returning(|_, _, _| Ok(Vec::new()));
        mocks.billing.expect_records().returning(|_, _, _| Ok(Vec::new()));
        mocks.notes.expect_page().returning(|_, _, _| Ok(Vec::new()));
        mocks.sessions.expect_begun().returning(|_, _, _| Ok(vec![session().summary()]));
        let yesterday = NOW.date_naive().pred_opt().unwrap();
        mocks.usage.expect_days().returning(move |_, _, _| Ok(vec![(yesterday, UsageTotals::default())]));
        let page = show_person(&mocks.ports(), &grace(), &ada().id, None, 2).await.unwrap().unwrap();
        assert_eq!(page.items.iter().map(TimelineEntry::id).collect::<Vec<_>>(), ["s1", "a1"]);
        assert_eq!(page.next, page.items.last().map(TimelineCursor::from));
    }

    #[tokio::test]
    async fn nothing_is_told_of_who_is_not_there() {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_find().returning(|_| Ok(None));
        assert_eq!(show_person(&mocks.ports(), &grace(), &ada().id, None, 10).await.unwrap(), None);
    }
}
