//! Budgets: how much may be used in a calendar month, what was, and what is held for calls under way.

use bigdecimal::{BigDecimal, Zero};

use crate::Timestamp;
use crate::ids::{ReservationId, UsageId, UserId};
use crate::money::Cost;
use crate::text::Label;
use crate::usage::{Usage, UsageTotals};
use crate::user::{SubscriptionTier, vocabulary};

vocabulary! {
    /// What a budget is about.
    Metric {
        /// Requests made.
        Requests = "requests",
        /// Tokens read and written.
        Tokens = "tokens",
        /// What it cost, US dollars.
        Cost = "cost",
    }
}

/// How much of a metric may be used in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// As much as one likes.
    Unlimited,
    /// This much: requests and tokens in whole numbers, cost in US dollars.
    AtMost(BigDecimal),
}

/// A limit for each metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Of requests.
    pub requests: Limit,
    /// Of tokens.
    pub tokens: Limit,
    /// Of cost.
    pub cost: Limit,
}

impl QuotaLimits {
    /// No limits.
    pub const UNLIMITED: Self =
        Self { requests: Limit::Unlimited, tokens: Limit::Unlimited, cost: Limit::Unlimited };

    /// Limits of all three.
    #[must_use]
    pub fn at_most(requests: u32, tokens: u32, cost: u32) -> Self {
        Self {
            requests: Limit::AtMost(requests.into()),
            tokens: Limit::AtMost(tokens.into()),
            cost: Limit::AtMost(cost.into()),
        }
    }

    /// That of a metric.
    #[must_use]
    pub fn of(&self, metric: Metric) -> &Limit {
        match metric {
            Metric::Requests => &self.requests,
            Metric::Tokens => &self.tokens,
            Metric::Cost => &self.cost,
        }
    }

    /// These, but for those that a user was given of their own.
    #[must_use]
    pub fn overridden(mut self, own: &[(Metric, Limit)]) -> Self {
        for (metric, limit) in own {
            let slot = match metric {
                Metric::Requests => &mut self.requests,
                Metric::Tokens => &mut self.tokens,
                Metric::Cost => &mut self.cost,
            };
            *slot = limit.clone();
        }
        self
    }
}

/// The limits of each tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierLimits {
    /// Of those who pay nothing.
    pub free: QuotaLimits,
    /// Of those who pay for more.
    pub pro: QuotaLimits,
    /// Of those who pay by contract.
    pub enterprise: QuotaLimits,
}

impl Default for TierLimits {
    fn default() -> Self {
        Self {
            free: QuotaLimits::at_most(10_000, 10_000_000, 5),
            pro: QuotaLimits::at_most(500_000, 500_000_000, 200),
            enterprise: QuotaLimits::UNLIMITED,
        }
    }
}

impl TierLimits {
    /// Those of a tier.
    #[must_use]
    pub fn of(&self, tier: SubscriptionTier) -> &QuotaLimits {
        match tier {
            SubscriptionTier::Free => &self.free,
            SubscriptionTier::Pro => &self.pro,
            SubscriptionTier::Enterprise => &self.enterprise,
        }
    }
}

/// What a user's budget is made of, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuotaFigures {
    /// Limits that the user was given of their own.
    pub own: Vec<(Metric, Limit)>,
    /// What was used this month.
    pub used: UsageTotals,
    /// What is held now.
    pub reserved: UsageTotals,
}

/// Where a user's budget stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The limits.
    pub limits: QuotaLimits,
    /// What was used this month.
    pub used: UsageTotals,
    /// What is held for calls under way.
    pub reserved: UsageTotals,
    /// When the month ends.
    pub resets_at: Timestamp,
}

/// Where a budget stands in one metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricStanding {
    /// The metric.
    pub metric: Metric,
    /// Its limit; `None` is none.
    pub limit: Option<BigDecimal>,
    /// What was used this month.
    pub used: BigDecimal,
    /// What is held.
    pub reserved: BigDecimal,
    /// What is left, never below zero; `None` without a limit.
    pub remaining: Option<BigDecimal>,
}

/// A hold is refused: more is wanted of some metrics than is left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the quota is used up")]
pub struct QuotaExceeded {
    /// Those metrics, and how much was wanted of each.
    pub wanted: Vec<(Metric, BigDecimal)>,
    /// Where the budget stands.
    pub quota: Quota,
}

impl Quota {
    /// Where the budget stands in a metric.
    #[must_use]
    pub fn standing(&self, metric: Metric) -> MetricStanding {
        let (used, reserved) = (amount(&self.used, metric), amount(&self.reserved, metric));
        let limit = match self.limits.of(metric) {
            Limit::Unlimited => None,
            Limit::AtMost(limit) => Some(limit.clone()),
        };
        let remaining = limit.as_ref().map(|limit| (limit - &used - &reserved).max(BigDecimal::zero()));
        MetricStanding { metric, limit, used, reserved, remaining }
    }

    /// Grants a hold, if of each metric that it wants something of there is enough left.
    pub fn admit(self, wanted: &Usage) -> Result<(), Box<QuotaExceeded>> {
        let wanted = UsageTotals {
            requests: wanted.requests.get().into(),
            tokens: wanted.tokens.get().into(),
            cost: wanted.cost.value().clone(),
        };
        let too_much = Metric::ALL.iter().filter_map(|metric| {
            let wanted = amount(&wanted, *metric);
            let left = self.standing(*metric).remaining?;
            (!wanted.is_zero() && wanted > left).then_some((*metric, wanted))
        });
        let too_much: Vec<_> = too_much.collect();
        if too_much.is_empty() {
            Ok(())
        } else {
            Err(Box::new(QuotaExceeded { wanted: too_much, quota: self }))
        }
    }
}

fn amount(totals: &UsageTotals, metric: Metric) -> BigDecimal {
    match metric {
        Metric::Requests => totals.requests.into(),
        Metric::Tokens => totals.tokens.into(),
        Metric::Cost => totals.cost.clone(),
    }
}

/// Prints an amount of a metric: cost with its ten decimals, the others whole.
#[must_use]
pub fn print(metric: Metric, amount: &BigDecimal) -> String {
    let scale = match metric {
        Metric::Requests | Metric::Tokens => 0,
        Metric::Cost => Cost::SCALE,
    };
    crate::decimal::print(amount, scale)
}

/// Usage that is held until it is known what was used indeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Its identifier.
    pub id: ReservationId,
    /// Whose budget it is taken from.
    pub user_id: UserId,
    /// What is held.
    pub held: Usage,
    /// What for.
    pub feature: Option<Label>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it counts no more.
    pub expires_at: Timestamp,
    /// What became of it.
    pub end: ReservationEnd,
}

/// What became of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReservationEnd {
    /// Nothing yet; it counts until it expires.
    Open,
    /// The actual usage was recorded, as this row.
    Settled(UsageId),
    /// It was given back.
    Released,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::tests::usage;

    fn totals(requests: i64, tokens: i64, cost: &str) -> UsageTotals {
        UsageTotals { requests, tokens, cost: cost.parse().unwrap() }
    }

    fn quota(limits: QuotaLimits, used: UsageTotals, reserved: UsageTotals) -> Quota {
        Quota { limits, used, reserved, resets_at: "2026-12-01T00:00:00Z".parse().unwrap() }
    }

    #[test]
    fn a_hold_is_granted_up_to_the_limit_and_not_beyond() {
        let at = |requests, tokens, cost| {
            quota(QuotaLimits::at_most(10, 1_000, 1), totals(5, 500, "0.5"), totals(2, 100, "0.1"))
                .admit(&usage(requests, tokens, cost))
        };
        assert_eq!(at(3, 400, "0.4"), Ok(()));
        let metrics = |refused: Result<(), Box<QuotaExceeded>>| {
            refused.unwrap_err().wanted.into_iter().map(|(metric, _)| metric).collect::<Vec<_>>()
        };
        assert_eq!(metrics(at(4, 0, "0")), [Metric::Requests]);
        assert_eq!(metrics(at(3, 401, "0")), [Metric::Tokens]);
        assert_eq!(metrics(at(0, 0, "0.4000000001")), [Metric::Cost]);
        assert_eq!(metrics(at(4, 401, "0.5")), [Metric::Requests, Metric::Tokens, Metric::Cost]);
    }

    #[test]
    fn a_metric_that_is_overrun_stops_only_what_wants_more_of_it() {
        let overrun = || quota(QuotaLimits::at_most(10, 1_000, 1), totals(50, 0, "0"), totals(0, 0, "0"));
        assert_eq!(overrun().standing(Metric::Requests).remaining, Some(0.into()));
        assert_eq!(overrun().admit(&usage(0, 1_000, "1")), Ok(()));
        assert!(overrun().admit(&usage(1, 1_000, "1")).is_err());
    }

    #[test]
    fn no_limit_is_never_reached() {
        let quota = quota(QuotaLimits::UNLIMITED, totals(i64::MAX, i64::MAX, "9e20"), totals(0, 0, "0"));
        assert_eq!(quota.standing(Metric::Tokens).remaining, None);
        assert_eq!(quota.admit(&usage(2_147_483_647, 2_147_483_647, "9999999999")), Ok(()));
    }

    #[test]
    fn limits_of_ones_own_go_before_those_of_the_tier() {
        let own = [(Metric::Tokens, Limit::AtMost(7.into())), (Metric::Cost, Limit::Unlimited)];
        let limits = TierLimits::default().of(SubscriptionTier::Free).clone().overridden(&own);
        assert_eq!(limits.requests, Limit::AtMost(10_000.into()));
        assert_eq!(limits.tokens, Limit::AtMost(7.into()));
        assert_eq!(limits.cost, Limit::Unlimited);
    }
}
