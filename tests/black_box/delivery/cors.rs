use crate::support::{Answer, TestApp};

const APP: &str = "https://app.example.com";

async fn preflight(app: &TestApp, origin: &str, method: &str, headers: &str) -> Answer {
    let request = app.request("OPTIONS", "/v1/me").header("origin", origin);
    let request = request.header("access-control-request-method", method);
    Answer::of(request.header("access-control-request-headers", headers)).await
}

fn cors_headers(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.keys().map(reqwest::header::HeaderName::as_str);
    names.filter(|name| name.starts_with("access-control-")).collect()
}

#[tokio::test]
async fn without_the_setting_no_page_elsewhere_may_read_anything() {
    let app = TestApp::start().await;
    for path in ["/v1/me", "/health/live", "/nowhere", "/docs/"] {
        let answer = Answer::of(app.request("GET", path).header("origin", APP)).await;
        assert_eq!(cors_headers(&answer), [""; 0], "{path}");
    }
    let answer =
        preflight(&app, APP, "PATCH", "authorization").await.expect_problem(405, "method-not-allowed");
    assert_eq!(cors_headers(&answer), [""; 0]);
}

#[tokio::test]
async fn the_pages_of_a_configured_origin_may_call_and_no_others() {
    let other = "https://beta.example.com:8443";
    let app = TestApp::builder().set("SUBTLE_CORS_ORIGINS", &format!("{APP},{other}")).start().await;
    let ada = app.person().await;
    for origin in [APP, other] {
        for method in ["GET", "POST", "PATCH", "DELETE"] {
            let headers = "authorization,content-type,x-request-id,idempotency-key,traceparent";
            let answer = preflight(&app, origin, method, headers).await.expect(200);
            assert_eq!(answer.header("access-control-allow-origin"), origin);
            assert!(answer.header("access-control-allow-methods").contains(method));
            let allowed = answer.header("access-control-allow-headers").to_ascii_lowercase();
            assert!(headers.split(',').all(|name| allowed.contains(name)), "{allowed}");
            assert!(answer.header("vary").to_ascii_lowercase().contains("origin"));
            assert!(!answer.headers.contains_key("access-control-allow-credentials"));
        }
        let me = app.request("GET", "/v1/me").bearer_auth(&ada.access).header("origin", origin);
        assert_eq!(Answer::of(me).await.expect(200).header("access-control-allow-origin"), origin);
        // A page must be able to read what went wrong.
        let refused = Answer::of(app.request("GET", "/v1/me").header("origin", origin)).await.expect(401);
        assert_eq!(refused.header("access-control-allow-origin"), origin);
        assert!(refused.header("access-control-expose-headers").contains("x-request-id"));
    }
    for origin in [
        "https://evil.example.com",
        "http://app.example.com",
        "https://app.example.com.evil.com",
        "https://app.example.com:444",
        "null",
        "*",
    ] {
        let answer = preflight(&app, origin, "PATCH", "authorization").await;
        assert!((400..500).contains(&answer.status), "{origin}: {}", answer.status);
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}");
        let status = answer.status;
        answer.expect(status);
        let me = app.request("GET", "/v1/me").bearer_auth(&ada.access).header("origin", origin);
        let answer = Answer::of(me).await.expect(200);
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}");
    }
    let strange = preflight(&app, APP, "PATCH", "x-strange").await;
    assert!((400..500).contains(&strange.status), "{}", strange.status);
}
