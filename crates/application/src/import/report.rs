use std::collections::BTreeMap;

use subtle_domain::import::{Change, Refusal, SessionLoss};

/// What became of the accounts of another service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Accounts there.
    pub found: u64,
    /// Accounts that were looked at.
    pub looked_at: u64,
    /// Accounts that were made here.
    pub taken: u64,
    /// Accounts that were here already, under the same identifier. Nothing of theirs is changed.
    pub already_here: u64,
    /// Taken accounts of which something is not as it was, by what it is.
    pub changed: BTreeMap<&'static str, Tally>,
    /// Accounts that were not taken, by the reason.
    pub refused: BTreeMap<&'static str, Tally>,
    /// Second factors that came along.
    pub second_factors: u64,
    /// Identities at providers that came along.
    pub identities: u64,
    /// Sessions that wait to be taken over.
    pub sessions: u64,
    /// Sessions of taken accounts that do not go on, by the reason.
    pub sessions_lost: BTreeMap<&'static str, u64>,
}

/// How many accounts, and which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Their identifiers at the other service.
    pub ids: Vec<String>,
}

impl Tally {
    /// How many they are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ids.len()
    }
}

impl ImportReport {
    pub(super) fn change(&mut self, id: &str, change: Change) {
        self.changed.entry(change.as_str()).or_default().ids.push(id.to_owned());
    }

    pub(super) fn refuse(&mut self, id: &str, why: Refusal) {
        self.refused.entry(why.as_str()).or_default().ids.push(id.to_owned());
    }

    pub(super) fn lose(&mut self, why: SessionLoss) {
        *self.sessions_lost.entry(why.as_str()).or_default() += 1;
    }

    /// How many accounts were refused, whatever the reason.
    #[must_use]
    pub fn refusals(&self) -> usize {
        self.refused.values().map(Tally::count).sum()
    }
}
