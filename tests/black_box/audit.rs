//! The audit trail: reading in it, and the seals that grow over it.

use serde_json::{Value, json};

use crate::support::{TestApp, eventually};

#[tokio::test]
async fn the_trail_is_read_by_action_by_whom_on_whom_and_when() {
    let app = TestApp::start().await;
    let admin = app.person_of_role("admin").await;
    let support = app.person_of_role("support").await;
    let (ada, bob) = (app.person().await, app.person().await);
    for (user, tier) in [(&ada, "pro"), (&bob, "pro"), (&ada, "enterprise")] {
        let path = format!("/v1/admin/users/{}", user.id);
        admin.send_json(&app, "PATCH", &path, &json!({"subscriptionTier": tier})).await.expect(200);
    }
    let key = admin.program(&app).await;
    let event = json!({"userId": ada.id, "amount": "12.50"});
    let bill = app.request("POST", "/v1/billing").bearer_auth(&key.access).header("idempotency-key", "k");
    let bill = crate::support::Answer::of(bill.json(&event)).await.expect(201);
    let listed = async |query: &str| {
        let path = format!("/v1/admin/audit-logs?{query}");
        support.send(&app, "GET", &path).await.expect(200).body["items"].as_array().unwrap().clone()
    };
    let actions = async |query: &str| {
        let items = listed(query).await;
        items.iter().map(|item| item["action"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(actions("").await, "billing.create service_key.create user.update user.update user.update");
    assert_eq!(actions("action=service_key.create").await, "service_key.create");
    assert_eq!(actions(&format!("userId={}", bob.id)).await, "user.update");
    assert_eq!(actions(&format!("userId={}&action=user.update", ada.id)).await, "user.update user.update");
    assert_eq!(listed(&format!("adminId={}", admin.id)).await.len(), 5);
    assert_eq!(actions(&format!("adminId={}", support.id)).await, "");
    assert_eq!(actions("from=2999-01-01").await, "");
    assert_eq!(actions("to=2020-01-01").await, "");
    assert_eq!(listed("from=2020-01-01T00:00:00Z&to=2999-12-31").await.len(), 5);
    let billed = &listed("action=billing.create").await[0];
    assert_eq!(billed["userId"], Value::from(ada.id.as_str()));
    assert_eq!(billed["details"]["via"], "service_key");
    assert_eq!(billed["details"]["about"]["billingId"], bill.body["id"]);
    assert!(billed["details"]["serviceKey"].is_string() && billed["ipAddress"] == "127.0.0.1", "{billed}");
    let change = &listed(&format!("userId={}", bob.id)).await[0];
    let tiers = json!({"before": "free", "after": "pro"});
    assert_eq!(change["details"]["changes"]["subscriptionTier"], tiers);
}

#[tokio::test]
async fn pages_of_the_trail_leave_nothing_out_and_unfit_wishes_are_refused() {
    let app = TestApp::start().await;
    let admin = app.person_of_role("admin").await;
    for number in 0..7 {
        let key = json!({"name": format!("key {number}"), "scopes": ["usage:write"]});
        admin.send_json(&app, "POST", "/v1/admin/service-keys", &key).await.expect(201);
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page =
            admin.send(&app, "GET", &format!("/v1/admin/audit-logs?limit=3{cursor}")).await.expect(200);
        seen.extend(page.body["items"].as_array().unwrap().iter().map(|item| item["id"].to_string()));
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 7);
    for query in ["from=yesterday", "to=2026-13-01", "userId=%20", "limit=0", "cursor=x", "who=me", "action="]
    {
        let refused = admin.send(&app, "GET", &format!("/v1/admin/audit-logs?{query}")).await;
        assert_eq!(refused.status, 422, "{query}: {}", refused.text);
    }
}

#[tokio::test]
async fn what_is_committed_is_sealed_within_seconds() {
    let app = TestApp::start().await;
    let admin = app.person_of_role("admin").await;
    admin.program(&app).await;
    assert_eq!(app.value("SELECT count(*) FROM audit_logs WHERE mac IS NULL").await, "0");
    eventually("the row is sealed", async || {
        app.value("SELECT count(*) FROM audit_seals WHERE cardinality(row_ids) = 1").await == "1"
            && app.value("SELECT count(*) FROM audit_unsealed").await == "0"
    })
    .await;
}
