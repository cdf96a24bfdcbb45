//! What is told to Prometheus: that it is true, that it stays small, that it tells of nobody, and that it comes when it is needed most.

use std::time::{Duration, Instant};

use serde_json::json;
use subtle_local_postgres::Durability;

use crate::support::{Answer, EventStream, OwnCluster, Person, TestApp, eventually, fresh_email};

mod documents;
mod scrape;

pub(crate) use scrape::Scrape;

/// Well under the two seconds after which a request gives up waiting for a connection.
const AT_ONCE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn sign_ins_and_sessions_are_counted_by_what_became_of_them() {
    let app = TestApp::start().await;
    let before = Scrape::of(&app).await;
    let ada = app.person().await;
    ada.sign_in(&app).await;
    for _ in 0..3 {
        app.login(&ada.email, "another password").await.expect(401);
    }
    app.login(&fresh_email(), Person::PASSWORD).await.expect(401);
    let factor = ada.add_factor(&app).await;
    let challenge = ada.challenge(&app).await;
    let wrong = factor.wrong_code();
    app.post("/v1/auth/second-factor", &json!({"challenge": challenge, "code": wrong})).await.expect(403);
    let after = Scrape::of(&app).await;
    for (sample, more) in [
        ("subtle_sign_ins_total{outcome=\"succeeded\"}", 1),
        ("subtle_sign_ins_total{outcome=\"wrong_credentials\"}", 4),
        ("subtle_sign_ins_total{outcome=\"second_factor_asked\"}", 1),
        ("subtle_sign_ins_total{outcome=\"throttled\"}", 0),
        ("subtle_sign_in_codes_total{outcome=\"wrong_code\"}", 1),
        ("subtle_sign_in_codes_total{outcome=\"succeeded\"}", 0),
        ("subtle_sessions_begun_total{by=\"registration\"}", 1),
        ("subtle_sessions_begun_total{by=\"password\"}", 1),
        ("subtle_sessions_begun_total{by=\"second_factor\"}", 0),
        ("subtle_http_problems_total{type=\"wrong-credentials\"}", 4),
        ("subtle_http_problems_total{type=\"wrong-code\"}", 1),
    ] {
        assert_eq!(after.number(sample) - before.number(sample), more, "{sample}");
    }
    let login = |status| format!("{{method=\"POST\",route=\"/v1/auth/login\",status=\"{status}\"}}");
    for (status, requests) in [(200, 1), (401, 4), (403, 1)] {
        for name in ["subtle_http_requests_total", "subtle_http_request_duration_seconds_count"] {
            assert_eq!(after.number(&format!("{name}{}", login(status))), requests, "{name} {status}");
        }
    }
    assert_eq!(after.number("subtle_http_requests_in_flight"), 1, "the scrape itself");
}

#[tokio::test]
async fn refresh_tokens_are_counted_by_what_became_of_them() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let once = Person::of(&app.refresh(&ada.refresh).await.expect(200), Person::PASSWORD);
    app.refresh(&ada.refresh).await.expect(200);
    app.refresh(&once.refresh).await.expect(200);
    app.refresh("nonsense").await.expect(401);
    app.refresh(&ada.refresh).await.expect(401);
    let seen = Scrape::of(&app).await;
    for (outcome, times) in [("rotated", 2), ("repeated", 1), ("refused", 1), ("reused", 1)] {
        assert_eq!(
            seen.number(&format!("subtle_refreshes_total{{outcome=\"{outcome}\"}}")),
            times,
            "{outcome}"
        );
    }
}

#[tokio::test]
async fn usage_is_counted_event_by_event_and_so_are_its_commits() {
    let app = TestApp::start().await;
    let program = app.person_of_role("admin").await.program(&app).await;
    let event = |user: &str, key: &str, tokens: u32| json!({"userId": user, "totalTokens": tokens, "totalCost": "0.1", "idempotencyKey": key});
    let id = program.id.clone();
    let tell = async |events| {
        program.send_json(&app, "POST", "/v1/usage/events", &json!({"events": events})).await.expect(200);
    };
    tell(vec![event(&id, "k1", 1), event(&id, "k2", 1), event("nobody", "k3", 1)]).await;
    tell(vec![event(&id, "k1", 1), event(&id, "k2", 2), json!({"userId": id})]).await;
    let seen = Scrape::of(&app).await;
    for (outcome, events) in [("accepted", 2), ("duplicate", 1), ("conflict", 1), ("rejected", 2)] {
        assert_eq!(
            seen.number(&format!("subtle_usage_events_total{{outcome=\"{outcome}\"}}")),
            events,
            "{outcome}"
        );
    }
    assert_eq!(seen.number("subtle_usage_commit_seconds_count"), 2);
    assert_eq!(seen.number("subtle_usage_written_total"), 5);
    assert_eq!(seen.number("subtle_usage_waiting"), 0);
}

#[tokio::test]
async fn streams_letters_hashes_and_seals_are_seen() {
    let app = TestApp::start().await;
    let ada = app.person_of_role("admin").await;
    let mut stream = EventStream::open(&app, 0, &ada, None).await;
    assert_eq!(Scrape::of(&app).await.number("subtle_streams_open"), 1);
    let event = json!({"eventType": "note.saved", "eventSource": "web"});
    ada.send_json(&app, "POST", "/v1/sync/events", &event).await.expect(201);
    stream.event().await.unwrap();
    assert_eq!(Scrape::of(&app).await.number("subtle_stream_events_total"), 1);
    drop(stream);
    // Which is audited, and so sealed.
    ada.service_key(&app, &["usage:write"]).await;
    eventually("all of it is told", async || {
        let seen = Scrape::of(&app).await;
        seen.number("subtle_streams_open") == 0
            && seen.number("subtle_letters_total{outcome=\"sent\"}") == 1
            && seen.number("subtle_bcrypt_duration_seconds_count") == 1
            && seen.number("subtle_audit_sealed_total") == 1
            && seen.number("subtle_audit_halted") == 0
            && seen.number("subtle_revocations_connected") == 1
            && seen.number("subtle_database_up") == 1
    })
    .await;
    ada.send(&app, "DELETE", &format!("/v1/me/sessions/{}", ada.session)).await.expect(204);
    assert_eq!(Scrape::of(&app).await.number("subtle_revocations_held"), 1);
}

#[tokio::test]
async fn a_thousand_paths_are_one_label() {
    let app = TestApp::start().await;
    let ask = async |number: u32| {
        app.get(&format!("/nothing/{number}")).await.expect(404);
        app.get(&format!("/v1/admin/users/{number}")).await.expect(401);
        let invented = format!("M{number}");
        Answer::of(app.request(&invented, "/v1/me")).await.expect(405);
    };
    ask(0).await;
    // The first scrape is counted by the second.
    Scrape::of(&app).await;
    let before = Scrape::of(&app).await.samples();
    for number in 1..1_000 {
        ask(number).await;
    }
    let after = Scrape::of(&app).await;
    assert_eq!(after.samples(), before);
    for (method, route, status) in
        [("GET", "unmatched", 404), ("GET", "/v1/admin/users/{id}", 401), ("other", "/v1/me", 405)]
    {
        let sample = format!(
            "subtle_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
        );
        assert_eq!(after.number(&sample), 1_000, "{sample}");
    }
}

#[tokio::test]
async fn a_scrape_waits_for_no_database_and_says_that_it_is_away() {
    let mut cluster = OwnCluster::start(Durability::Throwaway).await;
    let app = TestApp::builder().on(cluster.url()).start().await;
    let ada = app.person().await;
    eventually("the database is there", async || Scrape::of(&app).await.number("subtle_database_up") == 1)
        .await;
    cluster.freeze().await;
    let mut told = false;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !told {
        assert!(Instant::now() < deadline, "nobody is told that the database is away");
        let (me, scrape) = tokio::join!(ada.send(&app, "GET", "/v1/me"), async {
            let asked = Instant::now();
            (Scrape::of(&app).await, asked.elapsed())
        });
        me.expect_problem(503, "unavailable");
        let (scrape, took) = scrape;
        assert!(took < AT_ONCE, "{took:?}");
        told = scrape.number("subtle_database_up") == 0
            && scrape.number("subtle_revocations_connected") == 0
            && scrape.find("subtle_outbox_waiting").is_none()
            && scrape.find("subtle_audit_unsealed").is_none();
    }
    cluster.thaw();
    eventually("the database is back", async || {
        let seen = Scrape::of(&app).await;
        seen.number("subtle_database_up") == 1 && seen.find("subtle_outbox_waiting").is_some()
    })
    .await;
    assert!(Scrape::of(&app).await.number("subtle_http_problems_total{type=\"unavailable\"}") > 0);
}

#[tokio::test]
async fn it_tells_of_nobody() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    app.login(&ada.email, "another password").await.expect(401);
    ada.send(&app, "GET", &format!("/v1/admin/users/{}", ada.id)).await.expect(403);
    ada.send(&app, "DELETE", &format!("/v1/me/sessions/{}", ada.session)).await.expect(204);
    let text = Scrape::of(&app).await.text;
    for secret in
        [&ada.email, &ada.id, &ada.session, &ada.access, &ada.refresh, "Ada", "127.0.0.1", "postgres"]
    {
        assert!(!text.contains(secret), "{secret}");
    }
}

/// The metrics, asked for by way of a proxy that says where the request comes from.
async fn forwarded(app: &TestApp, from: &str) -> Answer {
    Answer::of(app.request("GET", "/metrics").header("x-forwarded-for", from)).await
}

#[tokio::test]
async fn they_are_shown_to_the_machine_itself_and_to_nobody_behind_a_proxy() {
    let app = TestApp::start().await;
    app.get("/metrics").await.expect(200);
    for from in ["203.0.113.9", "127.0.0.1", ""] {
        forwarded(&app, from).await.expect_problem(403, "forbidden");
    }
    let forwarded = app.request("GET", "/metrics").header("forwarded", "for=127.0.0.1");
    Answer::of(forwarded).await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn they_are_shown_to_the_networks_that_the_setting_names() {
    let app = TestApp::builder()
        .set("SUBTLE_METRICS_FROM", "10.0.0.0/8")
        .set("SUBTLE_TRUSTED_PROXIES", "127.0.0.1")
        .start()
        .await;
    app.get("/metrics").await.expect_problem(403, "forbidden");
    forwarded(&app, "10.1.2.3").await.expect(200);
    forwarded(&app, "10.1.2.3, 203.0.113.9").await.expect_problem(403, "forbidden");
    let closed = TestApp::builder().set("SUBTLE_METRICS_FROM", "none").start().await;
    closed.get("/metrics").await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn a_reader_gets_the_format_that_it_asks_for() {
    let app = TestApp::start().await;
    let plain = app.get("/metrics").await.expect(200);
    assert_eq!(plain.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(plain.text.contains("# TYPE subtle_refreshes_total counter\n"), "{}", plain.text);
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
    let open = Answer::of(app.request("GET", "/metrics").header("accept", accept)).await.expect(200);
    assert_eq!(open.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.text.contains("# TYPE subtle_refreshes counter\n") && open.text.ends_with("\n# EOF\n"));
}
