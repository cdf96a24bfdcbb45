use subtle_domain::Timestamp;
use subtle_domain::activity::RecordedActivity;
use subtle_domain::audit::AuditedAct;
use subtle_domain::billing::{BillingQuery, BillingRecord};
use subtle_domain::import::ForeignIdentity;
use subtle_domain::ports::StoreError;
use subtle_domain::session::SessionSummary;
use subtle_domain::sync::{Place, PlacedEvent};
use subtle_domain::usage::UsageRow;
use subtle_domain::user::User;

use crate::sessions::FreshCaller;
use crate::{OpenStream, Page, Ports, TooManyStreams};

/// How many rows of a part are read at once: fewer of those that may be large.
fn together(part: ExportPart) -> u32 {
    match part {
        ExportPart::Sync | ExportPart::SyncOfOthers => 16,
        ExportPart::Activity | ExportPart::Audit => 50,
        ExportPart::Sessions | ExportPart::Identities | ExportPart::Usage | ExportPart::Billing => 500,
    }
}

/// A part of what is held about a person, beside the account itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportPart {
    /// Sessions, ended ones too.
    Sessions,
    /// By which providers they signed in at the service that they moved here from.
    Identities,
    /// What happened on the account.
    Activity,
    /// Usage.
    Usage,
    /// Records of the ledger.
    Billing,
    /// What their apps told each other, oldest first.
    Sync,
    /// What other programs wrote into the sync log: it is no part of the feed.
    SyncOfOthers,
    /// Uses of privilege on the account.
    Audit,
}

impl ExportPart {
    /// All of them, in their order.
    pub const ALL: [Self; 8] = [
        Self::Sessions,
        Self::Identities,
        Self::Activity,
        Self::Usage,
        Self::Billing,
        Self::Sync,
        Self::SyncOfOthers,
        Self::Audit,
    ];
}

/// A row of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is a row of the part of its name")]
pub enum ExportRow {
    Session(Box<SessionSummary>),
    Identity(ForeignIdentity),
    Activity(RecordedActivity),
    Usage(UsageRow),
    Billing(BillingRecord),
    Sync(PlacedEvent),
    Audit(AuditedAct),
}

/// A place in a part: behind the row of that time and identifier.
pub type ExportCursor = (Timestamp, String);

/// Why there is no export, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The account or the session can't be used any more.
    #[error("the account or the session is closed")]
    Closed,
    /// Too many exports of the account are under way at this server.
    #[error(transparent)]
    TooMany(#[from] TooManyStreams),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Shows the caller their account, at the beginning of an export, which counts as one until what comes with it is dropped.
pub async fn export_account(ports: &Ports, caller: &FreshCaller) -> Result<(User, OpenStream), ExportError> {
    let counted = ports.exports.open(&caller.caller().user_id)?;
    let user = ports.accounts.find(&caller.caller().user_id).await?;
    let user = user.filter(User::is_active);
    user.map(|user| (user, counted)).ok_or(ExportError::Closed)
}

/// Shows the caller some of what is held about them, newest first.
pub async fn export_part(
    ports: &Ports,
    caller: &FreshCaller,
    part: ExportPart,
    after: Option<ExportCursor>,
) -> Result<Page<ExportRow, ExportCursor>, ExportError> {
    if caller.caller().time_left(ports).is_zero() {
        return Err(ExportError::Closed);
    }
    let (user, reach) = (&caller.caller().user_id, Page::<ExportRow, ExportCursor>::reach(together(part)));
    let rows = match part {
        ExportPart::Sessions => rows(ports.sessions.begun(user, after, reach).await?, |session| {
            ((session.created_at, session.id.to_string()), ExportRow::Session(Box::new(session)))
        }),
        ExportPart::Identities => {
            // Few enough to be a page, whatever they are.
            let identities = ports.imports.identities(user).await?;
            return Ok(Page { items: identities.into_iter().map(ExportRow::Identity).collect(), next: None });
        }
        ExportPart::Activity => rows(ports.timelines.activity(user, after, reach).await?, |row| {
            ((row.at, row.id.clone()), ExportRow::Activity(row))
        }),
        ExportPart::Usage => rows(ports.usage.rows(user, after, reach).await?, |row| {
            ((row.at, row.id.clone()), ExportRow::Usage(row))
        }),
        ExportPart::Billing => {
            let query = BillingQuery { user_id: Some(user.clone()), status: None };
            rows(ports.billing.records(&query, after, reach).await?, |record| {
                ((record.created_at, record.id.to_string()), ExportRow::Billing(record))
            })
        }
        ExportPart::Sync => {
            let place = after.and_then(|(_, place)| Place::parse(&place).ok()).unwrap_or(Place::START);
            rows(ports.sync_events.after(user, place, reach).await?, |row| {
                ((row.event.at, row.place.to_string()), ExportRow::Sync(row))
            })
        }
        ExportPart::SyncOfOthers => {
            let after = after.map(|(_, id)| id);
            rows(ports.sync_events.unplaced(user, after, reach).await?, |event| {
                (
                    (event.at, event.id.to_string()),
                    ExportRow::Sync(PlacedEvent { place: Place::START, event }),
                )
            })
        }
        ExportPart::Audit => rows(ports.audit_trail.acts_on(user, after, reach).await?, |act| {
            ((act.at, act.id.clone()), ExportRow::Audit(act))
        }),
    };
    let page = Page::of(rows, together(part), |(place, _)| place.clone());
    Ok(Page { items: page.items.into_iter().map(|(_, row)| row).collect(), next: page.next })
}

fn rows<T>(found: Vec<T>, placed: impl Fn(T) -> (ExportCursor, ExportRow)) -> Vec<(ExportCursor, ExportRow)> {
    found.into_iter().map(placed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Streams;
    use crate::sessions::fresh;
    use crate::test_ports::{self, NOW, ada};
    use chrono::TimeDelta;

    fn row(number: i64) -> RecordedActivity {
        let at = NOW - TimeDelta::seconds(number);
        RecordedActivity { id: format!("a{number}"), action: "sign_in".to_owned(), data: None, at }
    }

    #[tokio::test]
    async fn an_export_ends_with_its_session_and_only_so_many_are_under_way() {
        let mut mocks = test_ports::Mocks { exports: Streams::new(1), ..test_ports::Mocks::default() };
        mocks.revocations.expect_covers().return_const(true);
        mocks.accounts.expect_find().returning(|_| Ok(Some(ada())));
        let ports = mocks.ports();
        let first = export_account(&ports, &fresh()).await.unwrap();
        assert!(matches!(export_account(&ports, &fresh()).await, Err(ExportError::TooMany(_))));
        let cut = export_part(&ports, &fresh(), ExportPart::Usage, None).await;
        assert!(matches!(cut, Err(ExportError::Closed)));
        drop(first);
        assert!(export_account(&ports, &fresh()).await.is_ok());
    }

    #[tokio::test]
    async fn a_part_is_read_in_pages_and_is_the_callers_own() {
        let mut mocks = test_ports::Mocks::default();
        mocks.revocations.expect_covers().return_const(false);
        mocks
            .timelines
            .expect_activity()
            .withf(|user, after, limit| *user == ada().id && after.is_none() && *limit == 51)
            .returning(|_, _, _| Ok((0..51).map(row).collect()));
        let page = export_part(&mocks.ports(), &fresh(), ExportPart::Activity, None).await.unwrap();
        assert_eq!((page.items.len(), page.next), (50, Some((row(49).at, "a49".to_owned()))));
    }

    #[tokio::test]
    async fn identities_of_another_service_are_in_it() {
        let mut mocks = test_ports::Mocks::default();
        mocks.revocations.expect_covers().return_const(false);
        let google = ForeignIdentity {
            provider: "google".to_owned(),
            provider_id: "1".to_owned(),
            created_at: None,
            last_sign_in_at: Some(NOW),
        };
        let known = google.clone();
        mocks
            .imports
            .expect_identities()
            .withf(|user| *user == ada().id)
            .returning(move |_| Ok(vec![known.clone()]));
        let page = export_part(&mocks.ports(), &fresh(), ExportPart::Identities, None).await.unwrap();
        assert_eq!((page.items, page.next), (vec![ExportRow::Identity(google)], None));
    }

    #[tokio::test]
    async fn a_closed_account_exports_nothing() {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_find().returning(|_| Ok(Some(User { disabled_at: Some(NOW), ..ada() })));
        assert!(matches!(export_account(&mocks.ports(), &fresh()).await, Err(ExportError::Closed)));
    }
}
