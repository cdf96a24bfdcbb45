use subtle_domain::ids::UserId;
use subtle_domain::ports::StoreError;
use subtle_domain::usage::{Days, Month, UsageCursor, UsageGroup, UsageGrouping, UsageRow, UsageTotals};

use crate::sessions::Caller;
use crate::{Page, Ports};

/// A page of usage, newest first.
pub type UsagePage = Page<UsageRow, UsageCursor>;

/// Usage in sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageSummary {
    /// Over which days.
    pub days: Days,
    /// All in all.
    pub total: UsageTotals,
    /// By day or feature, in their order.
    pub groups: Vec<(UsageGroup, UsageTotals)>,
}

/// Shows the caller a page of their usage.
pub async fn list_usage(
    ports: &Ports,
    caller: &Caller,
    after: Option<UsageCursor>,
    limit: u32,
) -> Result<UsagePage, StoreError> {
    page(ports, &caller.user_id, after, limit).await
}

/// Shows the caller their usage in sums: over those days, or else this month's.
pub async fn summarize_usage(
    ports: &Ports,
    caller: &Caller,
    days: Option<Days>,
    by: UsageGrouping,
) -> Result<UsageSummary, StoreError> {
    summary(ports, &caller.user_id, days, by).await
}

pub(crate) async fn page(
    ports: &Ports,
    user: &UserId,
    after: Option<UsageCursor>,
    limit: u32,
) -> Result<UsagePage, StoreError> {
    let rows = ports.usage.rows(user, after, UsagePage::reach(limit)).await?;
    Ok(Page::of(rows, limit, |last| (last.at, last.id.clone())))
}

pub(crate) async fn summary(
    ports: &Ports,
    user: &UserId,
    days: Option<Days>,
    by: UsageGrouping,
) -> Result<UsageSummary, StoreError> {
    let days = days.unwrap_or_else(|| Month::of(ports.clock.now()).days());
    let groups = ports.usage.groups(user, days, by).await?;
    let mut total = UsageTotals::default();
    for (_, sums) in &groups {
        total += sums;
    }
    Ok(UsageSummary { days, total, groups })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, ada, caller};

    fn sums(requests: i64, cost: &str) -> UsageTotals {
        UsageTotals { requests, tokens: 10 * requests, cost: cost.parse().unwrap() }
    }

    #[tokio::test]
    async fn the_total_is_the_sum_of_the_groups_and_a_month_is_the_default() {
        let mut mocks = test_ports::Mocks::default();
        // NOW is in November 2023.
        let days = Days { from: "2023-11-01".parse().unwrap(), to: "2023-11-30".parse().unwrap() };
        mocks
            .usage
            .expect_groups()
            .withf(move |user, asked, by| {
                *user == ada().id && *asked == days && *by == UsageGrouping::Feature
            })
            .returning(|_, _, _| {
                Ok(vec![
                    (UsageGroup::Feature(None), sums(1, "0.0000000001")),
                    (UsageGroup::Feature(Some("chat".to_owned())), sums(2, "0.3")),
                ])
            });
        let summary = summarize_usage(&mocks.ports(), &caller(), None, UsageGrouping::Feature).await.unwrap();
        assert_eq!((summary.days, summary.groups.len()), (days, 2));
        assert_eq!(summary.total, sums(3, "0.3000000001"));
    }

    #[tokio::test]
    async fn no_usage_is_a_total_of_nothing() {
        let mut mocks = test_ports::Mocks::default();
        mocks.usage.expect_groups().returning(|_, _, _| Ok(Vec::new()));
        let summary = summarize_usage(&mocks.ports(), &caller(), None, UsageGrouping::Day).await.unwrap();
        assert_eq!(summary.total, UsageTotals::default());
    }
}
