use subtle_domain::Timestamp;
use subtle_domain::audit::{AuditAction, FieldChange};
use subtle_domain::ids::UserId;
use subtle_domain::ports::StoreError;
use subtle_domain::quota::{self, Limit, Metric, Quota};
use subtle_domain::usage::Month;

use super::{Forbidden, Privileged};
use crate::actor::{Actor, Told};
use crate::again::again;
use crate::{Ports, quotas};

/// What becomes of a user's limit of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitChange {
    /// A limit of their own.
    Own(Limit),
    /// That of the tier again.
    OfTier,
}

/// Why a user's limits stay as they were.
#[derive(Debug, thiserror::Error)]
pub enum ChangeQuotaError {
    /// There is no such account, or no longer.
    #[error("there is no such account")]
    NotFound,
    /// Who acts has lost the privilege since they were found to hold it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives a user limits of their own, or those of the tier again. Tells where the budget stands then.
pub async fn change_quota(
    ports: &Ports,
    by: &Privileged,
    id: &UserId,
    changes: &[(Metric, LimitChange)],
) -> Result<Quota, ChangeQuotaError> {
    let now = ports.clock.now();
    again(|| attempt(ports, by, id, changes, now)).await?
}

async fn attempt(
    ports: &Ports,
    by: &Privileged,
    id: &UserId,
    changes: &[(Metric, LimitChange)],
    now: Timestamp,
) -> Result<Result<Quota, ChangeQuotaError>, StoreError> {
    let mut unit = ports.store.begin().await?;
    let user = match by.confirm_on(unit.as_mut(), id).await? {
        Ok(user) => user.filter(|user| !user.is_erased()),
        Err(lost) => return unit.rollback().await.map(|()| Err(lost.into())),
    };
    let Some(user) = user else {
        return unit.rollback().await.map(|()| Err(ChangeQuotaError::NotFound));
    };
    let mut figures = unit.usage().quota(id, Month::of(now), now).await?;
    let before = std::mem::take(&mut figures.own);
    figures.own = applied(&before, changes);
    let told = told(&before, &figures.own);
    if told.is_empty() {
        unit.rollback().await?;
    } else {
        unit.usage().set_own_limits(id, &figures.own).await?;
        let told = Told { changes: told, facts: Vec::new() };
        let entry = ports.audit_entry(&Actor::from(by), AuditAction::QuotaChanged, Some(id), told, now);
        unit.audit().append(&entry).await?;
        unit.commit().await?;
    }
    Ok(Ok(quotas::of_figures(ports, &user, figures, now)))
}

fn applied(own: &[(Metric, Limit)], changes: &[(Metric, LimitChange)]) -> Vec<(Metric, Limit)> {
    let limit = |metric: &Metric| match changes.iter().find(|(changed, _)| changed == metric) {
        Some((_, LimitChange::Own(limit))) => Some(limit.clone()),
        Some((_, LimitChange::OfTier)) => None,
        None => of(own, *metric).cloned(),
    };
    Metric::ALL.iter().filter_map(|metric| Some((*metric, limit(metric)?))).collect()
}

fn of(own: &[(Metric, Limit)], metric: Metric) -> Option<&Limit> {
    own.iter().find(|(limited, _)| *limited == metric).map(|(_, limit)| limit)
}

/// What is different, in the words of the audit trail.
fn told(before: &[(Metric, Limit)], after: &[(Metric, Limit)]) -> Vec<FieldChange> {
    let word = |metric, limit: Option<&Limit>| match limit {
        None => "tier".to_owned(),
        Some(Limit::Unlimited) => "unlimited".to_owned(),
        Some(Limit::AtMost(amount)) => quota::print(metric, amount),
    };
    let change = |metric: &Metric| {
        let (before, after) = (word(*metric, of(before, *metric)), word(*metric, of(after, *metric)));
        let changed = before != after;
        changed.then(|| FieldChange { field: metric.as_str(), before: Some(before), after: Some(after) })
    };
    Metric::ALL.iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::super::authorize::tests::grace;
    use super::*;
    use crate::test_ports::{self, ada, was};
    use subtle_domain::ports::MockUnit;
    use subtle_domain::quota::QuotaFigures;
    use subtle_domain::user::{Role, User};

    fn own(amount: u32) -> Limit {
        Limit::AtMost(amount.into())
    }

    /// A unit of work in which Grace has this role, and Ada a limit of 7 tokens.
    fn unit(role: Role) -> MockUnit {
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(move |id| {
            let grace = User { id: grace().user_id().clone(), role, ..ada() };
            Ok([grace, ada()].into_iter().find(|user| user.id == *id))
        });
        unit.usage.expect_quota().returning(|_, _, _| {
            Ok(QuotaFigures { own: vec![(Metric::Tokens, own(7))], ..QuotaFigures::default() })
        });
        unit
    }

    async fn ask(
        unit: MockUnit,
        changes: &[(Metric, LimitChange)],
    ) -> (Result<Quota, ChangeQuotaError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        let committed = mocks.expect_unit(unit);
        (change_quota(&mocks.ports(), &grace(), &ada().id, changes).await, was(&committed))
    }

    #[tokio::test]
    async fn what_is_not_named_stays_and_the_trail_tells_the_rest() {
        let mut unit = unit(Role::Admin);
        let kept = [(Metric::Tokens, own(7)), (Metric::Cost, Limit::Unlimited)];
        unit.usage
            .expect_set_own_limits()
            .withf(move |_, own| *own == kept)
            .times(1)
            .returning(|_, _| Ok(()));
        unit.audit.expect_append().times(1).returning(|entry| {
            let told = FieldChange {
                field: "cost",
                before: Some("tier".to_owned()),
                after: Some("unlimited".to_owned()),
            };
            assert_eq!((entry.action, &entry.changes[..]), (AuditAction::QuotaChanged, &[told][..]));
            Ok(())
        });
        let (quota, committed) = ask(unit, &[(Metric::Cost, LimitChange::Own(Limit::Unlimited))]).await;
        let limits = quota.unwrap().limits;
        assert_eq!((limits.requests, limits.tokens, limits.cost), (own(10_000), own(7), Limit::Unlimited));
        assert!(committed);
    }

    #[tokio::test]
    async fn the_tiers_limit_comes_back() {
        let mut unit = unit(Role::Admin);
        unit.usage.expect_set_own_limits().withf(|_, own| own.is_empty()).times(1).returning(|_, _| Ok(()));
        unit.audit.expect_append().times(1).returning(|_| Ok(()));
        let (quota, committed) = ask(unit, &[(Metric::Tokens, LimitChange::OfTier)]).await;
        assert_eq!(quota.unwrap().limits.tokens, own(10_000_000));
        assert!(committed);
    }

    #[tokio::test]
    async fn no_change_is_no_entry_and_who_lost_the_privilege_makes_none() {
        let (quota, committed) = ask(unit(Role::Admin), &[(Metric::Tokens, LimitChange::Own(own(7)))]).await;
        assert!(quota.is_ok() && !committed);
        let (refused, committed) = ask(unit(Role::Support), &[(Metric::Tokens, LimitChange::OfTier)]).await;
        assert!(matches!(refused, Err(ChangeQuotaError::Forbidden(_))));
        assert!(!committed);
    }
}
