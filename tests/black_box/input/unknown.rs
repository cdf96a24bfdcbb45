//! What nobody may set by naming it (ASVS 15.3.3).

use serde_json::{Value, json};

use crate::support::{Document, Operation, Person, TestApp, fresh_email};

const COVETED: [(&str, Value); 9] = [
    ("id", Value::Null),
    ("userId", Value::Null),
    ("role", Value::Null),
    ("subscriptionTier", Value::Null),
    ("emailVerified", Value::Bool(true)),
    ("createdAt", Value::Null),
    ("deletedAt", Value::Null),
    ("passwordHash", Value::Null),
    ("__proto__", Value::Null),
];

#[tokio::test]
async fn a_field_that_is_not_of_the_request_is_refused_by_name_and_nothing_is_done() {
    let app = TestApp::start().await;
    let ada = app.person_of_role("admin").await;
    let program = ada.program(&app).await;
    let everything = "SELECT jsonb_build_array((SELECT jsonb_agg(to_jsonb(u)) FROM users u),
                                               (SELECT jsonb_agg(to_jsonb(s)) FROM sessions s))";
    let before = app.value(everything).await;
    for operation in Document::committed().operations().into_iter().filter(Operation::takes_body) {
        let own_fields = match operation.path.as_str() {
            "/v1/auth/register" => json!({"email": fresh_email(), "password": Person::PASSWORD}),
            "/v1/auth/login" => json!({"email": ada.email, "password": ada.password}),
            "/v1/auth/refresh" | "/v1/auth/logout" => json!({"refreshToken": ada.refresh}),
            "/v1/auth/second-factor" => json!({"challenge": "nonsense", "code": "123456"}),
            "/v1/me/second-factor/confirm" => json!({"code": "123456"}),
            "/v1/auth/reauthenticate" => json!({"password": ada.password}),
            "/v1/bridge-tokens" => json!({"sessionData": {"document": "d-17"}}),
            "/v1/bridge-tokens/redeem" => json!({"token": "nonsense"}),
            "/v1/sync/events" => json!({"eventType": "settings.changed", "eventSource": "web"}),
            "/v1/auth/verify-email" => json!({"token": "x"}),
            "/v1/auth/verify-email/resend" | "/v1/auth/password-reset" => json!({"email": ada.email}),
            "/v1/auth/password-reset/confirm" => json!({"token": "x", "newPassword": "another secret 9"}),
            "/v1/me/email" => json!({"newEmail": fresh_email(), "currentPassword": ada.password}),
            "/v1/me/password" => {
                json!({"currentPassword": ada.password, "newPassword": "another secret 9"})
            }
            "/v1/me" | "/v1/admin/users/{id}" => json!({"fullName": "Eve"}),
            "/v1/usage/events" | "/v1/activity" => json!({"events": []}),
            "/v1/admin/users/{id}/notes" => json!({"note": "called twice"}),
            "/v1/admin/notes/{id}" => json!({"isFlagged": true}),
            "/v1/usage/reservations" => json!({"userId": ada.id, "totalTokens": 1}),
            "/v1/usage/reservations/{id}/settle" => json!({"totalTokens": 1, "totalCost": "0.1"}),
            "/v1/billing" => json!({"userId": ada.id, "amount": "12.50"}),
            "/v1/admin/users/{id}/quota" => json!({"tokens": {"limit": 7}}),
            "/v1/admin/billing/close" => json!({"month": "2020-01"}),
            "/v1/admin/service-keys" => json!({"name": "a key", "scopes": ["usage:write"]}),
            path => panic!("{path} needs a body here"),
        };
        let admins = ["role", "subscriptionTier", "emailVerified"];
        for (name, value) in COVETED {
            let is_own = own_fields.get(name).is_some();
            if is_own || (operation.path == "/v1/admin/users/{id}" && admins.contains(&name)) {
                continue;
            }
            for value in [value, json!("admin"), json!({"a": [1, 2]})] {
                let mut body = own_fields.clone();
                body[name] = value;
                let (caller, path) = operation.asked_by(&ada, &program);
                let refused = caller.send_json(&app, &operation.method, &path, &body).await;
                let refused = refused.expect_problem(422, "invalid-request");
                assert_eq!(refused.str("/errors/0/field"), name, "{path}");
            }
        }
    }
    assert_eq!(app.value(everything).await, before);
}

#[tokio::test]
async fn a_field_in_another_case_or_twice_is_refused() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    for body in [
        r#"{"fullname": "Eve"}"#,
        r#"{"full_name": "Eve"}"#,
        r#"{"fullName": "Ada", "fullName": "Eve"}"#,
        r#"{"fullName": "Ada", "full\u004eame": "Eve"}"#,
        r#"{"": "Eve"}"#,
    ] {
        let request = app.request("PATCH", "/v1/me").bearer_auth(&ada.access);
        let request = request.header("content-type", "application/json").body(body);
        crate::support::Answer::of(request).await.expect_problem(422, "invalid-request");
    }
}
