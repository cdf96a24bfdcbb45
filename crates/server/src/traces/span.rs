//! A span that is over, and how it is written (OTLP's protobuf messages as JSON).

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

/// Which side of a call a span is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Internal,
    Server,
    Client,
}

/// What a span tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(super) trace: u128,
    pub(super) id: u64,
    pub(super) parent: Option<u64>,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Since the beginning of 1970.
    pub(super) began: Duration,
    pub(super) took: Duration,
    /// Names, and values in OTLP's words.
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) has_failed: bool,
}

/// A text as an attribute's value.
pub(super) fn text(value: &str) -> Value {
    json!({"stringValue": value})
}

/// A number as an attribute's value: a text, for JSON's own numbers are too short for 64 bits.
pub(super) fn number(value: impl Into<i128>) -> Value {
    json!({"intValue": value.into().to_string()})
}

/// A span in OTLP's words.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Value>,
}

impl<'a> From<&'a Span> for Written<'a> {
    fn from(span: &'a Span) -> Self {
        const ERROR: u8 = 2;
        let attributes = span.attributes.iter().map(|(name, value)| json!({"key": name, "value": value}));
        Self {
            trace_id: format!("{:032x}", span.trace),
            span_id: format!("{:016x}", span.id),
            parent_span_id: span.parent.map(|parent| format!("{parent:016x}")),
            name: &span.name,
            kind: match span.kind {
                Kind::Internal => 1,
                Kind::Server => 2,
                Kind::Client => 3,
            },
            start_time_unix_nano: span.began.as_nanos().to_string(),
            end_time_unix_nano: (span.began + span.took).as_nanos().to_string(),
            attributes: attributes.collect(),
            status: span.has_failed.then(|| json!({"code": ERROR})),
        }
    }
}

/// The body of an export: an `ExportTraceServiceRequest`.
pub(super) fn body(spans: &[Span]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let service = [("service.name", "subtle"), ("service.version", version)];
    let service = service.map(|(name, value)| json!({"key": name, "value": text(value)}));
    let spans: Vec<_> = spans.iter().map(Written::from).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": service},
        "scopeSpans": [{"scope": {"name": "subtle", "version": version}, "spans": spans}],
    }]})
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_otlp_has_them_in_json() {
        let request = Span {
            trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            id: 0x00f0_67aa_0ba9_02b7,
            parent: Some(7),
            name: "GET /v1/me".to_owned(),
            kind: Kind::Server,
            began: Duration::from_nanos(1_544_712_660_000_000_005),
            took: Duration::from_micros(1),
            attributes: vec![("http.route", text("/v1/me")), ("http.response.status_code", number(503_u64))],
            has_failed: true,
        };
        let inside = Span {
            parent: None,
            kind: Kind::Internal,
            attributes: Vec::new(),
            has_failed: false,
            ..request.clone()
        };
        let written: Value = serde_json::from_str(&body(&[request, inside])).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let expected = json!({"resourceSpans": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "subtle"}},
                {"key": "service.version", "value": {"stringValue": version}},
            ]},
            "scopeSpans": [{"scope": {"name": "subtle", "version": version}, "spans": [
                {
                    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7",
                    "parentSpanId": "0000000000000007", "name": "GET /v1/me", "kind": 2,
                    "startTimeUnixNano": "1544712660000000005", "endTimeUnixNano": "1544712660000001005",
                    "attributes": [
                        {"key": "http.route", "value": {"stringValue": "/v1/me"}},
                        {"key": "http.response.status_code", "value": {"intValue": "503"}},
                    ],
                    "status": {"code": 2},
                },
                {
                    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7",
                    "name": "GET /v1/me", "kind": 1,
                    "startTimeUnixNano": "1544712660000000005", "endTimeUnixNano": "1544712660000001005",
                    "attributes": [],
                },
            ]}],
        }]});
        assert_eq!(written, expected);
    }
}
