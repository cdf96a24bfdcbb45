//! The billing ledger: its records, their states and the steps between them, and how a month's usage becomes a record.

use std::fmt;

use bigdecimal::{BigDecimal, RoundingMode};

use crate::Timestamp;
use crate::ids::{BillingId, UserId};
use crate::money::{Amount, Currency, InvalidAmount};
use crate::text::Description;
use crate::usage::Month;

/// Where a record of the billing ledger stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum BillingStatus {
    /// Owed: every record starts here.
    Pending,
    /// Paid.
    Completed,
    /// Could not be collected. Final.
    Failed,
    /// Paid and given back. Final.
    Refunded,
}

/// Why a record can't go from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {from} record cannot become {to}")]
pub struct ForbiddenTransition {
    /// Where the record stands.
    pub from: BillingStatus,
    /// Where it was to go.
    pub to: BillingStatus,
}

impl BillingStatus {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Completed, Self::Failed, Self::Refunded];

    /// The state after a step to `next`: pending → completed or failed, completed → refunded, and nothing else.
    pub fn transition_to(self, next: Self) -> Result<Self, ForbiddenTransition> {
        match (self, next) {
            (Self::Pending, Self::Completed | Self::Failed) | (Self::Completed, Self::Refunded) => Ok(next),
            (from, to) => Err(ForbiddenTransition { from, to }),
        }
    }

    /// The name under which the state is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Refunded => "refunded",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

impl fmt::Display for BillingStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A record of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingRecord {
    /// Its identifier.
    pub id: BillingId,
    /// Who owes it.
    pub user_id: UserId,
    /// How much.
    pub amount: Amount,
    /// In which currency. Other programs may have stored one that we don't know.
    pub currency: String,
    /// Where it stands.
    pub status: BillingStatus,
    /// What for.
    pub description: Option<Description>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The sum of records of one currency that stand alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingTotal {
    /// Their currency.
    pub currency: String,
    /// Where they stand.
    pub status: BillingStatus,
    /// How many they are.
    pub records: i64,
    /// What they add up to, with two decimals.
    pub amount: BigDecimal,
}

/// Which records of the ledger are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BillingQuery {
    /// Those of one user only.
    pub user_id: Option<UserId>,
    /// Those that stand so only.
    pub status: Option<BillingStatus>,
}

/// A place in a list of the ledger: behind the record of that time and identifier.
pub type BillingCursor = (Timestamp, String);

/// What a user's usage of a month costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthlyCost {
    /// Who used it.
    pub user_id: UserId,
    /// The exact sum, US dollars.
    pub total: BigDecimal,
}

/// A month's usage of one user, closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The month.
    pub month: Month,
    /// What it cost.
    pub cost: MonthlyCost,
    /// The bill; none where the sum rounds to nothing.
    pub record: Option<BillingRecord>,
}

impl Closing {
    /// Makes the bill of a month's usage: the exact total rounded once, half up, to cents. An error if no record holds as much.
    pub fn new(
        month: Month,
        cost: MonthlyCost,
        id: BillingId,
        now: Timestamp,
    ) -> Result<Self, InvalidAmount> {
        let cents = cost.total.with_scale_round(Amount::SCALE.into(), RoundingMode::HalfUp);
        let amount = match Amount::parse(&cents.to_plain_string()) {
            Ok(amount) => amount,
            Err(InvalidAmount::Zero) => return Ok(Self { month, cost, record: None }),
            Err(too_much) => return Err(too_much),
        };
        let exact = crate::decimal::print(&cost.total, crate::money::Cost::SCALE);
        let record = BillingRecord {
            id,
            user_id: cost.user_id.clone(),
            amount,
            currency: Currency::USD.as_str().to_owned(),
            status: BillingStatus::Pending,
            description: Description::parse(&format!("Usage of {month}: {exact} USD")).ok(),
            created_at: now,
        };
        Ok(Self { month, cost, record: Some(record) })
    }
}

#[cfg(test)]
mod tests {
    use super::BillingStatus::{Completed, Failed, Pending, Refunded};
    use super::*;
    use crate::decimal::InvalidDecimal;

    #[test]
    fn of_all_pairs_of_states_three_are_steps() {
        let allowed = [(Pending, Completed), (Pending, Failed), (Completed, Refunded)];
        for from in BillingStatus::ALL {
            for to in BillingStatus::ALL {
                assert_eq!(from.transition_to(to).is_ok(), allowed.contains(&(from, to)), "{from} → {to}");
            }
        }
    }

    #[test]
    fn a_refusal_names_both_states() {
        let refusal = Refunded.transition_to(Refunded).unwrap_err();
        assert_eq!(refusal.to_string(), "a refunded record cannot become refunded");
    }

    #[test]
    fn names_and_states_match_one_to_one() {
        for status in BillingStatus::ALL {
            assert_eq!(BillingStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(BillingStatus::parse("Pending"), None);
        assert_eq!(BillingStatus::parse(""), None);
    }

    fn close(total: &str) -> Result<Closing, InvalidAmount> {
        let cost = MonthlyCost { user_id: UserId::parse("ada").unwrap(), total: total.parse().unwrap() };
        let now = "2026-12-01T00:00:00Z".parse().unwrap();
        Closing::new(Month::parse("2026-11").unwrap(), cost, BillingId::parse("b1").unwrap(), now)
    }

    #[test]
    fn a_month_is_rounded_once_half_up_to_cents() {
        for (total, amount) in [
            ("12.3449999999", "12.34"),
            ("12.3450000000", "12.35"),
            ("0.0050000000", "0.01"),
            ("0.015", "0.02"),
            ("1", "1.00"),
        ] {
            let record = close(total).unwrap().record.unwrap();
            assert_eq!(record.amount.to_string(), amount, "{total}");
            assert_eq!(record.status, BillingStatus::Pending);
        }
        let record = close("12.3449999999").unwrap().record.unwrap();
        assert_eq!(record.description.unwrap().as_str(), "Usage of 2026-11: 12.3449999999 USD");
    }

    #[test]
    fn what_rounds_to_nothing_has_no_bill_and_what_no_record_holds_is_told() {
        assert_eq!(close("0.0049999999").unwrap().record, None);
        assert_eq!(close("0").unwrap().record, None);
        assert_eq!(close("100000000"), Err(InvalidAmount::Decimal(InvalidDecimal::Range(8))));
    }
}
