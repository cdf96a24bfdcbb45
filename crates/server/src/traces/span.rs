//! A span that is over, and how it is written (OTLP's protobuf messages as JSON).

use std::time::Duration;

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

/// A number as an attribute's value. JSON's own are too short for 64 bits: a text.
pub(super) fn number(value: impl ToString) -> Value {
    json!({"intValue": value.to_string()})
}

impl Span {
    fn json(&self) -> Value {
        const ERROR: u8 = 2;
        let attribute = |(name, value): &(&str, Value)| json!({"key": name, "value": value});
        let mut span = json!({
            "traceId": format!("{:032x}", self.trace),
            "spanId": format!("{:016x}", self.id),
            "name": self.name,
            "kind": match self.kind { Kind::Internal => 1, Kind::Server => 2, Kind::Client => 3 },
            "startTimeUnixNano": self.began.as_nanos().to_string(),
            "endTimeUnixNano": (self.began + self.took).as_nanos().to_string(),
            "attributes": self.attributes.iter().map(attribute).collect::<Value>(),
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = json!(format!("{parent:016x}"));
        }
        if self.has_failed {
            span["status"] = json!({"code": ERROR});
        }
        span
    }
}

/// The body of an export: an `ExportTraceServiceRequest`.
pub(super) fn body(spans: &[Span]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let service = [("service.name", "subtle"), ("service.version", version)];
    let service = service.map(|(name, value)| json!({"key": name, "value": text(value)}));
    let spans: Value = spans.iter().map(Span::json).collect();
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
            id: 0xf067_aa0b_a902_b7,
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
