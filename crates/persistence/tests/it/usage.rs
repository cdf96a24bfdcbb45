//! Usage inside a unit of work, and reading it.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod log;
mod reports;
mod unit;

use subtle_domain::Timestamp;
use subtle_domain::ids::UsageId;
use subtle_domain::money::Cost;
use subtle_domain::text::{IdempotencyKey, Label};
use subtle_domain::usage::{Count, Recorded, Usage, UsageEvent, UsageTotals};

use crate::support::{start, user_id};

const ROWS: &str = "SELECT count(*) FROM user_usage_metrics";

fn usage(requests: i64, tokens: i64, cost: &str) -> Usage {
    Usage {
        requests: Count::new(requests).unwrap(),
        tokens: Count::new(tokens).unwrap(),
        cost: Cost::parse(cost).unwrap(),
    }
}

fn usage_id(text: &str) -> UsageId {
    UsageId::parse(text).unwrap()
}

/// 1 request, 200 tokens, $0.00003 of chat.
fn event(id: &str, user: &str, key: Option<&str>) -> UsageEvent {
    UsageEvent {
        id: usage_id(id),
        user_id: user_id(user),
        usage: usage(1, 200, "0.00003"),
        feature: Label::parse("chat").ok(),
        key: key.map(|key| IdempotencyKey::parse(key).unwrap()),
        at: start(),
        at_given: true,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn totals(requests: i64, tokens: i64, cost: &str) -> UsageTotals {
    UsageTotals { requests, tokens, cost: cost.parse().unwrap() }
}

fn accepted(id: &str) -> Recorded {
    Recorded::Accepted(usage_id(id))
}
