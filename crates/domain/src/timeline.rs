//! All that is known about one person, in one list: for support.

use bigdecimal::BigDecimal;
use chrono::NaiveDate;

use crate::Timestamp;
use crate::billing::BillingStatus;
use crate::user::vocabulary;

vocabulary! {
    /// Where an entry comes from.
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

/// An entry: when, what, and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// The identifier of the row; of a day's usage, the day.
    pub id: String,
    /// What there is to say.
    pub what: TimelineFact,
}

/// What there is to say about an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimelineFact {
    /// Something that happened on the account, with a JSON document about it.
    Activity {
        /// What.
        action: String,
        /// The document.
        data: Option<String>,
    },
    /// A use of privilege on the account, with a JSON document about it.
    Audit {
        /// What.
        action: String,
        /// Who did it.
        actor: String,
        /// The document.
        details: Option<String>,
    },
    /// A record of the ledger.
    Billing {
        /// How much.
        amount: BigDecimal,
        /// In which currency.
        currency: String,
        /// Where it stands now.
        status: BillingStatus,
    },
    /// A note of support.
    Note {
        /// By whom.
        author: String,
        /// What it says.
        note: String,
        /// Whether somebody should look at it.
        is_flagged: bool,
    },
    /// A session that began.
    Session {
        /// From where.
        ip_address: Option<String>,
        /// With what.
        user_agent: Option<String>,
        /// When it was ended before its time, if it was.
        revoked_at: Option<Timestamp>,
    },
    /// A day's usage.
    Usage {
        /// The day, UTC.
        day: NaiveDate,
        /// Requests made.
        requests: i64,
        /// Tokens read and written.
        tokens: i64,
        /// What it cost, US dollars.
        cost: BigDecimal,
    },
}

impl TimelineFact {
    /// Where the entry comes from.
    #[must_use]
    pub fn kind(&self) -> TimelineKind {
        match self {
            Self::Activity { .. } => TimelineKind::Activity,
            Self::Audit { .. } => TimelineKind::Audit,
            Self::Billing { .. } => TimelineKind::Billing,
            Self::Note { .. } => TimelineKind::Note,
            Self::Session { .. } => TimelineKind::Session,
            Self::Usage { .. } => TimelineKind::Usage,
        }
    }
}

/// A place in the list, behind the entry of that time, kind and identifier. Of one time, kinds come in reverse alphabetical order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineCursor {
    /// When.
    pub at: Timestamp,
    /// Where it comes from.
    pub kind: TimelineKind,
    /// Its identifier.
    pub id: String,
}
