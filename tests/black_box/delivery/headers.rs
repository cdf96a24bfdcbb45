use crate::support::{Answer, TestApp};

const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

#[tokio::test]
async fn a_request_keeps_its_identifier_and_gets_one_where_its_own_is_none_or_harmful() {
    let app = TestApp::start().await;
    let longest = "x".repeat(128);
    for given in ["a", "5f0c-4.A_z", &longest] {
        for path in ["/health/live", "/v1/me", "/nowhere"] {
            let answer = Answer::of(app.request("GET", path).header("x-request-id", given)).await;
            assert_eq!(answer.header("x-request-id"), given, "{path}");
            if answer.status >= 400 {
                assert_eq!(answer.str("/requestId"), given, "{path}");
            }
        }
    }
    let mut seen = Vec::new();
    let too_long = "x".repeat(129);
    let harmful = ["", " ", "a b", "a,b", "a\"b", "<b>", "a;b", "$(a)", "../a", "\t", "ü", &too_long];
    for given in harmful {
        let answer = Answer::of(app.request("GET", "/v1/me").header("x-request-id", given)).await.expect(401);
        let id = answer.header("x-request-id").to_owned();
        assert!(id.len() >= 16 && id != given && !seen.contains(&id), "{given:?} {id:?}");
        seen.push(id);
    }
    let without = app.get("/v1/me").await.expect(401);
    assert!(!seen.contains(&without.header("x-request-id").to_owned()));
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_browsers_safe() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let mut answers = vec![
        ada.send(&app, "GET", "/v1/me").await.expect(200),
        ada.send(&app, "DELETE", "/v1/me/sessions").await.expect(204),
        ada.send(&app, "GET", "/v1/admin/users").await.expect(403),
        app.get("/v1/me").await.expect(401),
        app.get("/nowhere").await.expect(404),
        Answer::of(app.request("PUT", "/v1/me")).await.expect(405),
        Answer::of(app.request("POST", "/v1/auth/login")).await.expect(415),
        app.post("/v1/auth/login", &serde_json::json!([])).await.expect(422),
        app.get("/health/live").await.expect(200),
        app.get("/health/ready").await.expect(200),
        app.get("/openapi.json").await.expect(200),
    ];
    for answer in &answers {
        assert_eq!(answer.header("cache-control"), "no-store", "{}", answer.text);
        assert_eq!(answer.header("content-security-policy"), API_POLICY, "{}", answer.text);
    }
    let docs = app.get("/docs/").await.expect(200);
    let policy = docs.header("content-security-policy").to_owned();
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("http"), "{policy}");
    answers.push(docs);
    answers.push(app.get("/docs/nothing.js").await.expect(404));
    answers.push(app.get("/.well-known/jwks.json").await.expect(200));
    for answer in &answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("strict-transport-security", "max-age=63072000"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{}: {}", answer.status, answer.text);
        }
        assert!(!answer.headers.contains_key("server") && !answer.headers.contains_key("x-powered-by"));
    }
}
