//! What ends a stream.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Answer, EventStream, Person, Raw, TestApp, eventually};

/// The streams of somebody in this session, one on each of two servers.
async fn on_both(app: &TestApp, person: &Person) -> Vec<EventStream> {
    join_all((0..2).map(|server| EventStream::open(app, server, person, None))).await
}

async fn all_end(streams: Vec<EventStream>, what: &str) {
    let begun = Instant::now();
    join_all(streams.into_iter().map(EventStream::end)).await;
    println!("{what}: the streams of both servers ended after {:?}", begun.elapsed());
}

#[tokio::test]
async fn streams_end_with_their_session_on_every_server_and_those_of_others_go_on() {
    let app = TestApp::builder().servers(2).set("SUBTLE_STREAM_HEARTBEAT", "5m").start().await;
    let admin = app.person_of_role("admin").await;
    let (ada, bob) = (app.person().await, app.person().await);
    let (phone, tablet) = (ada.sign_in(&app).await, ada.sign_in(&app).await);
    let (adas, phones, tablets) =
        (on_both(&app, &ada).await, on_both(&app, &phone).await, on_both(&app, &tablet).await);
    let mut bobs = on_both(&app, &bob).await;
    app.post("/v1/auth/logout", &json!({"refreshToken": phone.refresh})).await.expect(204);
    all_end(phones, "a sign-out").await;
    ada.send(&app, "DELETE", &format!("/v1/me/sessions/{}", tablet.session)).await.expect(204);
    all_end(tablets, "an end by the owner").await;
    admin.send(&app, "POST", &format!("/v1/admin/users/{}/disable", ada.id)).await.expect(200);
    all_end(adas, "a disabled account").await;
    bob.tell(&app, 0, &json!(1)).await.expect(201);
    for stream in &mut bobs {
        assert_eq!(stream.places(1).await, [1]);
    }
    bob.send(&app, "DELETE", "/v1/me").await.expect(204);
    all_end(bobs, "an erasure").await;
    let refused = app.request("GET", "/v1/sync/stream").bearer_auth(&bob.access);
    Answer::of(refused).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_stream_ends_with_its_access_token_and_goes_on_with_the_next() {
    let app = TestApp::builder()
        .set("SUBTLE_ACCESS_TOKEN_TTL", "4s")
        .set("SUBTLE_CLOCK_LEEWAY", "0s")
        .start()
        .await;
    let ada = app.person().await;
    let ada = Person::of(&app.refresh(&ada.refresh).await.expect(200), Person::PASSWORD);
    let mut stream = EventStream::open(&app, 0, &ada, None).await;
    ada.tell(&app, 0, &json!("before")).await.expect(201);
    stream.event().await.unwrap();
    let last = stream.last.clone();
    stream.end().await;
    ada.send(&app, "GET", "/v1/sync/stream").await.expect_problem(401, "invalid-token");
    let ada = Person::of(&app.refresh(&ada.refresh).await.expect(200), Person::PASSWORD);
    ada.tell(&app, 0, &json!("after")).await.expect(201);
    let mut stream = EventStream::open(&app, 0, &ada, Some(&last)).await;
    assert_eq!(stream.event().await.unwrap()["data"], "after");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_ends_its_streams_and_then_itself() {
    let mut app = TestApp::builder().set("SUBTLE_SHUTDOWN_DELAY", "500ms").start().await;
    let people = join_all((0..5).map(|_| app.person())).await;
    let streams = join_all(people.iter().map(|person| EventStream::open(&app, 0, person, None))).await;
    let begun = Instant::now();
    app.server(0).signal("TERM");
    join_all(streams.into_iter().map(EventStream::end)).await;
    let again = app.request("GET", "/v1/sync/stream").bearer_auth(&people[0].access);
    if let Ok(answer) = Answer::try_of(again).await {
        answer.expect_problem(503, "unavailable");
    }
    let status = app.server_mut(0).wait(Duration::from_secs(10)).await.expect("it does not end");
    assert_eq!(status.code(), Some(0), "{:#?}", app.server(0).log());
    println!("with streams: ended {:?} after it was told to", begun.elapsed());
}

#[tokio::test]
async fn who_takes_nothing_is_dropped_and_costs_no_memory() {
    let app = TestApp::builder().set("SUBTLE_HEADER_DEADLINE", "300ms").start().await;
    let ada = app.person().await;
    let head = format!("GET /v1/sync/stream HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}", ada.access);
    let none = sockets(app.server(0).id());
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::open(&app).await;
        raw.send(format!("{head}\r\n\r\n")).await;
        stalled.push(raw);
    }
    eventually("they are there", async || sockets(app.server(0).id()) >= none + 20).await;
    // More than the sockets hold.
    let large = json!("x".repeat(65_000));
    let before = memory(app.server(0).id());
    for _ in 0..30 {
        join_all((0..10).map(|_| ada.tell(&app, 0, &large))).await;
    }
    let after = memory(app.server(0).id());
    let mut quick = EventStream::open(&app, 0, &ada, Some("0")).await;
    assert_eq!(quick.places(300).await.last(), Some(&300));
    // The deadline is four times 300 ms.
    eventually("they are dropped", async || sockets(app.server(0).id()) < none + 20).await;
    println!("20 took nothing of 300 events; memory {before} KB, then {after} KB");
    for mut raw in stalled {
        let (taken, _) = raw.read_to_end(Duration::from_secs(5)).await.expect("still open");
        assert!(taken.starts_with("HTTP/1.1 200 ") && !taken.contains("\nid: 300\n"));
    }
    assert!(after < before + 24_000, "{before} KB, then {after} KB");
}

#[tokio::test]
async fn clients_that_go_away_are_noticed_at_once() {
    let app = TestApp::builder().set("SUBTLE_STREAM_HEARTBEAT", "5m").start().await;
    let ada = app.person().await;
    let sockets = || sockets(app.server(0).id());
    let mut first = EventStream::open(&app, 0, &ada, None).await;
    let before = sockets();
    let streams = join_all((0..50).map(|_| EventStream::open(&app, 0, &ada, None))).await;
    assert!(sockets() >= before + 50);
    drop(streams);
    eventually("their sockets are closed", async || sockets() < before + 10).await;
    ada.tell(&app, 0, &json!(1)).await.expect(201);
    assert_eq!(first.places(1).await, [1]);
}

/// How many sockets a process has.
fn sockets(id: u32) -> usize {
    let files = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().flatten();
    let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
}

/// What a process has in memory, in kilobytes.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    resident.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

#[tokio::test]
async fn a_stream_that_is_only_asked_about_has_no_body() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let answer = ada.send(&app, "HEAD", "/v1/sync/stream").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(answer.header("content-type"), "text/event-stream");
    ada.send(&app, "GET", "/v1/me").await.expect(200);
}
