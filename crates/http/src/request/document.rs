use serde_json::Value;
use serde_json::value::RawValue;

/// Farthest a number's point may be moved: PostgreSQL keeps and shows all the digits of 1e300.
const FARTHEST: usize = 300;

/// Why a document is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidDocument {
    #[error("must be at most {0} bytes of JSON, with its numbers written out")]
    TooLong(usize),
    #[error("must be JSON that can be kept")]
    Unfit,
    #[error("must have no number beyond 1e300 or below 1e-300")]
    FarNumber,
}

/// A JSON document of any form that the database keeps to the last digit, of at most `longest` bytes with its numbers written out; or
/// why it is not taken.
pub(crate) fn document(raw: &RawValue, longest: usize) -> Result<String, InvalidDocument> {
    let text = raw.get();
    if text.len() > longest {
        return Err(InvalidDocument::TooLong(longest));
    }
    // What this parser refuses (half a surrogate pair, nesting without end) the database does too.
    let _parsed: Value = serde_json::from_str(text).map_err(|_told_as_a_whole| InvalidDocument::Unfit)?;
    let mut written_out = text.len();
    for number in numbers(text) {
        let moved = moved(number).filter(|moved| *moved <= FARTHEST);
        written_out += moved.ok_or(InvalidDocument::FarNumber)?;
    }
    if written_out > longest { Err(InvalidDocument::TooLong(longest)) } else { Ok(text.to_owned()) }
}

/// The numbers of a valid document, as they are written.
fn numbers(json: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    json.split(move |c: char| {
        if quoted {
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            return true;
        }
        quoted = c == '"';
        !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')
    })
    .filter(|part| part.starts_with(|c: char| c == '-' || c.is_ascii_digit()))
}

/// How far a number's exponent moves its point.
fn moved(number: &str) -> Option<usize> {
    let exponent = number.split_once(['e', 'E']).map_or("0", |(_, exponent)| exponent);
    usize::try_from(exponent.parse::<i32>().ok()?.unsigned_abs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 16_384;

    fn asked(json: &str) -> Result<String, String> {
        document(&RawValue::from_string(json.to_owned()).unwrap(), LONGEST).map_err(|error| error.to_string())
    }

    #[test]
    fn what_can_be_kept_is_taken_as_it_is_written() {
        for json in [
            "null",
            "-0.5e+300",
            r#"{"a" : [1, "1e9999", "\"", 123456789012345678901234567890.10], "b\\": true}"#,
            r#""\ud83e\udd80 \\""#,
            "[0, -1, 1E-300]",
        ] {
            assert_eq!(asked(json), Ok(json.to_owned()));
        }
    }

    #[test]
    fn what_cannot_is_refused_with_the_reason() {
        let many = format!("[{}1]", "1e300,".repeat(60));
        for (json, part) in [
            (r#""\ud800""#, "can be kept"),
            (&*format!("\"{}\"", "x".repeat(LONGEST)), "16384 bytes"),
            (&many, "written out"),
            (r#"{"a": 1e-301}"#, "1e-300"),
            (r#"["\\", 1e-99999]"#, "1e-300"),
            ("[1e2147483648]", "can be kept"),
            ("1e99999999999", "can be kept"),
            (&format!("{}{}", "[".repeat(200), "]".repeat(200)), "can be kept"),
        ] {
            assert!(asked(json).unwrap_err().contains(part), "{json}: {:?}", asked(json));
        }
    }
}
