//! The states of a ledger record and the steps between them.

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::BillingStatus::{self, Completed, Failed, Pending, Refunded};

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
}
