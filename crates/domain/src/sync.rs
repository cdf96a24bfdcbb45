//! The sync log: what a person's apps tell each other, in one order for each person.

use std::fmt;

use crate::Timestamp;
use crate::ids::{SyncEventId, UserId};
use crate::session::ClientInfo;
use crate::text::ErrorMessage;

/// Why a text is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the place of an event")]
pub struct InvalidPlace;

/// Where an event stands among those of its person: 1, 2, 3…, in the order in which they were committed, without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(i64);

impl Place {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// Takes what a row says.
    #[must_use]
    pub fn new(number: i64) -> Self {
        Self(number)
    }

    /// Takes up to 18 digits.
    pub fn parse(text: &str) -> Result<Self, InvalidPlace> {
        let fits = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| fits).map(Self).ok_or(InvalidPlace)
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text does not say what kind of event it is, or where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventName {
    /// It is no name.
    #[error("must be 1 to 100 letters, digits, `_`, `.`, `:` or `-`, a letter first")]
    Unfit,
    /// It is the service's own.
    #[error("must not be `subtle`: that is the service itself")]
    Reserved,
}

/// What kind of event it is, or where it comes from: `settings.changed`, `mac_app`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventName(Box<str>);

impl EventName {
    /// Takes the name of a kind: 1 to 100 letters, digits, `_`, `.`, `:` or `-`, a letter first.
    pub fn parse_type(text: &str) -> Result<Self, InvalidEventName> {
        let fits = text.len() <= 100
            && text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte));
        if fits { Ok(Self(text.into())) } else { Err(InvalidEventName::Unfit) }
    }

    /// Takes the name of a source: likewise, but not that of the service.
    pub fn parse_source(text: &str) -> Result<Self, InvalidEventName> {
        if text.eq_ignore_ascii_case(SERVICE) {
            return Err(InvalidEventName::Reserved);
        }
        Self::parse_type(text)
    }

    /// The source of what the service itself tells.
    #[must_use]
    pub fn service() -> Self {
        Self(SERVICE.into())
    }

    /// The kind of an attempt to redeem a bridge token.
    #[must_use]
    pub fn bridge_redemption() -> Self {
        Self("bridge_redemption".into())
    }

    /// A name as the database holds it: another program may have written it, so it is taken as it is.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const SERVICE: &str = "subtle";

/// Something that one of a person's apps, or the service, tells the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncEvent {
    /// Its identifier.
    pub id: SyncEventId,
    /// Whose apps it is for.
    pub user_id: UserId,
    /// What kind of event it is.
    pub event_type: EventName,
    /// Where it comes from.
    pub source: EventName,
    /// What is worth knowing about it: a JSON document, if there is one.
    pub data: Option<String>,
    /// Whether it went well.
    pub success: bool,
    /// What went wrong, if something did.
    pub error: Option<ErrorMessage>,
    /// The client that told it.
    pub client: ClientInfo,
    /// When it was told.
    pub at: Timestamp,
}

/// An event in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedEvent {
    /// Where it stands.
    pub place: Place,
    /// The event, its data as the database keeps it.
    pub event: SyncEvent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_in_digits() {
        for (text, number) in [("0", 0), ("7", 7), ("999999999999999999", 999_999_999_999_999_999)] {
            assert_eq!(Place::parse(text), Ok(Place::new(number)), "{text}");
        }
        for text in ["", "-1", "+1", " 1", "1e3", "0x1", "1.0", "1000000000000000000", "١"] {
            assert_eq!(Place::parse(text), Err(InvalidPlace), "{text}");
        }
        assert_eq!(Place::new(12).to_string(), "12");
        assert!(Place::START < Place::new(1));
    }

    #[test]
    fn names_are_plain() {
        for text in ["a", "settings.changed", "Mac-App_2", "sync:done", &"x".repeat(100)] {
            assert_eq!(EventName::parse_type(text).unwrap().as_str(), text);
            assert_eq!(EventName::parse_source(text).unwrap().as_str(), text);
        }
        for text in ["", "1a", ".a", "a b", "a/b", "ä", "a\n", "a\0", &"x".repeat(101)] {
            assert_eq!(EventName::parse_type(text), Err(InvalidEventName::Unfit), "{text:?}");
        }
    }

    #[test]
    fn nobody_speaks_for_the_service() {
        for text in ["subtle", "Subtle", "SUBTLE"] {
            assert_eq!(EventName::parse_source(text), Err(InvalidEventName::Reserved));
        }
        assert_eq!(EventName::service().as_str(), "subtle");
        assert!(EventName::parse_source("subtle-mac").is_ok());
    }
}
