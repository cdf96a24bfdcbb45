use std::collections::BTreeSet;
use std::ops::AddAssign;

/// What is known or there: what about, and how it stands.
pub(crate) type Facts = BTreeSet<(String, String)>;

/// 10⁻¹⁰ dollars: what costs are counted in here, with an arithmetic that shares nothing with the service's.
pub(crate) const DOLLAR: i128 = 10_000_000_000;

/// An amount of so many 10⁻¹⁰ dollars, with its ten decimals.
pub(crate) fn dollars(units: i128) -> String {
    format!("{}.{:010}", units / DOLLAR, units % DOLLAR)
}

/// Usage, or a sum of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Sums {
    pub(crate) requests: i128,
    pub(crate) tokens: i128,
    /// In 10⁻¹⁰ dollars.
    pub(crate) cost: i128,
}

impl Sums {
    /// Requests, tokens and cost.
    pub(crate) fn metrics(self) -> [i128; 3] {
        [self.requests, self.tokens, self.cost]
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.tokens += other.tokens;
        self.cost += other.cost;
    }
}

/// How many sums of usage by user, day and feature are not those of the rows.
pub(crate) const UNRECONCILED: &str = "
    SELECT count(*) FROM (
        SELECT user_id, day, feature_type, events, request_count, total_tokens, total_cost FROM usage_daily
    ) AS told FULL JOIN (
        SELECT user_id, (created_at AT TIME ZONE 'UTC')::date AS day, coalesce(feature_type, '') AS feature_type,
            count(*) AS events, sum(request_count) AS request_count, sum(total_tokens) AS total_tokens,
            sum(total_cost) AS total_cost
        FROM user_usage_metrics GROUP BY 1, 2, 3
    ) AS counted USING (user_id, day, feature_type, events, request_count, total_tokens, total_cost)
    WHERE told.user_id IS NULL OR counted.user_id IS NULL";
