//! All that is known about one person, in one list, newest first: for support.

use chrono::{NaiveDate, NaiveTime, TimeDelta};

use crate::Timestamp;
use crate::activity::RecordedActivity;
use crate::audit::RecordedAudit;
use crate::billing::BillingRecord;
use crate::note::Note;
use crate::session::SessionSummary;
use crate::usage::UsageTotals;
use crate::user::vocabulary;

vocabulary! {
    /// Where an entry comes from. Of one time, they come in reverse alphabetical order.
    TimelineKind {
        /// Something that happened on the account.
        Activity = "activity",
        /// A use of privilege on the account.
        Audit = "audit",
        /// A record of the ledger.
        Billing = "billing",
        /// A note of support.
        Note = "note",
        /// A session that began.
        Session = "session",
        /// A day's usage. Its time is the day's first moment, UTC.
        Usage = "usage",
    }
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimelineEntry {
    /// Something that happened on the account.
    Activity(RecordedActivity),
    /// A use of privilege on the account.
    Audit(RecordedAudit),
    /// A record of the ledger.
    Billing(BillingRecord),
    /// A note of support.
    Note(Note),
    /// A session that began.
    Session(Box<SessionSummary>),
    /// A day's usage.
    Usage(NaiveDate, UsageTotals),
}

impl TimelineEntry {
    /// Where it comes from.
    #[must_use]
    pub fn kind(&self) -> TimelineKind {
        match self {
            Self::Activity(_) => TimelineKind::Activity,
            Self::Audit(_) => TimelineKind::Audit,
            Self::Billing(_) => TimelineKind::Billing,
            Self::Note(_) => TimelineKind::Note,
            Self::Session(_) => TimelineKind::Session,
            Self::Usage(..) => TimelineKind::Usage,
        }
    }

    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Activity(row) => row.at,
            Self::Audit(row) => row.at,
            Self::Billing(record) => record.created_at,
            Self::Note(note) => note.created_at,
            Self::Session(session) => session.created_at,
            Self::Usage(day, _) => day.and_time(NaiveTime::MIN).and_utc(),
        }
    }

    /// The identifier of the row; of a day's usage, the day.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Activity(row) => row.id.clone(),
            Self::Audit(row) => row.id.clone(),
            Self::Billing(record) => record.id.to_string(),
            Self::Note(note) => note.id.to_string(),
            Self::Session(session) => session.id.to_string(),
            Self::Usage(day, _) => day.to_string(),
        }
    }
}

/// A place in the list: behind the entry of that time, kind and identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineCursor {
    /// When.
    pub at: Timestamp,
    /// Where it comes from.
    pub kind: TimelineKind,
    /// Its identifier.
    pub id: String,
}

impl TimelineCursor {
    /// The same place in the list of one kind's rows, which is ordered by time and identifier.
    #[must_use]
    pub fn among(&self, kind: TimelineKind) -> (Timestamp, String) {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match kind.as_str().cmp(self.kind.as_str()) {
            // Those of this moment are still to come: behind the place where the next millisecond's rows end.
            Less => (self.at + TimeDelta::milliseconds(1), String::new()),
            Equal => (self.at, self.id.clone()),
            Greater => (self.at, String::new()),
        }
    }
}

impl From<&TimelineEntry> for TimelineCursor {
    fn from(entry: &TimelineEntry) -> Self {
        Self { at: entry.at(), kind: entry.kind(), id: entry.id() }
    }
}

/// The newest `limit` entries of several lists, each of one kind and newest first.
#[must_use]
pub fn merge(lists: impl IntoIterator<Item = Vec<TimelineEntry>>, limit: usize) -> Vec<TimelineEntry> {
    let mut merged: Vec<_> = lists.into_iter().flatten().collect();
    // Stable: rows of one kind and time stay in the order that the database gave them.
    merged.sort_by(|one, other| {
        other.at().cmp(&one.at()).then_with(|| other.kind().as_str().cmp(one.kind().as_str()))
    });
    merged.truncate(limit);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn activity(id: &str, time: &str) -> TimelineEntry {
        let action = "sign_in".to_owned();
        TimelineEntry::Activity(RecordedActivity { id: id.to_owned(), action, data: None, at: at(time) })
    }

    fn day(day: &str) -> TimelineEntry {
        TimelineEntry::Usage(day.parse().unwrap(), UsageTotals::default())
    }

    #[test]
    fn lists_become_one_newest_first_and_ties_go_by_kind() {
        let happened = vec![
            activity("a3", "2026-11-26T09:00:00Z"),
            activity("a2", "2026-11-25T00:00:00Z"),
            activity("a1", "2026-11-24T23:59:59.999Z"),
        ];
        let used = vec![day("2026-11-25"), day("2026-11-20")];
        let ids = |limit| {
            let merged = merge([happened.clone(), used.clone()], limit);
            merged.iter().map(TimelineEntry::id).collect::<Vec<_>>()
        };
        assert_eq!(ids(9), ["a3", "2026-11-25", "a2", "a1", "2026-11-20"]);
        assert_eq!(ids(2), ["a3", "2026-11-25"]);
    }

    #[test]
    fn a_place_is_found_again_in_each_kinds_list() {
        let place = TimelineCursor::from(&day("2026-11-25"));
        let moment = at("2026-11-25T00:00:00Z");
        assert_eq!(place.among(TimelineKind::Usage), (moment, "2026-11-25".to_owned()));
        assert_eq!(place.among(TimelineKind::Note), (at("2026-11-25T00:00:00.001Z"), String::new()));
        let place = TimelineCursor::from(&activity("a2", "2026-11-25T00:00:00Z"));
        assert_eq!(place.among(TimelineKind::Activity), (moment, "a2".to_owned()));
        assert_eq!(place.among(TimelineKind::Usage), (moment, String::new()));
    }
}
