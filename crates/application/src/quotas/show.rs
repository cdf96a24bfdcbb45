use subtle_domain::Timestamp;
use subtle_domain::ports::StoreError;
use subtle_domain::quota::{Quota, QuotaFigures};
use subtle_domain::usage::Month;
use subtle_domain::user::User;

use crate::Ports;
use crate::sessions::Caller;

/// Shows the caller where their budget stands; `None` if their account is gone.
pub async fn show_quota(ports: &Ports, caller: &Caller) -> Result<Option<Quota>, StoreError> {
    let user = ports.accounts.find(&caller.user_id).await?;
    match user.filter(User::is_active) {
        Some(user) => of_user(ports, &user).await.map(Some),
        None => Ok(None),
    }
}

pub(crate) async fn of_user(ports: &Ports, user: &User) -> Result<Quota, StoreError> {
    let now = ports.clock.now();
    let figures = ports.usage.quota(&user.id, Month::of(now), now).await?;
    Ok(of_figures(ports, user, figures, now))
}

pub(crate) fn of_figures(ports: &Ports, user: &User, figures: QuotaFigures, now: Timestamp) -> Quota {
    let limits = ports.policy.tier_limits.of(user.subscription_tier).clone();
    Quota {
        limits: limits.overridden(&figures.own),
        used: figures.used,
        reserved: figures.reserved,
        resets_at: Month::of(now).end(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, ada, caller};
    use subtle_domain::quota::{Limit, Metric};
    use subtle_domain::user::SubscriptionTier;

    #[tokio::test]
    async fn the_tier_gives_the_limits_but_for_those_of_ones_own() {
        let mut mocks = test_ports::Mocks::default();
        let pro = User { subscription_tier: SubscriptionTier::Pro, ..ada() };
        mocks.accounts.expect_find().returning(move |_| Ok(Some(pro.clone())));
        mocks.usage.expect_quota().returning(|_, month, _| {
            assert_eq!(month.to_string(), "2023-11");
            let own = vec![(Metric::Tokens, Limit::AtMost(7.into()))];
            Ok(QuotaFigures { own, ..QuotaFigures::default() })
        });
        let quota = show_quota(&mocks.ports(), &caller()).await.unwrap().unwrap();
        assert_eq!(quota.limits.requests, Limit::AtMost(500_000.into()));
        assert_eq!(quota.limits.tokens, Limit::AtMost(7.into()));
        assert_eq!(quota.resets_at.to_rfc3339(), "2023-12-01T00:00:00+00:00");
    }
}
