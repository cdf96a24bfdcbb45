//! What a server tells a collector of traces, and that it does not depend on one.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

mod collector;

use collector::{Collector, MUTE, TAKEN};

use crate::metrics::Scrape;
use crate::support::{Answer, TestApp, eventually};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// A server whose traces go to that collector.
async fn app(collector: &Collector, ratio: &str) -> TestApp {
    let builder = TestApp::builder().set("SUBTLE_OTLP_ENDPOINT", &collector.url);
    builder.set("SUBTLE_TRACES_RATIO", ratio).start().await
}

/// How many spans had that outcome.
async fn spans(app: &TestApp, outcome: &str) -> i64 {
    Scrape::of(app).await.number(&format!("subtle_trace_spans_total{{outcome=\"{outcome}\"}}"))
}

#[tokio::test]
async fn a_request_is_a_span_of_its_callers_trace() {
    let collector = Collector::start(TAKEN).await;
    let app = app(&collector, "0").await;
    let ada = app.person_of_role("admin").await;
    let path = format!("/v1/admin/users/{}", ada.id);
    let request = app.request("GET", &path).bearer_auth(&ada.access);
    let request = request.header("traceparent", traceparent("01")).header("x-request-id", "r-1");
    Answer::of(request).await.expect(200);
    eventually("the trace arrives", async || collector.span("GET /v1/admin/users/{id}").is_some()).await;
    let span = collector.span("GET /v1/admin/users/{id}").unwrap();
    assert_eq!(
        (&span["traceId"], &span["parentSpanId"], &span["kind"]),
        (&json!(TRACE), &json!(PARENT), &json!(2))
    );
    let text = |key, value| json!({"key": key, "value": {"stringValue": value}});
    let told = json!([
        text("http.request.method", "GET"),
        text("http.route", "/v1/admin/users/{id}"),
        text("url.scheme", "http"),
        text("subtle.request.id", "r-1"),
        json!({"key": "http.response.status_code", "value": {"intValue": "200"}}),
    ]);
    assert_eq!(span["attributes"], told);
    assert!(span.get("status").is_none());
    let resource =
        json!([text("service.name", "subtle"), text("service.version", env!("CARGO_PKG_VERSION"))]);
    assert_eq!(collector.bodies()[0]["resourceSpans"][0]["resource"]["attributes"], resource);
    let lines = app.server(0).log();
    let line = lines.iter().find(|line| line.contains("\"answered\"") && line.contains("\"r-1\"")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["trace_id"], line.get("http.route")), (&json!(TRACE), None));
}

#[tokio::test]
async fn what_a_request_waits_for_lies_within_it() {
    let collector = Collector::start(TAKEN).await;
    let app = app(&collector, "1").await;
    app.person().await;
    eventually("the trace arrives", async || collector.span("POST /v1/auth/register").is_some()).await;
    let request = collector.span("POST /v1/auth/register").unwrap();
    let nanos = |span: &Value, field: &str| span[field].as_str().unwrap().parse::<u64>().unwrap();
    let within: Vec<_> =
        collector.spans().into_iter().filter(|span| span["traceId"] == request["traceId"]).collect();
    let named = |name: &str| {
        within.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("{name}: {within:#?}"))
    };
    for (name, parent) in [
        ("bcrypt", &request),
        ("transaction", &request),
        ("connection", named("transaction")),
        ("statement", named("transaction")),
        ("end of transaction", named("transaction")),
    ] {
        let span =
            within.iter().find(|span| span["name"] == name && span["parentSpanId"] == parent["spanId"]);
        let span = span.unwrap_or_else(|| panic!("{name}: {within:#?}"));
        assert!(nanos(&request, "startTimeUnixNano") <= nanos(span, "startTimeUnixNano"), "{name}");
        assert!(nanos(span, "startTimeUnixNano") <= nanos(span, "endTimeUnixNano"), "{name}");
        assert!(nanos(span, "endTimeUnixNano") <= nanos(&request, "endTimeUnixNano"), "{name}");
    }
    let place = &named("statement")["attributes"][1]["value"]["stringValue"];
    assert!(place.as_str().unwrap().starts_with("crates/persistence/src/"), "{place}");
}

#[tokio::test]
async fn what_is_our_own_fault_is_an_error_and_what_is_the_callers_is_not() {
    let collector = Collector::start(TAKEN).await;
    let app = app(&collector, "1").await;
    app.get("/v1/me").await.expect(401);
    app.sql("ALTER TABLE users RENAME TO away").await;
    app.login("ada@example.com", "any password").await.expect(500);
    eventually("the trace arrives", async || collector.span("POST /v1/auth/login").is_some()).await;
    let failed = collector.span("POST /v1/auth/login").unwrap();
    assert_eq!(failed["status"], json!({"code": 2}));
    let why = json!({"key": "error.type", "value": {"stringValue": "internal"}});
    assert!(failed["attributes"].as_array().unwrap().contains(&why), "{failed}");
    let statements = collector.spans().into_iter().filter(|span| span["name"] == "statement");
    assert!(statements.into_iter().any(|span| span["status"] == json!({"code": 2})));
    assert!(collector.span("GET /v1/me").unwrap().get("status").is_none());
}

#[tokio::test]
async fn the_caller_decides_whether_a_trace_is_kept_and_where_none_does_the_ratio() {
    let collector = Collector::start(TAKEN).await;
    let app = app(&collector, "0").await;
    let ask = async |header: &str| {
        Answer::of(app.request("GET", "/openapi.json").header("traceparent", header)).await.expect(200)
    };
    app.get("/openapi.json").await.expect(200);
    ask(&traceparent("00")).await;
    ask("00-nonsense").await;
    ask(&traceparent("01")).await;
    eventually("the trace arrives", async || !collector.spans().is_empty()).await;
    let spans = collector.spans();
    assert_eq!((spans.len(), &spans[0]["traceId"]), (1, &json!(TRACE)));
}

#[tokio::test]
async fn nothing_that_is_sent_tells_of_a_person() {
    let collector = Collector::start(TAKEN).await;
    let app = app(&collector, "1").await;
    let ada = app.person_of_role("admin").await;
    app.login(&ada.email, "another password").await.expect(401);
    app.refresh(&ada.refresh).await.expect(200);
    for path in [
        format!("/v1/admin/users/{}", ada.id),
        format!("/v1/admin/users?search={}", ada.email.replace('@', "%40")),
        format!("/{}/{}", ada.email, ada.access),
    ] {
        let request =
            app.request("GET", &path).bearer_auth(&ada.access).header("user-agent", "Lovelace's browser");
        Answer::of(request.header("x-forwarded-for", "203.0.113.9").header("tracestate", "lovelace=1")).await;
    }
    let invented = app.request("LOVELACE", "/v1/me").header("traceparent", "00-lovelace");
    Answer::of(invented).await.expect(405);
    eventually("all has arrived", async || collector.span("HTTP /v1/me").is_some()).await;
    assert!(collector.span("GET").is_some(), "what fits no route has no path");
    let sent = Value::from(collector.bodies()).to_string();
    let local = ada.email.split('@').next().unwrap();
    for secret in [
        local,
        "example.com",
        &ada.id,
        &ada.session,
        &ada.access,
        &ada.refresh,
        "Lovelace",
        "lovelace",
        "LOVELACE",
        "203.0.113.9",
        "127.0.0.1",
        "SELECT",
        "search",
        app.database_url(),
    ] {
        assert!(!sent.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_collector_that_never_answers_costs_spans_and_no_request() {
    let collector = Collector::start(MUTE).await;
    let mut app = app(&collector, "1").await;
    let ada = app.person().await;
    while spans(&app, "dropped").await == 0 {
        let answers = join_all((0..50).map(|_| ada.send(&app, "GET", "/v1/me/sessions"))).await;
        for answer in answers {
            answer.expect(200);
        }
    }
    assert_eq!(spans(&app, "exported").await, 0);
    app.server(0).signal("TERM");
    let status = app.server_mut(0).wait(Duration::from_secs(10)).await.unwrap();
    assert!(status.success(), "and the end waits only so long");
}

#[tokio::test]
async fn a_collector_that_fails_is_told_of_once_and_gets_what_comes_when_it_is_back() {
    let collector = Collector::start("\u{0}\u{1} no HTTP at all\r\n\r\n").await;
    let app = app(&collector, "1").await;
    let told = |what: &str| app.server(0).log().iter().filter(|line| line.contains(what)).count();
    app.get("/openapi.json").await.expect(200);
    eventually("rubbish is no answer", async || spans(&app, "failed").await == 1).await;
    collector.answer("HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n\r\n");
    app.get("/openapi.json").await.expect(200);
    eventually("it is given up", async || spans(&app, "failed").await == 2).await;
    assert_eq!(collector.bodies().len(), 1 + 3, "what is put off is sent again");
    collector.answer(TAKEN);
    app.get("/openapi.json").await.expect(200);
    eventually("it is taken", async || spans(&app, "exported").await == 1).await;
    eventually("it is told", async || told("traces are sent again") == 1).await;
    assert_eq!(told("traces cannot be sent"), 1);
}

#[tokio::test]
async fn the_last_spans_are_sent_before_the_end() {
    let collector = Collector::start(TAKEN).await;
    let mut app = app(&collector, "1").await;
    app.get("/openapi.json").await.expect(200);
    app.server(0).signal("TERM");
    assert!(app.server_mut(0).wait(Duration::from_secs(10)).await.unwrap().success());
    assert!(collector.span("GET /openapi.json").is_some());
}
