use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

/// The audit trail, oldest first.
async fn audit(app: &TestApp) -> Vec<Value> {
    let rows = app.value("SELECT jsonb_agg(to_jsonb(a) ORDER BY created_at, id) FROM audit_logs a").await;
    serde_json::from_str(&rows).unwrap_or_default()
}

#[tokio::test]
async fn a_change_is_shown_and_told_in_the_audit_trail_with_who_whom_what_and_from_where() {
    let app = TestApp::builder().set("SUBTLE_TRUSTED_PROXIES", "127.0.0.1").start().await;
    let (grace, ada) = (app.person_of_role("admin").await, app.person().await);
    let path = format!("/v1/admin/users/{}", ada.id);
    let change = json!({
        "fullName": "Augusta", "avatarUrl": "https://example.com/a.png",
        "subscriptionTier": "pro", "role": "support", "emailVerified": true,
    });
    let request = app.request("PATCH", &path).bearer_auth(&grace.access);
    let changed =
        Answer::of(request.header("x-forwarded-for", "203.0.113.9").json(&change)).await.expect(200);
    for (name, value) in change.as_object().unwrap() {
        assert_eq!(&changed.body[name], value, "{name}");
    }
    let shown = grace.send(&app, "GET", &path).await.expect(200);
    assert!(changed.body.as_object().unwrap().iter().all(|(name, value)| shown.body[name] == *value));
    let trail = audit(&app).await;
    assert_eq!(trail.len(), 1, "{trail:?}");
    let row = &trail[0];
    assert_eq!((&row["admin_id"], &row["user_id"]), (&json!(grace.id), &json!(ada.id)));
    assert_eq!((&row["action"], &row["ip_address"]), (&json!("user.update"), &json!("203.0.113.9")));
    let expected = json!({
        "avatarUrl": {"before": null, "after": null},
        "emailVerified": {"before": "false", "after": "true"},
        "fullName": {"before": null, "after": null},
        "role": {"before": "user", "after": "support"},
        "subscriptionTier": {"before": "free", "after": "pro"},
    });
    assert_eq!(row["details"], json!({"changes": expected, "via": "http"}));
    let told = row.to_string();
    assert!(!told.contains("Augusta") && !told.contains("Lovelace") && !told.contains(&ada.email), "{told}");
}

#[tokio::test]
async fn what_changes_nothing_or_is_refused_leaves_no_trace_in_the_audit_trail() {
    let app = TestApp::start().await;
    let (grace, ada) = (app.person_of_role("admin").await, app.person().await);
    let path = format!("/v1/admin/users/{}", ada.id);
    let before = grace.send(&app, "GET", &path).await.expect(200);
    for same in
        [json!({}), json!({"role": "user"}), json!({"fullName": "Ada Lovelace", "emailVerified": false})]
    {
        grace.send_json(&app, "PATCH", &path, &same).await.expect(200);
    }
    grace.send(&app, "POST", &format!("{path}/enable")).await.expect(200);
    for (unfit, field) in [
        (json!({"role": "root"}), "role"),
        (json!({"subscriptionTier": "gold"}), "subscriptionTier"),
        (json!({"email": "eve@example.com"}), "email"),
        (json!({"role": "admin", "avatarUrl": "ftp://x"}), "avatarUrl"),
        (json!({"role": "admin", "emailVerified": "yes"}), "emailVerified"),
    ] {
        let refused =
            grace.send_json(&app, "PATCH", &path, &unfit).await.expect_problem(422, "invalid-request");
        assert_eq!(refused.str("/errors/0/field"), field);
    }
    grace.send_json(&app, "PATCH", "/v1/admin/users/nobody", &json!({"role": "admin"})).await.expect(404);
    ada.send_json(&app, "PATCH", &path, &json!({"role": "admin"})).await.expect(403);
    assert_eq!(audit(&app).await, [Value::Null; 0]);
    let activity = grace.send(&app, "GET", &path).await.expect(200);
    assert_eq!(activity.body["updatedAt"], before.body["updatedAt"]);
}

#[tokio::test]
async fn administrators_do_not_take_their_own_account_away() {
    let app = TestApp::start().await;
    let grace = app.person_of_role("admin").await;
    let path = format!("/v1/admin/users/{}", grace.id);
    for (method, path, body) in [
        ("PATCH", path.clone(), json!({"role": "support"})),
        ("PATCH", path.clone(), json!({"role": "user", "fullName": "G"})),
        ("POST", format!("{path}/disable"), json!({})),
        ("DELETE", path.clone(), json!({})),
    ] {
        grace.send_json(&app, method, &path, &body).await.expect_problem(409, "own-account");
    }
    assert_eq!(audit(&app).await, [Value::Null; 0]);
    let change = json!({"fullName": "Grace", "role": "admin"});
    grace.send_json(&app, "PATCH", &path, &change).await.expect(200);
    assert_eq!(grace.send(&app, "GET", &path).await.expect(200).str("/fullName"), "Grace");
}

#[tokio::test]
async fn a_change_that_cannot_be_audited_is_not_made() {
    let app = TestApp::start().await;
    let (grace, ada) = (app.person_of_role("admin").await, app.person().await);
    app.sql("ALTER TABLE audit_logs ADD CONSTRAINT no_room CHECK (false)").await;
    let path = format!("/v1/admin/users/{}", ada.id);
    let failed = grace.send_json(&app, "PATCH", &path, &json!({"role": "admin"})).await;
    let failed = failed.expect_problem(500, "internal");
    assert!(!failed.text.contains("audit") && !failed.text.contains("constraint"), "{}", failed.text);
    grace.send(&app, "POST", &format!("{path}/disable")).await.expect(500);
    grace.send(&app, "DELETE", &path).await.expect(500);
    let me = ada.send(&app, "GET", "/v1/me").await.expect(200);
    assert_eq!((me.str("/role"), me.str("/email")), ("user", ada.email.as_str()));
    app.refresh(&ada.refresh).await.expect(200);
    app.sql("ALTER TABLE audit_logs DROP CONSTRAINT no_room").await;
    grace.send(&app, "POST", &format!("{path}/disable")).await.expect(200);
    assert_eq!(audit(&app).await.len(), 1);
}
