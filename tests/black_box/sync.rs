//! The sync log: what a person's apps tell each other, as a list and as it happens.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, EventStream, Person, TestApp, eventually, fresh_email};

mod ends;
mod resume;

async fn page(app: &TestApp, person: &Person, query: &str) -> Answer {
    person.send(app, "GET", &format!("/v1/sync/events{query}")).await
}

#[tokio::test]
async fn an_event_is_answered_listed_and_reaches_those_who_follow_on_every_server() {
    let app = TestApp::builder().servers(2).start().await;
    let (ada, bob) = (app.person().await, app.person().await);
    let phone = ada.sign_in(&app).await;
    let mut streams = join_all([(0, &ada), (1, &phone)].map(|(server, person)| {
        let app = &app;
        async move { EventStream::open(app, server, person, None).await }
    }))
    .await;
    let mut bobs = EventStream::open(&app, 1, &bob, None).await;
    let body = json!({"eventType": "sync.failed", "eventSource": "mac_app", "success": false,
                      "errorMessage": "the disk is full,\nas it was", "data": {"files": [1, 2.50, null], "é": "ü"}});
    let told = ada.send_json(&app, "POST", "/v1/sync/events", &body).await.expect(201);
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(told.body[name], *value, "{name}");
    }
    assert_eq!((told.str("/place"), told.str("/ipAddress")), ("1", "127.0.0.1"));
    for stream in &mut streams {
        assert_eq!(stream.event().await.unwrap(), told.body);
    }
    assert_eq!(
        page(&app, &ada, "").await.expect(200).body,
        json!({"items": [told.body], "nextCursor": null})
    );
    assert_eq!(page(&app, &bob, "").await.expect(200).body["items"], json!([]));
    let bare = json!({"eventType": "x", "eventSource": "y"});
    let told = bob.send_json(&app, "POST", "/v1/sync/events", &bare).await.expect(201);
    assert_eq!(
        (&told.body["success"], &told.body["data"], told.str("/place")),
        (&json!(true), &Value::Null, "1")
    );
    assert_eq!(bobs.event().await.unwrap(), told.body, "nothing of Ada's came before it");
}

#[tokio::test]
async fn pages_go_on_behind_a_place() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    for number in 1..=5 {
        ada.tell(&app, 0, &json!(number)).await.expect(201);
    }
    let listed = async |query: &str| {
        let page = page(&app, &ada, query).await.expect(200);
        let data: Vec<_> =
            page.body["items"].as_array().unwrap().iter().map(|item| item["data"].clone()).collect();
        (json!(data), page.body["nextCursor"].clone())
    };
    assert_eq!(listed("").await, (json!([1, 2, 3, 4, 5]), Value::Null));
    assert_eq!(listed("?limit=2").await, (json!([1, 2]), json!("2")));
    assert_eq!(listed("?limit=2&after=2").await, (json!([3, 4]), json!("4")));
    assert_eq!(listed("?limit=2&after=4").await, (json!([5]), Value::Null));
    assert_eq!(listed("?after=99").await, (json!([]), Value::Null));
    for query in
        ["?after=x", "?after=-1", "?after=", "?limit=0", "?limit=201", "?cursor=1", "?after=1&after=2"]
    {
        page(&app, &ada, query).await.expect_problem(422, "invalid-request");
    }
}

#[tokio::test]
async fn what_is_unfit_is_refused_by_its_name() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let fit = json!({"eventType": "x", "eventSource": "y"});
    for (field, value) in [
        ("eventType", json!("")),
        ("eventType", json!("two words")),
        ("eventType", json!("x".repeat(101))),
        ("eventType", json!(null)),
        ("eventSource", json!("1")),
        ("eventSource", json!("subtle")),
        ("errorMessage", json!("")),
        ("errorMessage", json!("\u{1b}[31m")),
        ("success", json!("yes")),
        ("data", json!("x".repeat(65_535))),
        ("data", json!({"a": "\u{0}"})),
    ] {
        let mut body = fit.clone();
        body[field] = value;
        let refused = ada.send_json(&app, "POST", "/v1/sync/events", &body).await;
        let refused = refused.expect_problem(422, "invalid-request");
        assert!(refused.str("/errors/0/field").starts_with(field), "{}", refused.text);
    }
    let mut body = fit;
    body["data"] = json!("x".repeat(65_534));
    ada.send_json(&app, "POST", "/v1/sync/events", &body).await.expect(201);
    assert_eq!(app.value("SELECT count(*) FROM sync_logs").await, "1");
    for last in ["x", "-1", "1.5", "1 2"] {
        let request = app.request("GET", "/v1/sync/stream").bearer_auth(&ada.access);
        let refused = Answer::of(request.header("last-event-id", last)).await;
        assert_eq!(refused.expect_problem(422, "invalid-request").str("/errors/0/field"), "Last-Event-ID");
    }
}

#[tokio::test]
async fn an_event_is_told_once_under_its_key_however_often_it_is_sent() {
    let app = TestApp::builder().servers(2).start().await;
    let (ada, bob) = (app.person().await, app.person().await);
    let key = fresh_email();
    let send = |person: &Person, server: usize, data: Value| {
        let request = app.client.post(app.url_of(server, "/v1/sync/events")).bearer_auth(&person.access);
        let body = json!({"eventType": "x", "eventSource": "y", "data": data});
        Answer::of(request.header("idempotency-key", &key).json(&body))
    };
    let data = json!({"b": "only once", "a": 1});
    let answers = join_all((0..20).map(|number| send(&ada, number % 2, data.clone()))).await;
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.text == answers[0].text));
    send(&ada, 0, json!("another")).await.expect_problem(422, "idempotency-key-reused");
    send(&bob, 0, json!("another")).await.expect(201);
    assert_eq!(app.value("SELECT count(*) FROM sync_logs").await, "2");
    assert_eq!(app.value("SELECT count(*) FROM idempotency_keys WHERE answer LIKE '%only once%'").await, "0");
}

#[tokio::test]
async fn one_person_has_so_many_streams_and_events_and_takes_nobody_elses() {
    let limited = TestApp::builder().set("SUBTLE_RATE_LIMIT", "on").set("SUBTLE_STREAMS_PER_USER", "2");
    let app = limited.set("SUBTLE_LIMIT_EVENTS_BY_ACCOUNT", "3/1h").start().await;
    let (ada, bob) = (app.person().await, app.person().await);
    let first = EventStream::open(&app, 0, &ada, None).await;
    let _second = EventStream::open(&app, 0, &ada, None).await;
    let refused = ada.send(&app, "GET", "/v1/sync/stream").await.expect_problem(429, "too-many-requests");
    assert_eq!(refused.header("retry-after"), "10");
    let _bobs = EventStream::open(&app, 0, &bob, None).await;
    drop(first);
    let has_room = async || {
        let request = app.request("GET", "/v1/sync/stream").bearer_auth(&ada.access);
        request.send().await.unwrap().status() == 200
    };
    eventually("room for a stream", has_room).await;
    let event = json!({"eventType": "settings.changed", "eventSource": "web"});
    for _ in 0..3 {
        ada.send_json(&app, "POST", "/v1/sync/events", &event).await.expect(201);
    }
    ada.send_json(&app, "POST", "/v1/sync/events", &event).await.expect_problem(429, "too-many-requests");
    bob.send_json(&app, "POST", "/v1/sync/events", &event).await.expect(201);
}
