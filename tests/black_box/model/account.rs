use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{DOLLAR, Facts, Sums, dollars};

pub(super) const METRICS: [&str; 3] = ["requests", "tokens", "cost"];
pub(super) const TIERS: [&str; 3] = ["free", "pro", "enterprise"];
/// Usage of which nobody said when it happened.
const NOW: &str = "now";

/// What an account should be known for: the service's rules in their shortest form, on numbers in memory.
pub(super) struct Account {
    pub(super) id: String,
    pub(super) tier: &'static str,
    /// Limits of their own; none of a number is none at all.
    pub(super) own: [Option<Option<i128>>; 3],
    /// By day and feature: how many events, and what they add up to.
    usage: BTreeMap<(String, &'static str), (u64, Sums)>,
    /// Under keys, each with the identifier of its row.
    pub(super) known: Vec<(Event, String)>,
    pub(super) holds: Vec<Hold>,
    pub(super) bills: Vec<Bill>,
    /// Months that are closed, and what they cost.
    closed: BTreeMap<String, i128>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) usage: Sums,
    /// Empty is none.
    pub(super) feature: &'static str,
    pub(super) at: Option<String>,
    pub(super) key: Option<String>,
}

pub(super) struct Hold {
    pub(super) id: String,
    pub(super) held: Sums,
    pub(super) feature: &'static str,
    pub(super) end: End,
}

#[derive(Clone, PartialEq)]
pub(super) enum End {
    Open,
    Released,
    /// With this usage, as this row.
    Settled(Sums, String),
}

pub(super) struct Bill {
    pub(super) id: String,
    pub(super) cents: i128,
    pub(super) currency: String,
    pub(super) status: &'static str,
}

/// What the close of a month should come to.
pub(super) enum Closing {
    Nothing,
    TooMuch,
    /// Cents; a sum that rounds to none has no bill.
    Closed(i128),
}

/// A metric's amount as it is answered.
pub(super) fn figure(metric: usize, amount: i128) -> Value {
    if METRICS[metric] == "cost" { dollars(amount).into() } else { json!(amount) }
}

pub(super) fn amount(cents: i128) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Fields of an amount of usage.
pub(super) fn amounts(usage: &Sums) -> Value {
    json!({"requestCount": usage.requests, "totalTokens": usage.tokens, "totalCost": dollars(usage.cost)})
}

impl Event {
    pub(super) fn json(&self, user: &str) -> Value {
        let mut json = amounts(&self.usage);
        json["userId"] = user.into();
        let feature = Some(self.feature).filter(|feature| !feature.is_empty());
        json["featureType"] = feature.into();
        json["occurredAt"] = self.at.as_deref().into();
        json["idempotencyKey"] = self.key.as_deref().into();
        json
    }
}

impl Account {
    pub(super) fn new(id: String) -> Self {
        let (own, tier) = ([None; 3], "free");
        let (usage, known, holds, bills) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        Self { id, tier, own, usage, known, holds, bills, closed: BTreeMap::new() }
    }

    /// What becomes of an event, and of which row the answer tells, where a new one would have this identifier.
    pub(super) fn record(&mut self, event: &Event, new: &str) -> (&'static str, String) {
        let known = event
            .key
            .as_ref()
            .and_then(|key| self.known.iter().find(|(known, _)| known.key.as_ref() == Some(key)));
        if let Some((known, id)) = known {
            return (if known == event { "duplicate" } else { "conflict" }, id.clone());
        }
        let day = event.at.as_deref().map_or(NOW, |at| &at[..10]);
        self.add(day, event.feature, event.usage);
        if event.key.is_some() {
            self.known.push((event.clone(), new.to_owned()));
        }
        ("accepted", new.to_owned())
    }

    fn add(&mut self, day: &str, feature: &'static str, usage: Sums) {
        let (events, sums) = self.usage.entry((day.to_owned(), feature)).or_default();
        *events += 1;
        *sums += usage;
    }

    pub(super) fn settle(&mut self, hold: usize, usage: Sums, row: String) {
        self.add(NOW, self.holds[hold].feature, usage);
        self.holds[hold].end = End::Settled(usage, row);
    }

    fn used(&self) -> Sums {
        sum(self.usage.iter().filter(|((day, _), _)| day == NOW).map(|(_, (_, sums))| *sums))
    }

    fn reserved(&self) -> Sums {
        sum(self.holds.iter().filter(|hold| hold.end == End::Open).map(|hold| hold.held))
    }

    /// What is taken from the budget: used and held.
    pub(super) fn taken(&self) -> [i128; 3] {
        sum([self.used(), self.reserved()].into_iter()).metrics()
    }

    pub(super) fn remaining(&self) -> [Option<i128>; 3] {
        let (limits, taken) = (self.limits(), self.taken());
        [0, 1, 2].map(|metric| Some((limits[metric]? - taken[metric]).max(0)))
    }

    fn limits(&self) -> [Option<i128>; 3] {
        let of_tier = match self.tier {
            "free" => [Some(10_000), Some(10_000_000), Some(5 * DOLLAR)],
            "pro" => [Some(500_000), Some(500_000_000), Some(200 * DOLLAR)],
            _ => [None; 3],
        };
        [0, 1, 2].map(|metric| self.own[metric].unwrap_or(of_tier[metric]))
    }

    pub(super) fn admits(&self, wanted: &Sums) -> bool {
        let wanted = wanted.metrics().into_iter().zip(self.remaining());
        wanted.into_iter().all(|(wanted, left)| wanted == 0 || left.is_none_or(|left| wanted <= left))
    }

    /// The budget as it is answered, but for its end.
    pub(super) fn quota(&self) -> Value {
        let (used, reserved) = (self.used().metrics(), self.reserved().metrics());
        let (limits, remaining) = (self.limits(), self.remaining());
        let standings = METRICS.iter().enumerate().map(|(metric, name)| {
            let figure = |amount| figure(metric, amount);
            let standing = json!({"limit": limits[metric].map(figure), "used": figure(used[metric]),
                "reserved": figure(reserved[metric]), "remaining": remaining[metric].map(figure)});
            ((*name).to_owned(), standing)
        });
        Value::Object(standings.collect())
    }

    /// The summary of the first three months of 2020, or of all times, as it is answered.
    pub(super) fn summary(&self, all_times: bool, by_day: bool) -> Value {
        let mut groups = BTreeMap::<&str, Sums>::new();
        for ((day, feature), (_, sums)) in &self.usage {
            if all_times || day != NOW {
                *groups.entry(if by_day { day } else { feature }).or_default() += *sums;
            }
        }
        let total = amounts(&sum(groups.values().copied()));
        let groups = groups.iter().map(|(group, sums)| {
            let mut json = amounts(sums);
            json[if by_day { "day" } else { "featureType" }] =
                Some(*group).filter(|group| !group.is_empty()).into();
            json
        });
        json!({"total": total, "groups": groups.collect::<Vec<_>>()})
    }

    /// How the ledger's records add up: by currency and status, how many and cents.
    pub(super) fn billed(&self) -> BTreeMap<(&str, &str), (u64, i128)> {
        let mut totals = BTreeMap::<_, (u64, i128)>::new();
        for bill in &self.bills {
            let (records, cents) = totals.entry((bill.currency.as_str(), bill.status)).or_default();
            *records += 1;
            *cents += bill.cents;
        }
        totals
    }

    /// Closes a month.
    pub(super) fn close(&mut self, month: &str) -> Closing {
        let days = self.usage.iter().filter(|((day, _), _)| day.starts_with(month));
        let cost = days.map(|(_, (_, sums))| sums.cost).sum::<i128>();
        if cost == 0 || self.closed.contains_key(month) {
            return Closing::Nothing;
        }
        let cents = in_cents(cost);
        if cents >= 10_000_000_000 {
            return Closing::TooMuch;
        }
        self.closed.insert(month.to_owned(), cost);
        Closing::Closed(cents)
    }

    /// Takes in the bill of a closed month, if it is among these by account and identifier.
    pub(super) fn adopt_bill(&mut self, month: &str, made: &Facts) {
        let Some(cost) = self.closed.get(month) else { return };
        for (_, id) in made.iter().filter(|(user, _)| *user == self.id) {
            if self.bills.iter().all(|bill| bill.id != *id) {
                let (cents, currency) = (in_cents(*cost), "USD".to_owned());
                self.bills.push(Bill { id: id.clone(), cents, currency, status: "pending" });
            }
        }
    }

    /// All that must be in the tables.
    pub(super) fn facts(&self) -> Facts {
        let id = &self.id;
        let mut facts = Facts::new();
        for ((day, feature), (events, sums)) in &self.usage {
            let [requests, tokens, cost] = sums.metrics();
            let sums = format!("{events} {requests} {tokens} {}", dollars(cost));
            facts.insert((format!("usage of {id} {day} {feature}"), sums));
        }
        for Hold { id, end, .. } in &self.holds {
            let end = match end {
                End::Open => "open".to_owned(),
                End::Released => "released".to_owned(),
                End::Settled(_, row) => format!("settled as {row}"),
            };
            facts.insert((format!("hold {id}"), end));
        }
        for Bill { id: bill, cents, currency, status } in &self.bills {
            facts.insert((format!("bill {bill}"), format!("{id} {} {currency} {status}", amount(*cents))));
        }
        for (month, cost) in &self.closed {
            facts.insert((format!("closed {id}"), format!("{month} {}", dollars(*cost))));
        }
        let known: BTreeSet<_> = self.known.iter().map(|(_, row)| row).collect();
        facts.insert((format!("keys of {id}"), known.len().to_string()));
        facts
    }
}

/// Rounded half up.
fn in_cents(cost: i128) -> i128 {
    let cent = DOLLAR / 100;
    (cost + cent / 2) / cent
}

fn sum(usage: impl Iterator<Item = Sums>) -> Sums {
    usage.fold(Sums::default(), |mut sums, usage| {
        sums += usage;
        sums
    })
}
