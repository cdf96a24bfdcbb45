//! Usage of the AI product: what was used, by whom, what for. Recorded exactly, and never refused for being too much.

use std::fmt;
use std::ops::AddAssign;

use bigdecimal::{BigDecimal, Zero};
use chrono::{Datelike, NaiveDate};

use crate::Timestamp;
use crate::ids::{UsageId, UserId};
use crate::money::Cost;
use crate::text::{IdempotencyKey, Label};
use crate::user::vocabulary;

/// Why a number is no count of a usage row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number from 0 to {}", i32::MAX)]
pub struct InvalidCount;

/// Requests or tokens of one event: 0 to 2³¹ − 1, which is what the column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Count(i32);

impl Count {
    /// Takes a number from 0 to 2³¹ − 1.
    pub fn new(number: i64) -> Result<Self, InvalidCount> {
        i32::try_from(number).ok().filter(|number| *number >= 0).map(Self).ok_or(InvalidCount)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> i32 {
        self.0
    }
}

/// An amount of usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Requests made.
    pub requests: Count,
    /// Tokens read and written.
    pub tokens: Count,
    /// What it cost.
    pub cost: Cost,
}

impl Usage {
    /// Whether it is nothing at all.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.requests.get() == 0 && self.tokens.get() == 0 && self.cost.value().is_zero()
    }
}

/// Usage that an AI backend tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEvent {
    /// Of the row that it becomes.
    pub id: UsageId,
    /// Who used it.
    pub user_id: UserId,
    /// How much.
    pub usage: Usage,
    /// What for.
    pub feature: Option<Label>,
    /// Under which it is known for ever: the user's rows have each key once.
    pub key: Option<IdempotencyKey>,
    /// When: as the sender says, or else when it arrived.
    pub at: Timestamp,
    /// Whether the sender said when.
    pub at_given: bool,
}

impl UsageEvent {
    /// Whether it tells the same as one that was recorded under its key. Who leaves the time out means the same event whenever
    /// they say so.
    #[must_use]
    pub fn repeats(&self, recorded: &Self) -> bool {
        self.user_id == recorded.user_id
            && self.usage == recorded.usage
            && self.feature == recorded.feature
            && self.at_given == recorded.at_given
            && (!self.at_given || self.at == recorded.at)
    }
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It is a row now.
    Accepted(UsageId),
    /// It was one already.
    Duplicate(UsageId),
    /// Something else is known under its key.
    Conflict(UsageId),
    /// There is no such account, or no longer.
    UnknownUser,
}

/// A row of usage as it is read: other programs write rows too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// Its identifier.
    pub id: String,
    /// Requests made.
    pub requests: i32,
    /// Tokens read and written.
    pub tokens: i32,
    /// What it cost, US dollars.
    pub cost: BigDecimal,
    /// What for.
    pub feature: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Sums of usage. They never overflow: 2³² rows of the largest count fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageTotals {
    /// Requests made.
    pub requests: i64,
    /// Tokens read and written.
    pub tokens: i64,
    /// What it cost, US dollars, with ten decimals.
    pub cost: BigDecimal,
}

impl AddAssign<&Self> for UsageTotals {
    fn add_assign(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.cost += &other.cost;
    }
}

vocabulary! {
    /// By what a summary is divided.
    UsageGrouping {
        /// A group for each day, UTC.
        Day = "day",
        /// A group for each feature.
        Feature = "feature",
    }
}

/// What a group of a summary has in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsageGroup {
    /// The day, UTC.
    Day(NaiveDate),
    /// The feature; `None` where the rows name none.
    Feature(Option<String>),
}

/// Days from the first to the last, UTC, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub from: NaiveDate,
    /// The last.
    pub to: NaiveDate,
}

/// Why a text is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a month such as \"2026-11\", from 1970-01 to 9999-11")]
pub struct InvalidMonth;

/// A calendar month, UTC: the period of quotas and bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    first: NaiveDate,
    /// The first of the month after.
    next: NaiveDate,
}

impl Month {
    fn new(year: i32, month: u32) -> Option<Self> {
        let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        Some(Self {
            first: NaiveDate::from_ymd_opt(year, month, 1)?,
            next: NaiveDate::from_ymd_opt(next_year, next_month, 1)?,
        })
    }

    /// The month of a point in time.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        // Every month of chrono's years but the very last has a next one.
        Self::new(at.year(), at.month()).unwrap_or(Self { first: at.date_naive(), next: NaiveDate::MAX })
    }

    /// Parses `2026-11`.
    pub fn parse(text: &str) -> Result<Self, InvalidMonth> {
        let (year, month) = text.split_once('-').ok_or(InvalidMonth)?;
        let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(InvalidMonth);
        }
        let number = |text: &str| text.parse::<u32>().map_err(|_unreachable_for_digits| InvalidMonth);
        let (year, month) = (number(year)?, number(month)?);
        let within = (1970..=9999).contains(&year) && (year, month) < (9999, 12);
        let year = i32::try_from(year).map_err(|_unreachable_for_four_digits| InvalidMonth)?;
        Self::new(year, month).filter(|_| within).ok_or(InvalidMonth)
    }

    /// Its days.
    #[must_use]
    pub fn days(self) -> Days {
        Days { from: self.first, to: self.next.pred_opt().unwrap_or(self.next) }
    }

    /// When the next one begins.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.next.and_time(chrono::NaiveTime::MIN).and_utc()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first.format("%Y-%m"))
    }
}

/// A place in a list of usage: behind the row of that time and identifier.
pub type UsageCursor = (Timestamp, String);

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn usage(requests: i64, tokens: i64, cost: &str) -> Usage {
        Usage {
            requests: Count::new(requests).unwrap(),
            tokens: Count::new(tokens).unwrap(),
            cost: Cost::parse(cost).unwrap(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn event() -> UsageEvent {
        UsageEvent {
            id: UsageId::parse("e1").unwrap(),
            user_id: UserId::parse("ada").unwrap(),
            usage: usage(1, 200, "0.00003"),
            feature: Label::parse("chat").ok(),
            key: IdempotencyKey::parse("k1").ok(),
            at: at("2026-11-25T08:00:00Z"),
            at_given: true,
        }
    }

    #[test]
    fn counts_are_what_the_column_holds() {
        for number in [0, 1, 2_147_483_647] {
            assert_eq!(i64::from(Count::new(number).unwrap().get()), number);
        }
        for number in [-1, 2_147_483_648, i64::MIN, i64::MAX] {
            assert_eq!(Count::new(number), Err(InvalidCount), "{number}");
        }
    }

    #[test]
    fn an_event_repeats_what_tells_the_same_whatever_its_identifier() {
        let recorded = event();
        assert!(UsageEvent { id: UsageId::parse("e2").unwrap(), ..event() }.repeats(&recorded));
        for other in [
            UsageEvent { usage: usage(2, 200, "0.00003"), ..event() },
            UsageEvent { usage: usage(1, 201, "0.00003"), ..event() },
            UsageEvent { usage: usage(1, 200, "0.00004"), ..event() },
            UsageEvent { feature: None, ..event() },
            UsageEvent { at: at("2026-11-25T08:00:01Z"), ..event() },
            UsageEvent { at_given: false, ..event() },
        ] {
            assert!(!other.repeats(&recorded), "{other:?}");
        }
        let untimed = UsageEvent { at_given: false, ..event() };
        assert!(UsageEvent { at: at("2027-01-01T00:00:00Z"), ..untimed.clone() }.repeats(&untimed));
    }

    #[test]
    fn a_month_has_its_days_and_ends_where_the_next_begins() {
        for (text, from, to, end) in [
            ("2026-11", "2026-11-01", "2026-11-30", "2026-12-01T00:00:00Z"),
            ("2026-12", "2026-12-01", "2026-12-31", "2027-01-01T00:00:00Z"),
            ("2024-02", "2024-02-01", "2024-02-29", "2024-03-01T00:00:00Z"),
            ("1970-01", "1970-01-01", "1970-01-31", "1970-02-01T00:00:00Z"),
        ] {
            let month = Month::parse(text).unwrap();
            let days = Days { from: from.parse().unwrap(), to: to.parse().unwrap() };
            assert_eq!((month.days(), month.end()), (days, at(end)));
            assert_eq!(month.to_string(), text);
        }
        assert_eq!(Month::of(at("2026-11-30T23:59:59.999Z")), Month::parse("2026-11").unwrap());
    }

    #[test]
    fn what_is_no_month_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13",
            "2026-00",
            "26-11",
            "2026-1",
            "+026-01",
            "2026-11-01",
            "1969-12",
            "9999-12",
        ] {
            assert_eq!(Month::parse(text), Err(InvalidMonth), "{text}");
        }
    }
}
