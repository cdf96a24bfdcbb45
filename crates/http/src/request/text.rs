use std::collections::BTreeMap;

use actix_web::http::header::{HeaderMap, HeaderName};
use serde_json::Value;
use serde_json::value::RawValue;

/// Whether a JSON document says NUL anywhere: as `\u0000`, the backslash not itself escaped. PostgreSQL keeps no such text.
pub(super) fn says_nul(json: &[u8]) -> bool {
    let mut escaped = false;
    json.iter().enumerate().any(|(at, byte)| {
        let nul = escaped && json.get(at..at + 5) == Some(b"u0000");
        escaped = *byte == b'\\' && !escaped;
        nul
    })
}

/// Whether it is only among the items of `events` that a JSON document says NUL.
pub(super) fn only_events_say_nul(json: &[u8]) -> bool {
    let members: Result<BTreeMap<String, Box<RawValue>>, _> = serde_json::from_slice(json);
    members.is_ok_and(|members| {
        let mut members = members.iter();
        members.all(|(name, value)| {
            !name.contains('\0') && (name == "events" || !says_nul(value.get().as_bytes()))
        })
    })
}

/// The path of the first text in a JSON document that has a NUL: `events[2].action`. Where it is in a
/// name, that of the object; empty for the document as a whole, or if it is none.
pub(super) fn nul_field(json: &[u8]) -> String {
    fn find(value: &Value) -> Option<String> {
        let below = |name: String, value| {
            let rest = find(value)?;
            Some(if rest.is_empty() || rest.starts_with('[') {
                name + &rest
            } else {
                format!("{name}.{rest}")
            })
        };
        match value {
            Value::String(text) => text.contains('\0').then(String::new),
            Value::Array(items) => {
                items.iter().enumerate().find_map(|(at, item)| below(format!("[{at}]"), item))
            }
            Value::Object(members) if members.keys().any(|name| name.contains('\0')) => Some(String::new()),
            Value::Object(members) => members.iter().find_map(|(name, member)| below(name.clone(), member)),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        }
    }
    serde_json::from_slice(json).ok().and_then(|value: Value| find(&value)).unwrap_or_default()
}

/// A header that must not be there twice, as text.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_among_events_is_their_own_matter() {
        for (json, only) in [
            (r#"{"events":["\u0000", "\ud800", 1e9999]}"#, true),
            (r#"{"events":[], "a":"\u0000"}"#, false),
            (r#"{"events":["\u0000"], "a":"\u0000"}"#, false),
            (r#"{"\u0000":1}"#, false),
            (r#"["\u0000"]"#, false),
        ] {
            assert_eq!(only_events_say_nul(json.as_bytes()), only, "{json}");
        }
    }

    #[test]
    fn the_field_that_has_a_nul_is_named() {
        for (json, field) in [
            (r#"{"a":"x","b":"\u0000"}"#, "b"),
            (r#"{"events":[{"action":"x"},{"action":"\u0000"}]}"#, "events[1].action"),
            (r#"["\u0000"]"#, "[0]"),
            (r#"{"a\u0000":1}"#, ""),
            (r#"{"events":[{"a\u0000":1}]}"#, "events[0]"),
            (r#"{"a":"\u0000"#, ""),
        ] {
            assert_eq!(nul_field(json.as_bytes()), field, "{json}");
        }
    }

    #[test]
    fn an_escaped_nul_is_found_and_an_escaped_backslash_is_not_one() {
        for (json, found) in [
            (r#"{"a":"\u0000"}"#, true),
            (r#"{"\u0000":1}"#, true),
            (r#"{"a":"x\\\u0000"}"#, true),
            (r#"{"a":"\\u0000"}"#, false),
            (r#"{"a":"\\\\u0000"}"#, false),
            (r#"{"a":"u0000"}"#, false),
            (r#"{"a":"\u0001"}"#, false),
            (r#"{"a":"\"#, false),
            ("", false),
        ] {
            assert_eq!(says_nul(json.as_bytes()), found, "{json}");
        }
    }
}
