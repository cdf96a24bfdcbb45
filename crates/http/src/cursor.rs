//! Cursors: places in a list, opaque to clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use subtle_application::sessions::SessionCursor;
use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityCursor;
use subtle_domain::directory::{UserCursor, UserSort, UserSortKey};
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::timeline::{TimelineCursor, TimelineKind};

/// Why a text is no cursor of the list it was given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no cursor of this list and order")]
pub(crate) struct InvalidCursor;

fn encode(parts: [&str; 3]) -> String {
    URL_SAFE_NO_PAD.encode(parts.join("\n"))
}

/// The three parts: which list, the key there, the identifier there.
fn decode(text: &str) -> Result<(String, String, String), InvalidCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_told_as_a_whole| InvalidCursor)?;
    let text = String::from_utf8(bytes).map_err(|_told_as_a_whole| InvalidCursor)?;
    let (list, rest) = text.split_once('\n').ok_or(InvalidCursor)?;
    let (key, id) = rest.rsplit_once('\n').ok_or(InvalidCursor)?;
    if text.contains('\0') {
        return Err(InvalidCursor);
    }
    Ok((list.to_owned(), key.to_owned(), id.to_owned()))
}

fn time(text: &str) -> Result<Timestamp, InvalidCursor> {
    let time = DateTime::parse_from_rfc3339(text).map_err(|_told_as_a_whole| InvalidCursor)?;
    Ok(time.with_timezone(&Utc))
}

fn list_name(sort: UserSort) -> String {
    format!("users.{}.{}", sort.key, if sort.descending { "desc" } else { "asc" })
}

/// A place in the list of accounts.
pub(crate) fn of_users(cursor: &UserCursor, sort: UserSort) -> String {
    encode([&list_name(sort), &cursor.key, cursor.id.as_str()])
}

/// The place that a cursor names in the list of accounts in that order.
pub(crate) fn users(text: &str, sort: UserSort) -> Result<UserCursor, InvalidCursor> {
    let (list, key, id) = decode(text)?;
    if list != list_name(sort) {
        return Err(InvalidCursor);
    }
    if sort.key == UserSortKey::CreatedAt {
        time(&key)?;
    }
    let id = UserId::parse(&id).map_err(|_told_as_a_whole| InvalidCursor)?;
    Ok(UserCursor { key, id })
}

/// A place in a list of sessions.
pub(crate) fn of_sessions((used_at, id): &SessionCursor) -> String {
    encode(["sessions", &milliseconds(*used_at), id.as_str()])
}

/// The place that a cursor names in a list of sessions.
pub(crate) fn sessions(text: &str) -> Result<SessionCursor, InvalidCursor> {
    let (used_at, id) = in_time("sessions", text)?;
    Ok((used_at, SessionId::parse(&id).map_err(|_told_as_a_whole| InvalidCursor)?))
}

/// A place in a timeline.
pub(crate) fn of_activity((at, id): &ActivityCursor) -> String {
    encode(["activity", &milliseconds(*at), id])
}

/// The place that a cursor names in a timeline.
pub(crate) fn activity(text: &str) -> Result<ActivityCursor, InvalidCursor> {
    in_time("activity", text)
}

/// A place in a list that is ordered by time: of usage or of the ledger.
pub(crate) fn of_row(list: &str, (at, id): &(Timestamp, String)) -> String {
    encode([list, &milliseconds(*at), id])
}

/// The place that a cursor names in the list of that name.
pub(crate) fn row(list: &str, text: &str) -> Result<(Timestamp, String), InvalidCursor> {
    in_time(list, text)
}

/// A place in all that is known about somebody.
pub(crate) fn of_timeline(cursor: &TimelineCursor) -> String {
    encode([&format!("timeline.{}", cursor.kind), &milliseconds(cursor.at), &cursor.id])
}

/// The place that a cursor names there.
pub(crate) fn timeline(text: &str) -> Result<TimelineCursor, InvalidCursor> {
    let (list, at, id) = decode(text)?;
    let kind = list.strip_prefix("timeline.").and_then(TimelineKind::parse).ok_or(InvalidCursor)?;
    Ok(TimelineCursor { at: time(&at)?, kind, id })
}

fn milliseconds(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A place in a list that is ordered by time.
fn in_time(wanted: &str, text: &str) -> Result<(Timestamp, String), InvalidCursor> {
    let (list, key, id) = decode(text)?;
    if list == wanted { Ok((time(&key)?, id)) } else { Err(InvalidCursor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(key: &str) -> UserCursor {
        UserCursor { key: key.to_owned(), id: UserId::parse("u1").unwrap() }
    }

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let by_name = UserSort { key: UserSortKey::FullName, descending: false };
        for key in ["", "ada", "two\nlines", "ü"] {
            assert_eq!(users(&of_users(&at(key), by_name), by_name), Ok(at(key)));
        }
        for kind in TimelineKind::ALL {
            let at = time("2026-11-23T00:00:00.123Z").unwrap();
            let place = TimelineCursor { at, kind: *kind, id: "2026-11-23".to_owned() };
            assert_eq!(timeline(&of_timeline(&place)), Ok(place));
        }
        let place = (time("2026-11-23T00:00:00.123Z").unwrap(), SessionId::parse("s1").unwrap());
        assert_eq!(sessions(&of_sessions(&place)), Ok(place));
    }

    #[test]
    fn a_cursor_of_another_list_or_order_is_refused() {
        let newest = UserSort::default();
        let oldest = UserSort { descending: false, ..newest };
        let place = of_users(&at("2026-11-23T00:00:00.123Z"), newest);
        assert!(users(&place, newest).is_ok());
        assert_eq!(users(&place, oldest), Err(InvalidCursor));
        assert_eq!(sessions(&place), Err(InvalidCursor));
        assert_eq!(timeline(&place), Err(InvalidCursor));
        assert_eq!(users(&of_users(&at("no time"), newest), newest), Err(InvalidCursor));
        for text in ["", "x", "====", "AAAA", "gIE"] {
            assert_eq!(users(text, newest), Err(InvalidCursor), "{text}");
        }
    }
}
