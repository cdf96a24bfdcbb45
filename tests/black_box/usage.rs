//! Usage as an AI backend tells it: exact, once, and counted against a budget.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Person, TestApp};

async fn stage() -> (TestApp, Person, Person) {
    let app = TestApp::start().await;
    let program = app.person_of_role("admin").await.program(&app).await;
    let ada = app.person().await;
    (app, program, ada)
}

async fn tell(app: &TestApp, program: &Person, events: Value) -> Answer {
    program.send_json(app, "POST", "/v1/usage/events", &json!({"events": events})).await.expect(200)
}

fn statuses(answer: &Answer) -> Vec<&str> {
    let results = answer.body["results"].as_array().unwrap();
    results.iter().map(|result| result["status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_event_is_judged_on_its_own_and_the_sums_are_exact() {
    let (app, program, ada) = stage().await;
    let event = |key: &str, tokens: i64, cost: &str| json!({"userId": ada.id, "totalTokens": tokens, "totalCost": cost, "featureType": "chat", "idempotencyKey": key});
    let told = json!([
        event("a", 100, "0.0000000001"),
        event("b", 200, "0.1"),
        event("a", 100, "0.0000000001"),
        event("b", 201, "0.1"),
        {"userId": "nobody", "totalTokens": 1, "totalCost": "1"},
        event("c", 1, "1e-7"),
    ]);
    let answer = tell(&app, &program, told.clone()).await;
    assert_eq!(statuses(&answer), ["accepted", "accepted", "duplicate", "conflict", "rejected", "rejected"]);
    assert_eq!(answer.body["results"][0]["id"], answer.body["results"][2]["id"]);
    let again = tell(&app, &program, told).await;
    assert_eq!(statuses(&again), ["duplicate", "duplicate", "duplicate", "conflict", "rejected", "rejected"]);
    let summary = ada.send(&app, "GET", "/v1/me/usage/summary?groupBy=feature").await.expect(200);
    let sums = json!({"requestCount": 2, "totalTokens": 300, "totalCost": "0.1000000001"});
    assert_eq!(summary.body["total"], sums);
    assert_eq!(summary.body["groups"][0]["featureType"], "chat");
    let rows = ada.send(&app, "GET", "/v1/me/usage?limit=1").await.expect(200);
    assert_eq!(rows.body["items"].as_array().unwrap().len(), 1);
    assert!(rows.body["nextCursor"].is_string());
}

#[tokio::test]
async fn lines_are_events_too() {
    let (app, program, ada) = stage().await;
    let line = json!({"userId": ada.id, "totalTokens": 1, "totalCost": "0.5"}).to_string();
    let request = app.request("POST", "/v1/usage/events").bearer_auth(&program.access);
    let request =
        request.header("content-type", "application/x-ndjson").body(format!("{line}\nnonsense\n\n{line}\n"));
    let answer = Answer::of(request).await.expect(200);
    assert_eq!(statuses(&answer), ["accepted", "rejected", "accepted"]);
}

#[tokio::test]
async fn sixty_four_callers_over_two_servers_are_never_granted_more_than_the_limit() {
    let app = TestApp::builder().servers(2).start().await;
    let program = app.person_of_role("admin").await.program(&app).await;
    let ada = app.person().await;
    // Free: ten million tokens. Each wants 300,000, so 33 of 64 get them.
    let hold = json!({"userId": ada.id, "totalTokens": 300_000});
    let answers = join_all((0..64).map(|number| {
        let request = app.client.post(app.url_of(number % 2, "/v1/usage/reservations"));
        Answer::once_served(request.bearer_auth(&program.access).json(&hold))
    }));
    let (granted, refused): (Vec<_>, Vec<_>) =
        answers.await.into_iter().partition(|answer| answer.status == 201);
    assert_eq!((granted.len(), refused.len()), (33, 31));
    for answer in refused {
        let answer = answer.expect_problem(402, "quota-exceeded");
        assert_eq!(answer.body["quota"]["tokens"]["limit"], 10_000_000);
        assert!(answer.str("/detail").starts_with("tokens: 300000 wanted, "), "{}", answer.text);
    }
    let quota = ada.send(&app, "GET", "/v1/me/quota").await.expect(200);
    assert_eq!(quota.body["tokens"]["reserved"], 9_900_000);
    assert_eq!(quota.body["tokens"]["remaining"], 100_000);
}

#[tokio::test]
async fn a_hold_is_settled_once_released_or_expires() {
    let (app, program, ada) = stage().await;
    let hold = async |ttl: u32| {
        let body = json!({"userId": ada.id, "totalTokens": 1_000, "ttlSeconds": ttl});
        let held = program.send_json(&app, "POST", "/v1/usage/reservations", &body).await.expect(201);
        format!("/v1/usage/reservations/{}", held.str("/id"))
    };
    let settled = format!("{}/settle", hold(60).await);
    let actual = json!({"totalTokens": 1_500, "totalCost": "0.02"});
    let first = program.send_json(&app, "POST", &settled, &actual).await.expect(200);
    let second = program.send_json(&app, "POST", &settled, &actual).await.expect(200);
    assert_eq!(first.body, second.body);
    let other = json!({"totalTokens": 1, "totalCost": "0.02"});
    program.send_json(&app, "POST", &settled, &other).await.expect_problem(409, "reservation-over");
    let released = hold(60).await;
    program.send(&app, "DELETE", &released).await.expect(204);
    program.send(&app, "DELETE", &released).await.expect(204);
    program
        .send(&app, "DELETE", settled.trim_end_matches("/settle"))
        .await
        .expect_problem(409, "reservation-over");
    hold(1).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let quota = ada.send(&app, "GET", "/v1/me/quota").await.expect(200);
    assert_eq!(
        (&quota.body["tokens"]["used"], &quota.body["tokens"]["reserved"]),
        (&json!(1_500), &json!(0))
    );
    assert_eq!(quota.body["cost"]["used"], "0.0200000000");
}

#[tokio::test]
async fn a_hold_under_a_key_is_made_once_however_often_it_is_asked_for() {
    let (app, program, ada) = stage().await;
    let ask = |tokens: i64| {
        let request = app.request("POST", "/v1/usage/reservations").bearer_auth(&program.access);
        Answer::once_served(
            request.header("idempotency-key", "k").json(&json!({"userId": ada.id, "totalTokens": tokens})),
        )
    };
    let answers = join_all((0..100).map(|_| ask(1_000))).await;
    let first = answers[0].body.clone();
    assert!(answers.into_iter().all(|answer| answer.expect(201).body == first));
    ask(2_000).await.expect_problem(422, "idempotency-key-reused");
    let quota = ada.send(&app, "GET", "/v1/me/quota").await.expect(200);
    assert_eq!(quota.body["tokens"]["reserved"], 1_000);
}

#[tokio::test]
async fn a_key_without_the_scope_or_one_that_was_revoked_records_nothing() {
    let app = TestApp::start().await;
    let grace = app.person_of_role("admin").await;
    let key = Person { access: grace.service_key(&app, &["quota:write"]).await, ..grace.clone() };
    let events = json!({"events": [{"userId": grace.id, "totalTokens": 1, "totalCost": "1"}]});
    key.send_json(&app, "POST", "/v1/usage/events", &events).await.expect_problem(403, "forbidden");
    let keys = grace.send(&app, "GET", "/v1/admin/service-keys").await.expect(200);
    let path = format!("/v1/admin/service-keys/{}", keys.str("/items/0/id"));
    grace.send(&app, "DELETE", &path).await.expect(204);
    key.send_json(&app, "POST", "/v1/usage/events", &events).await.expect_problem(401, "invalid-token");
    assert_eq!(app.value("SELECT count(*) FROM user_usage_metrics").await, "0");
    let trail = "SELECT string_agg(action, ',' ORDER BY created_at, id) FROM audit_logs";
    assert_eq!(app.value(trail).await, "service_key.create,service_key.revoke");
}

#[tokio::test]
async fn a_limit_of_ones_own_goes_before_the_tiers_until_it_is_taken_back() {
    let (app, program, ada) = stage().await;
    let grace = app.person_of_role("admin").await;
    let path = format!("/v1/admin/users/{}/quota", ada.id);
    let change = json!({"tokens": {"limit": 100}, "requests": {"limit": null}, "cost": {"limit": "0.5"}});
    let quota = grace.send_json(&app, "PATCH", &path, &change).await.expect(200);
    assert_eq!(quota.body, ada.send(&app, "GET", "/v1/me/quota").await.expect(200).body);
    assert_eq!(
        (&quota.body["tokens"]["limit"], &quota.body["requests"]["limit"]),
        (&json!(100), &Value::Null)
    );
    assert_eq!(quota.body["cost"]["remaining"], "0.5000000000");
    let hold = json!({"userId": ada.id, "totalTokens": 101});
    let ask = async || program.send_json(&app, "POST", "/v1/usage/reservations", &hold).await;
    ask().await.expect_problem(402, "quota-exceeded");
    grace.send_json(&app, "PATCH", &path, &json!({"tokens": null})).await.expect(200);
    ask().await.expect(201);
    for refused in [
        json!({"tokens": {}}),
        json!({"tokens": {"limit": -1}}),
        json!({"tokens": {"limit": "7"}}),
        json!({"tokens": 7}),
        json!({"cost": {"limit": "1e3"}}),
        json!({"cost": {"limit": 1}}),
        json!({"requests": {"limit": 9_000_000_000_000_000_000_u64}}),
    ] {
        grace.send_json(&app, "PATCH", &path, &refused).await.expect_problem(422, "invalid-request");
    }
    let trail = "SELECT string_agg(details->>'changes', ' ' ORDER BY created_at, id) FROM audit_logs
        WHERE action = 'quota.update'";
    let trail = app.value(trail).await;
    assert!(trail.ends_with(r#"{"tokens": {"after": "tier", "before": "100"}}"#), "{trail}");
}
