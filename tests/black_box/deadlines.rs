//! Requests that do not end: when they are given up, and that nobody else notices them.

use std::time::Duration;

use futures_util::future::join_all;

use crate::support::{Raw, TestApp};

/// The deadlines are a thirtieth of what the promise allows, and so is this of what would break it.
const DEADLINE: &str = "300ms";
const PATIENCE: Duration = Duration::from_secs(5);

const REGISTER: &str = "POST /v1/auth/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

async fn hasty() -> TestApp {
    let app =
        TestApp::builder().set("SUBTLE_BODY_DEADLINE", DEADLINE).set("SUBTLE_HEADER_DEADLINE", DEADLINE);
    app.start().await
}

async fn say(app: &TestApp, text: &str) -> Raw {
    let mut raw = Raw::open(app).await;
    raw.send(text).await;
    raw
}

/// Checks that it was given up in time, with that status.
#[track_caller]
fn given_up(end: Option<(String, Duration)>, status: u16, what: &str) {
    let (said, time) = end.unwrap_or_else(|| panic!("still open: {what}"));
    assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {said:?}");
    assert!(said.contains("application/problem+json\r\n"), "{what}: {said:?}");
    println!("{what}: {status} after {time:?}");
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up_and_its_connection_closed() {
    let app = hasty().await;
    let bodies = [
        ("Content-Length: 100\r\n\r\n", ""),
        ("Content-Length: 100\r\n\r\n", "{\"email\":"),
        ("Transfer-Encoding: chunked\r\n\r\n", "2\r\n{ \r\n"),
        ("Transfer-Encoding: chunked\r\n\r\n", "ff\r\n{"),
        ("Expect: 100-continue\r\nContent-Length: 100\r\n\r\n", ""),
    ];
    join_all(bodies.map(async |(headers, body)| {
        let mut raw = say(&app, &format!("{REGISTER}{headers}{body}")).await;
        let (said, time) = raw.read_to_end(PATIENCE).await.unwrap_or_else(|| panic!("open: {headers}{body}"));
        let said = said.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&said);
        assert!(said.starts_with("HTTP/1.1 408 "), "{headers}{body}: {said}");
        assert!(said.contains("application/problem+json") && said.contains("request-timeout"), "{said}");
        assert!(time >= Duration::from_millis(200), "given up before its deadline: {time:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up_as_if_it_stalled() {
    let app = hasty().await;
    let mut raw = say(&app, &format!("{REGISTER}Content-Length: 9999\r\n\r\n{{")).await;
    given_up(raw.trickle(b' ', PATIENCE).await, 408, "a trickling body");
    app.person().await;
}

#[tokio::test]
async fn headers_that_stall_or_trickle_are_given_up() {
    let app = hasty().await;
    for begun in ["GET /health/live HTTP/1.1\r\nX: ", "GET", ""] {
        let mut raw = say(&app, begun).await;
        given_up(raw.read_to_end(PATIENCE).await, 408, "stalled headers");
    }
    let mut raw = say(&app, "GET /health/live HTTP/1.1\r\nX: ").await;
    given_up(raw.trickle(b'x', PATIENCE).await, 408, "trickling headers");
}

#[tokio::test]
async fn so_are_those_of_a_later_request_on_the_same_connection() {
    let app = hasty().await;
    for begun in ["GET /health/live HTTP/1.1\r\nX: ", "G", "\r\n"] {
        let mut raw = say(&app, LIVE).await;
        assert!(raw.read_answer().await.starts_with("HTTP/1.1 200 "));
        raw.send(begun).await;
        given_up(raw.read_to_end(PATIENCE).await, 408, "stalled later headers");
    }
    let mut raw = say(&app, LIVE).await;
    raw.read_answer().await;
    raw.send("GET /health/live HTTP/1.1\r\nX: ").await;
    given_up(raw.trickle(b'x', PATIENCE).await, 408, "trickling later headers");
}

#[tokio::test]
async fn who_pauses_between_requests_may_go_on() {
    let app = hasty().await;
    let mut raw = say(&app, LIVE).await;
    raw.read_answer().await;
    assert!(raw.read_to_end(Duration::from_secs(1)).await.is_none(), "closed while nothing was asked");
    raw.send(LIVE).await;
    assert!(raw.read_answer().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_not_keep_its_connection() {
    let app = hasty().await;
    let unread = "PATCH /v1/me HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    for headers in ["Content-Length: 99999\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\nff\r\n{"] {
        let mut raw = say(&app, &format!("{unread}{headers}")).await;
        given_up(raw.read_to_end(PATIENCE).await, 401, "a refused body that stalls");
        let mut raw = say(&app, &format!("{unread}{headers}")).await;
        given_up(raw.trickle(b' ', PATIENCE).await, 401, "a refused body that trickles");
    }
}

#[tokio::test]
async fn who_reads_slowly_still_gets_the_whole_answer() {
    let app = TestApp::start().await;
    let document = app.get("/openapi.json").await.text;
    let times = 40;
    let ask = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut raw = say(&app, &ask.repeat(times - 1)).await;
    raw.send(ask.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (said, _) = raw.read_to_end(PATIENCE).await.unwrap();
    assert_eq!(said.matches("HTTP/1.1 200 ").count(), times);
    assert!(said.ends_with(&document));
}

#[tokio::test]
async fn who_reads_no_answers_is_not_read_from_and_given_up() {
    let app = hasty().await;
    let asks = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000);
    let mut raw = Raw::open(&app).await;
    let (asked, time) = raw.flood(&asks, PATIENCE).await.expect("still open");
    println!("who reads nothing: closed after {time:?} and {asked} bytes of requests");
    assert!(time >= Duration::from_secs(1), "given up before its deadline: {time:?}");
    app.get("/health/live").await.expect(200);
}
