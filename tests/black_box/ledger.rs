//! The billing ledger over HTTP.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Answer, Person, TestApp};

async fn bill(app: &TestApp, by: &Person, user: &Person, key: &str, amount: &str) -> Answer {
    let request = app.request("POST", "/v1/billing").bearer_auth(&by.access).header("idempotency-key", key);
    Answer::once_served(request.json(&json!({"userId": user.id, "amount": amount}))).await
}

#[tokio::test]
async fn a_record_under_a_key_is_made_once_and_every_caller_has_keys_of_their_own() {
    let app = TestApp::start().await;
    let grace = app.person_of_role("admin").await;
    let (program, ada) = (grace.program(&app).await, app.person().await);
    let answers = join_all((0..100).map(|_| bill(&app, &program, &ada, "k", "12.5"))).await;
    let first = answers[0].body.clone();
    assert_eq!((&first["amount"], &first["status"]), (&json!("12.50"), &json!("pending")));
    assert!(answers.into_iter().all(|answer| answer.expect(201).body == first));
    bill(&app, &program, &ada, "k", "12.51").await.expect_problem(422, "idempotency-key-reused");
    bill(&app, &grace, &ada, "k", "12.51").await.expect(201);
    assert_eq!(app.value("SELECT count(*) FROM billing_history").await, "2");
    let trail = "SELECT count(*) FROM audit_logs WHERE action = 'billing.create'";
    assert_eq!(app.value(trail).await, "2");
    let mine = ada.send(&app, "GET", "/v1/me/billing").await.expect(200);
    let total = json!([{"currency": "USD", "status": "pending", "records": 2, "amount": "25.01"}]);
    assert_eq!(mine.body["totals"], total);
}

#[tokio::test]
async fn refused_input_uses_up_no_key_and_a_key_is_required() {
    let app = TestApp::start().await;
    let program = app.person_of_role("admin").await.program(&app).await;
    let ada = app.person().await;
    for amount in ["0", "-1", "1.001", "1e3", "NaN", "100000000"] {
        let refused = bill(&app, &program, &ada, "k", amount).await.expect_problem(422, "invalid-request");
        assert_eq!(refused.str("/errors/0/field"), "amount");
    }
    bill(&app, &program, &ada, "k", "1").await.expect(201);
    let body = json!({"userId": ada.id, "amount": "1"});
    program.send_json(&app, "POST", "/v1/billing", &body).await.expect_problem(400, "malformed-request");
}

#[tokio::test]
async fn of_fifty_refunds_at_once_one_succeeds() {
    let app = TestApp::builder().servers(2).start().await;
    let program = app.person_of_role("admin").await.program(&app).await;
    let made = bill(&app, &program, &app.person().await, "k", "5").await.expect(201);
    let path = |step: &str| format!("/v1/billing/{}/{step}", made.str("/id"));
    let early = program.send(&app, "POST", &path("refund")).await.expect_problem(409, "forbidden-transition");
    assert_eq!(early.str("/detail"), "a pending record cannot become refunded");
    program.send(&app, "POST", &path("complete")).await.expect(200);
    let refund = path("refund");
    let answers = join_all((0..50).map(|number| {
        Answer::once_served(app.client.post(app.url_of(number % 2, &refund)).bearer_auth(&program.access))
    }))
    .await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 1);
    assert!(answers.iter().all(|answer| [200, 409].contains(&answer.status)));
    let trail = "SELECT count(*) FROM audit_logs WHERE action = 'billing.update'";
    assert_eq!(app.value(trail).await, "2");
}

#[tokio::test]
async fn a_month_is_closed_once_to_the_cent_with_the_exact_sum_in_words() {
    let app = TestApp::start().await;
    let grace = app.person_of_role("admin").await;
    let (program, ada) = (grace.program(&app).await, app.person().await);
    let event = |cost: &str, day: &str| json!({"userId": ada.id, "totalTokens": 1, "totalCost": cost, "occurredAt": format!("2026-01-{day}T12:00:00Z")});
    let events = json!({"events": [event("1.0000000001", "01"), event("0.3349999999", "31")]});
    program.send_json(&app, "POST", "/v1/usage/events", &events).await.expect(200);
    let month = json!({"month": "2026-01"});
    let closes = (0..8).map(|_| grace.send_json(&app, "POST", "/v1/admin/billing/close", &month));
    let closes = join_all(closes).await;
    let records: u64 =
        closes.into_iter().map(|answer| answer.expect(200).body["records"].as_u64().unwrap()).sum();
    assert_eq!(records, 1);
    let mine = ada.send(&app, "GET", "/v1/me/billing").await.expect(200);
    assert_eq!(mine.str("/items/0/amount"), "1.34");
    assert_eq!(mine.str("/items/0/description"), "Usage of 2026-01: 1.3350000000 USD");
    let open = json!({"month": "9999-01"});
    grace
        .send_json(&app, "POST", "/v1/admin/billing/close", &open)
        .await
        .expect_problem(422, "invalid-request");
}

#[tokio::test]
async fn support_sees_the_ledger_by_status_and_by_person() {
    let app = TestApp::start().await;
    let support = app.person_of_role("support").await;
    let program = app.person_of_role("admin").await.program(&app).await;
    let (ada, eve) = (app.person().await, app.person().await);
    for (number, user) in [&ada, &ada, &eve].into_iter().enumerate() {
        bill(&app, &program, user, &number.to_string(), "2").await.expect(201);
    }
    let mine = ada.send(&app, "GET", "/v1/me/billing?limit=1").await.expect(200);
    let path = format!("/v1/billing/{}/complete", mine.str("/items/0/id"));
    program.send(&app, "POST", &path).await.expect(200);
    let seen = async |query: &str| {
        let list = support.send(&app, "GET", &format!("/v1/admin/billing{query}")).await.expect(200);
        (list.body["items"].as_array().unwrap().len(), list.body["totals"].clone())
    };
    assert_eq!(seen("").await.0, 3);
    let completed = json!([{"currency": "USD", "status": "completed", "records": 1, "amount": "2.00"}]);
    assert_eq!(seen("?status=completed").await, (1, completed));
    assert_eq!(seen(&format!("?userId={}", ada.id)).await.0, 2);
    assert_eq!(seen(&format!("?userId={}&status=pending", eve.id)).await.0, 1);
    let theirs = support.send(&app, "GET", &format!("/v1/admin/users/{}/billing", ada.id)).await.expect(200);
    assert_eq!(theirs.body["items"].as_array().unwrap().len(), 2);
    support.send(&app, "GET", "/v1/admin/billing?status=paid").await.expect_problem(422, "invalid-request");
}
