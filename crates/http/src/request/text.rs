use actix_web::http::header::{HeaderMap, HeaderName};

/// Whether a JSON document says NUL anywhere: as `\u0000`, the backslash not itself escaped. PostgreSQL keeps no such text.
pub(super) fn says_nul(json: &[u8]) -> bool {
    let mut escaped = false;
    json.iter().enumerate().any(|(at, byte)| {
        let nul = escaped && json.get(at..at + 5) == Some(b"u0000");
        escaped = *byte == b'\\' && !escaped;
        nul
    })
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
