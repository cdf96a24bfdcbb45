//! The parts of `cargo xtask bench` that figures depend on and that can be looked at alone.

use std::time::Duration;

use answers::{Parsed, find, parse, text};
use histogram::Histogram;

#[path = "../bench/answers.rs"]
mod answers;
#[path = "../bench/histogram.rs"]
mod histogram;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nx: y\r\n\r\n{\"a\":\"b\"}HTTP";

#[test]
fn an_answer_is_whole_when_its_body_is() {
    for length in 0..ANSWER.len() - 4 {
        assert_eq!(parse(&ANSWER[..length]), Parsed::Partial, "{length}");
    }
    let Parsed::Whole(answer) = parse(ANSWER) else { panic!() };
    assert_eq!((answer.status, &ANSWER[answer.body.clone()]), (200, &b"{\"a\":\"b\"}"[..]));
    assert_eq!(text(&ANSWER[answer.body], "a"), Some(&b"b"[..]));
}

#[test]
fn an_answer_without_a_length_has_no_body() {
    let Parsed::Whole(answer) = parse(b"HTTP/1.1 204 No Content\r\n\r\n") else { panic!() };
    assert_eq!((answer.status, answer.body.len()), (204, 0));
}

#[test]
fn what_is_no_answer_is_not_waited_for() {
    for head in ["HTTP/2 200", "HTTP/1.1 abc", "HTTP/1.1 200\r\ncontent-length: x"] {
        assert_eq!(parse(format!("{head}\r\n\r\n").as_bytes()), Parsed::Unreadable, "{head}");
    }
}

#[test]
fn bytes_are_found_where_they_begin_more_than_once() {
    assert_eq!(find(b"aaab", b"aab"), Some(1));
    assert_eq!(find(b"aaa", b"ab"), None);
    assert_eq!(find(b"", b"a"), None);
}

#[test]
fn half_of_all_took_no_longer_than_the_median() {
    let mut histogram = Histogram::default();
    assert_eq!(histogram.quantile(0.5), None);
    (1..=100).for_each(|millis| histogram.record(Duration::from_millis(millis)));
    let median = histogram.quantile(0.5).unwrap();
    assert!((50_000..=51_000).contains(&median.as_micros()), "{median:?}");
    assert_eq!(histogram.quantile(1.0), Some(Duration::from_millis(100)));
}

#[test]
fn a_bucket_ends_less_than_two_in_a_hundred_behind_what_is_in_it() {
    for micros in (0..5_000).chain([1 << 20, (1 << 20) + 1, 999_999_999]) {
        let took = Duration::from_micros(micros);
        let mut histogram = Histogram::default();
        histogram.record(took);
        histogram.record(Duration::from_hours(10));
        let median = histogram.quantile(0.5).unwrap();
        assert!(
            median >= took && median.as_micros() <= took.as_micros() * 65 / 64 + 1,
            "{took:?}: {median:?}"
        );
    }
}
