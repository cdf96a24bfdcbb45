//! What programs tell of what happened on accounts.

use serde_json::{Value, json};

use crate::support::{Answer, Person, TestApp, fresh_email};

async fn report(app: &TestApp, program: &Person, events: &Value) -> Answer {
    program.send_json(app, "POST", "/v1/activity", &json!({"events": events})).await
}

#[tokio::test]
async fn each_event_is_judged_on_its_own_and_shown_to_the_person_as_it_was_told() {
    let app = TestApp::start().await;
    let program = app.person_of_role("admin").await.program(&app).await;
    let ada = app.person().await;
    let told = r#"{"events": [
        {"userId": "ADA", "action": "export", "data": {"pages": 12, "cost": 0.1234567890123456789}},
        {"userId": "nobody", "action": "export"},
        {"userId": "ADA", "action": ""},
        {"userId": "ADA", "action": "export", "data": "\ud800"},
        {"userId": "ADA", "action": "export", "data": 1e9999},
        {"userId": "ADA", "action": "export", "surprise": 1},
        {"userId": "ADA", "action": "a\u0000b"},
        {"userId": "ADA", "action": "chat", "data": null}]}"#;
    let request = app.request("POST", "/v1/activity").bearer_auth(&program.access);
    let request = request.header("content-type", "application/json").body(told.replace("ADA", &ada.id));
    let answer = Answer::of(request).await.expect(200);
    assert_eq!((&answer.body["accepted"], &answer.body["rejected"]), (&json!(2), &json!(6)));
    for (index, error) in [
        (1, "userId: there is no such account"),
        (2, "action: must not be blank"),
        (3, "data: must be JSON that can be kept"),
        (4, "data: must be JSON that can be kept"),
        (5, "surprise: is not a field of this request"),
        (6, "action: must not contain NUL characters"),
    ] {
        let result = &answer.body["results"][index];
        assert_eq!(*result, json!({"index": index, "status": "rejected", "error": error}));
    }
    let seen = ada.send(&app, "GET", "/v1/me/activity").await.expect(200);
    let items = seen.body["items"].as_array().unwrap();
    let of = |action| items.iter().find(|item| item["action"] == action).unwrap();
    assert_eq!(of("export")["id"], answer.body["results"][0]["id"]);
    assert_eq!(of("chat")["data"], Value::Null);
    assert!(seen.text.contains("0.1234567890123456789"), "{}", seen.text);
    let summary = ada.send(&app, "GET", "/v1/me/activity/summary").await.expect(200);
    assert!(summary.body["totalActions"].as_i64() >= Some(2), "{}", summary.text);
}

#[tokio::test]
async fn a_request_that_comes_again_under_its_key_is_answered_as_before_and_written_once() {
    let app = TestApp::builder().servers(2).start().await;
    let program = app.person_of_role("admin").await.program(&app).await;
    let ada = app.person().await;
    let key = fresh_email();
    let events = json!({"events": [{"userId": ada.id, "action": "export"}]});
    let again = (0..20).map(|number| {
        let request = app.client.request("POST".parse().unwrap(), app.url_of(number % 2, "/v1/activity"));
        Answer::of(request.bearer_auth(&program.access).header("idempotency-key", &key).json(&events))
    });
    let answers = futures_util::future::join_all(again).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.text == answers[0].text));
    assert_eq!(app.value("SELECT count(*) FROM user_activity WHERE action = 'export'").await, "1");
    let other = json!({"events": [{"userId": ada.id, "action": "import"}]});
    let request = app.request("POST", "/v1/activity").bearer_auth(&program.access);
    let other = Answer::of(request.header("idempotency-key", &key).json(&other)).await;
    other.expect_problem(422, "idempotency-key-reused");
}

#[tokio::test]
async fn none_too_many_and_a_key_without_the_scope_are_refused() {
    let app = TestApp::start().await;
    let admin = app.person_of_role("admin").await;
    let program = admin.program(&app).await;
    report(&app, &program, &json!([])).await.expect_problem(422, "invalid-request");
    let event = json!({"userId": admin.id, "action": "x"});
    let many = Value::from(vec![event.clone(); 1_001]);
    report(&app, &program, &many).await.expect_problem(422, "invalid-request");
    let most = Value::from(vec![event.clone(); 1_000]);
    assert_eq!(report(&app, &program, &most).await.expect(200).body["accepted"], 1_000);
    let access = admin.service_key(&app, &["usage:write"]).await;
    let other = Person { access, ..admin.clone() };
    report(&app, &other, &json!([event])).await.expect_problem(403, "forbidden");
}
