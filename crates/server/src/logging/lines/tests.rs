use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{fmt as subscriber_fmt, registry};

use super::super::fields::SpanFields;
use super::*;

/// What a person who signs in may send us as their address or browser.
const FORGED: &str =
    "a\r\n{\"level\":\"INFO\",\"message\":\"forged\"}\u{1b}[2J\u{9b}31m\u{2028}b\u{202e}\u{7f}";

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(style: Style, events: impl FnOnce()) -> String {
    let paper = Paper::default();
    let writer = paper.clone();
    let layer = subscriber_fmt::layer()
        .with_writer(move || writer.clone())
        .event_format(Lines::new(style))
        .fmt_fields(SpanFields);
    tracing::subscriber::with_default(registry().with(layer), events);
    let bytes = paper.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn parsed(text: &str) -> Value {
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_came_from_outside_can_neither_begin_a_line_nor_reach_the_terminal() {
    for style in [Style::Text, Style::Json] {
        let text = written(style, || {
            let _span = tracing::info_span!("request", path = FORGED, method = %FORGED).entered();
            tracing::info!(email = FORGED, agent = %FORGED, quoted = ?FORGED, "signed in: {FORGED}");
        });
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains(breaks_out), "{line:?}");
    }
}

#[test]
fn a_json_line_gives_the_value_back_as_it_was() {
    let line = parsed(&written(Style::Json, || tracing::info!(email = FORGED, "x {FORGED}")));
    assert_eq!(line["email"], FORGED);
    assert_eq!(line["message"], format!("x {FORGED}"));
    assert_eq!(line["level"], "INFO");
}

#[test]
fn fields_keep_their_types_and_spans_lend_theirs() {
    let line = parsed(&written(Style::Json, || {
        let span = tracing::info_span!("request", id = "r1", status = tracing::field::Empty);
        span.record("status", 200);
        span.in_scope(|| tracing::warn!(milliseconds = 3_u64, ok = true, share = 0.5, "answered"));
    }));
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(timestamp.ends_with('Z') && timestamp.len() >= 20, "{timestamp}");
    let expected = json!({
        "timestamp": timestamp, "level": "WARN", "message": "answered", "id": "r1", "status": 200,
        "milliseconds": 3, "ok": true, "share": 0.5, "target": module_path!(),
    });
    assert_eq!(line, expected);
}

#[test]
fn an_error_tells_all_that_caused_it() {
    let cause = io::Error::other("the disk is full");
    let error = crate::failure::Failure::Output(cause);
    let line = parsed(&written(Style::Json, || {
        tracing::error!(error = &error as &dyn std::error::Error, "failed");
    }));
    assert_eq!(line["error"], "cannot write to standard output: the disk is full");
}

#[test]
fn text_is_for_people() {
    let text = written(Style::Text, || tracing::info!(address = "127.0.0.1:1", port = 1, "listening"));
    let rest = text.split_once(' ').unwrap().1;
    assert_eq!(rest, format!(" INFO {}: listening address=\"127.0.0.1:1\" port=1\n", module_path!()));
}
