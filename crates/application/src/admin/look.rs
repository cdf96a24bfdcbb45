use subtle_domain::activity::ActivityCursor;
use subtle_domain::audit::{AuditCursor, AuditQuery, RecordedAudit};
use subtle_domain::billing::{BillingCursor, BillingQuery};
use subtle_domain::directory::{UserPage, UserQuery, UserRow, UserStats};
use subtle_domain::ids::UserId;
use subtle_domain::inspection::DatabaseReport;
use subtle_domain::ports::StoreError;
use subtle_domain::quota::Quota;
use subtle_domain::usage::{Days, UsageCursor, UsageGrouping};

use super::Privileged;
use crate::activity::{ActivityPage, page};
use crate::billing::BillingPage;
use crate::sessions::{SessionCursor, SessionPage};
use crate::usage::{UsagePage, UsageSummary};
use crate::{Page, Ports, billing, quotas, sessions, usage};

/// Shows a page of the list of accounts.
pub async fn list_users(ports: &Ports, _by: &Privileged, query: &UserQuery) -> Result<UserPage, StoreError> {
    ports.directory.page(query).await
}

/// Shows an account with its counts.
pub async fn show_user(ports: &Ports, _by: &Privileged, id: &UserId) -> Result<Option<UserRow>, StoreError> {
    ports.directory.row(id).await
}

/// Shows the figures over all accounts.
pub async fn show_stats(ports: &Ports, _by: &Privileged) -> Result<UserStats, StoreError> {
    ports.directory.stats(ports.clock.now()).await
}

/// Shows what the database tells of itself.
pub async fn inspect_database(ports: &Ports, _by: &Privileged) -> Result<DatabaseReport, StoreError> {
    ports.inspection.look(ports.clock.now()).await
}

/// Shows a page of somebody's timeline; `None` if there is no such account, or no longer.
pub async fn list_user_activity(
    ports: &Ports,
    _by: &Privileged,
    id: &UserId,
    after: Option<ActivityCursor>,
    limit: u32,
) -> Result<Option<ActivityPage>, StoreError> {
    if !is_there(ports, id).await? {
        return Ok(None);
    }
    page(ports, id, after, limit).await.map(Some)
}

/// Shows a page of somebody's usage; `None` if there is no such account, or no longer.
pub async fn list_user_usage(
    ports: &Ports,
    _by: &Privileged,
    id: &UserId,
    after: Option<UsageCursor>,
    limit: u32,
) -> Result<Option<UsagePage>, StoreError> {
    if !is_there(ports, id).await? {
        return Ok(None);
    }
    usage::page(ports, id, after, limit).await.map(Some)
}

/// Shows somebody's usage in sums; `None` if there is no such account, or no longer.
pub async fn summarize_user_usage(
    ports: &Ports,
    _by: &Privileged,
    id: &UserId,
    days: Option<Days>,
    by: UsageGrouping,
) -> Result<Option<UsageSummary>, StoreError> {
    if !is_there(ports, id).await? {
        return Ok(None);
    }
    usage::summary(ports, id, days, by).await.map(Some)
}

/// Shows where somebody's budget stands; `None` if there is no such account, or no longer.
pub async fn show_user_quota(
    ports: &Ports,
    _by: &Privileged,
    id: &UserId,
) -> Result<Option<Quota>, StoreError> {
    let user = ports.accounts.find(id).await?;
    match user.filter(|user| !user.is_erased()) {
        Some(user) => quotas::of_user(ports, &user).await.map(Some),
        None => Ok(None),
    }
}

/// Shows a page of somebody's part of the ledger; `None` if there is no such account, or no longer.
pub async fn list_user_billing(
    ports: &Ports,
    by: &Privileged,
    id: &UserId,
    after: Option<BillingCursor>,
    limit: u32,
) -> Result<Option<BillingPage>, StoreError> {
    if !is_there(ports, id).await? {
        return Ok(None);
    }
    let query = BillingQuery { user_id: Some(id.clone()), status: None };
    list_all_billing(ports, by, &query, after, limit).await.map(Some)
}

/// Shows a page of the ledger.
pub async fn list_all_billing(
    ports: &Ports,
    _by: &Privileged,
    query: &BillingQuery,
    after: Option<BillingCursor>,
    limit: u32,
) -> Result<BillingPage, StoreError> {
    billing::page(ports, query, after, limit).await
}

/// Shows a page of somebody's live sessions; `None` if there is no such account, or no longer.
pub async fn list_user_sessions(
    ports: &Ports,
    _by: &Privileged,
    id: &UserId,
    after: Option<SessionCursor>,
    limit: u32,
) -> Result<Option<SessionPage>, StoreError> {
    if !is_there(ports, id).await? {
        return Ok(None);
    }
    sessions::page(ports, id, after, limit).await.map(Some)
}

/// A page of the audit trail, newest first.
pub type AuditPage = Page<RecordedAudit, AuditCursor>;

/// Shows a page of the audit trail.
pub async fn list_audit(
    ports: &Ports,
    _by: &Privileged,
    query: &AuditQuery,
    after: Option<AuditCursor>,
    limit: u32,
) -> Result<AuditPage, StoreError> {
    let rows = ports.audit_trail.page(query, after, AuditPage::reach(limit)).await?;
    Ok(Page::of(rows, limit, |last| (last.at, last.id.clone())))
}

pub(crate) async fn is_there(ports: &Ports, id: &UserId) -> Result<bool, StoreError> {
    let user = ports.accounts.find(id).await?;
    Ok(user.is_some_and(|user| !user.is_erased()))
}

#[cfg(test)]
mod tests {
    use super::super::authorize::tests::grace;
    use super::*;
    use crate::test_ports::{self, NOW, ada};
    use subtle_domain::user::User;

    #[tokio::test]
    async fn the_timeline_of_an_erased_account_is_not_found() {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_find().returning(|_| Ok(Some(User { deleted_at: Some(NOW), ..ada() })));
        let shown = list_user_activity(&mocks.ports(), &grace(), &ada().id, None, 10).await.unwrap();
        assert_eq!(shown, None);
    }

    #[tokio::test]
    async fn neither_is_their_usage_or_their_part_of_the_ledger() {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_find().returning(|_| Ok(None));
        let ports = mocks.ports();
        assert_eq!(list_user_usage(&ports, &grace(), &ada().id, None, 10).await.unwrap(), None);
        let by_day = UsageGrouping::Day;
        assert_eq!(summarize_user_usage(&ports, &grace(), &ada().id, None, by_day).await.unwrap(), None);
        assert_eq!(list_user_billing(&ports, &grace(), &ada().id, None, 10).await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_timeline_of_a_disabled_account_is_shown() {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_find().returning(|_| Ok(Some(User { disabled_at: Some(NOW), ..ada() })));
        mocks.timelines.expect_activity().returning(|_, _, _| Ok(Vec::new()));
        let shown = list_user_activity(&mocks.ports(), &grace(), &ada().id, None, 10).await.unwrap();
        assert_eq!(shown, Some(ActivityPage { items: Vec::new(), next: None }));
    }
}
