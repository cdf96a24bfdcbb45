//! Reading answers: a status line, headers of which one matters, a body of the length that it says.

use std::ops::Range;

/// What bytes that have arrived so far are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// There is more to come.
    Partial,
    Whole(Answer),
    Unreadable,
}

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Where its body is.
    pub(crate) body: Range<usize>,
}

const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const LENGTH: &[u8] = b"\r\ncontent-length:";

/// Reads an answer that begins with the first byte. One without a length has no body, as with 204.
pub(crate) fn parse(input: &[u8]) -> Parsed {
    let Some(end) = find(input, END_OF_HEAD) else { return Parsed::Partial };
    let head = &input[..end];
    let Some(status) = status(head) else { return Parsed::Unreadable };
    let Some(length) = length(head) else { return Parsed::Unreadable };
    let body = end + END_OF_HEAD.len()..end + END_OF_HEAD.len() + length;
    if input.len() < body.end { Parsed::Partial } else { Parsed::Whole(Answer { status, body }) }
}

/// `HTTP/1.1 200 OK`
fn status(head: &[u8]) -> Option<u16> {
    let digits = head.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `None` if what is said is no number.
fn length(head: &[u8]) -> Option<usize> {
    let said = head.windows(LENGTH.len()).position(|here| here.eq_ignore_ascii_case(LENGTH));
    let Some(place) = said else { return Some(0) };
    let value = head[place + LENGTH.len()..].split(|byte| *byte == b'\r').next()?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

/// Where some bytes are first.
pub(crate) fn find(among: &[u8], what: &[u8]) -> Option<usize> {
    let (first, length) = (*what.first()?, what.len());
    let mut from = 0;
    while let Some(step) = among.get(from..)?.iter().position(|byte| *byte == first) {
        from += step;
        if among.get(from..from + length) == Some(what) {
            return Some(from);
        }
        from += 1;
    }
    None
}

/// The text of a field of a JSON document, where the field's name is there once and the text has nothing that is escaped.
pub(crate) fn text<'a>(body: &'a [u8], field: &str) -> Option<&'a [u8]> {
    let begin = format!("\"{field}\":\"");
    let from = find(body, begin.as_bytes())? + begin.len();
    let length = body[from..].iter().position(|byte| *byte == b'"')?;
    Some(&body[from..from + length])
}
