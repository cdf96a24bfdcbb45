//! All that is known about one person.

use serde_json::{Value, json};

use crate::support::{Answer, TestApp, eventually};

#[tokio::test]
async fn everything_about_one_person_stands_in_one_list_newest_first_and_pages_leave_nothing_out() {
    let app = TestApp::start().await;
    let admin = app.person_of_role("admin").await;
    let program = admin.program(&app).await;
    let (ada, bob) = (app.person().await, app.person().await);
    for person in [&ada, &bob] {
        let events = json!({"events": [
            {"userId": person.id, "totalTokens": 7, "totalCost": "0.1", "occurredAt": "2026-11-01T10:00:00Z"},
            {"userId": person.id, "totalTokens": 5, "totalCost": "0.2", "occurredAt": "2026-11-01T23:00:00Z"},
            {"userId": person.id, "totalTokens": 3, "totalCost": "0.4"}]});
        program.send_json(&app, "POST", "/v1/usage/events", &events).await.expect(200);
        let told = json!({"events": [{"userId": person.id, "action": "export", "data": {"pages": 2}}]});
        program.send_json(&app, "POST", "/v1/activity", &told).await.expect(200);
        let notes = format!("/v1/admin/users/{}/notes", person.id);
        admin.send_json(&app, "POST", &notes, &json!({"note": "called twice"})).await.expect(201);
        let bill = app.request("POST", "/v1/billing").bearer_auth(&program.access);
        let bill =
            bill.header("idempotency-key", &person.id).json(&json!({"userId": person.id, "amount": "3"}));
        Answer::of(bill).await.expect(201);
    }
    let count = format!("SELECT count(*) FROM user_activity WHERE user_id = '{}'", ada.id);
    eventually("the sign-up is in the timeline", async || app.value(&count).await == "2").await;
    let path = format!("/v1/admin/users/{}/timeline", ada.id);
    let whole = admin.send(&app, "GET", &path).await.expect(200);
    let items = whole.body["items"].as_array().unwrap().clone();
    let of = |kind: &str| items.iter().filter(|item| item["type"] == kind).collect::<Vec<_>>();
    for (kind, many) in
        [("activity", 2), ("audit", 2), ("billing", 1), ("note", 1), ("session", 1), ("usage", 2)]
    {
        assert_eq!(of(kind).len(), many, "{kind}: {}", whole.text);
    }
    assert!(items.windows(2).all(|pair| pair[0]["at"].as_str() >= pair[1]["at"].as_str()), "{}", whole.text);
    assert!(!whole.text.contains(&bob.id));
    let day = of("usage")[1];
    assert_eq!(day["at"], "2026-11-01T00:00:00.000Z");
    let sums =
        json!({"day": "2026-11-01", "requestCount": 2, "totalTokens": 12, "totalCost": "0.3000000000"});
    assert_eq!(day["usage"], sums);
    assert_eq!(of("note")[0]["note"]["note"], "called twice");
    assert_eq!(of("billing")[0]["billing"]["amount"], "3.00");
    assert_eq!(of("session")[0]["session"]["id"], Value::from(ada.session.as_str()));

    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = admin.send(&app, "GET", &format!("{path}?limit=2{cursor}")).await.expect(200);
        paged.extend(page.body["items"].as_array().unwrap().clone());
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, items);
}

#[tokio::test]
async fn ended_sessions_stay_in_the_timeline_and_only_live_ones_are_listed() {
    let app = TestApp::start().await;
    let support = app.person_of_role("support").await;
    let ada = app.person().await;
    let second = ada.sign_in(&app).await;
    second.send(&app, "DELETE", &format!("/v1/me/sessions/{}", ada.session)).await.expect(204);
    let live = support.send(&app, "GET", &format!("/v1/admin/users/{}/sessions", ada.id)).await.expect(200);
    assert_eq!(live.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(live.str("/items/0/id"), second.session);
    assert_eq!(live.body["items"][0]["current"], false);
    let timeline =
        support.send(&app, "GET", &format!("/v1/admin/users/{}/timeline", ada.id)).await.expect(200);
    let sessions = timeline.body["items"].as_array().unwrap().iter().filter(|item| item["type"] == "session");
    let ended: Vec<_> = sessions.map(|item| item["session"]["revokedAt"].is_string()).collect();
    assert_eq!(ended, [false, true]);
    support.send(&app, "GET", "/v1/admin/users/nobody/timeline").await.expect_problem(404, "not-found");
    let query = format!("/v1/admin/users/{}/timeline?cursor=abc", ada.id);
    support.send(&app, "GET", &query).await.expect_problem(422, "invalid-request");
}
