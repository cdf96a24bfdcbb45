use std::ops::AddAssign;

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

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.tokens += other.tokens;
        self.cost += other.cost;
    }
}
