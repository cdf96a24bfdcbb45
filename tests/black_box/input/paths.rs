//! Paths and methods that there are not.

use std::time::Duration;

use crate::support::{Answer, Document, Raw, TestApp};

/// The methods that a path of the document has, in alphabetical order.
fn methods(document: &Document, path: &str) -> Vec<String> {
    let operations = document.operations().into_iter().filter(|operation| operation.path == path);
    let mut methods: Vec<_> = operations.map(|operation| operation.method).collect();
    methods.sort();
    methods
}

#[tokio::test]
async fn a_method_that_a_path_has_not_is_refused_with_those_it_has() {
    let app = TestApp::start().await;
    let grace = app.person_of_role("admin").await;
    let document = Document::committed();
    let others = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "NOPE"];
    for path in document.paths().chain(["/openapi.json"]) {
        let has = if path == "/openapi.json" { vec!["GET".to_owned()] } else { methods(&document, path) };
        for method in others.into_iter().filter(|method| !has.contains(&(*method).to_owned())) {
            let path = path.replace("{id}", &grace.id);
            let mut raw = Raw::open(&app).await;
            let head =
                format!("{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}", grace.access);
            raw.send(format!("{head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")).await;
            let (answer, _) = raw.read_to_end(Duration::from_secs(5)).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 405 "), "{method} {path}: {answer}");
            assert!(answer.contains("urn:subtle:problem:method-not-allowed"), "{method} {path}: {answer}");
            assert_eq!(allowed(&answer), has, "{method} {path}");
        }
    }
    grace.send(&app, "GET", "/v1/me").await.expect(200);
}

/// What the header `Allow` of an answer names.
fn allowed(answer: &str) -> Vec<String> {
    let allow = answer.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap_or_default();
    let mut methods: Vec<_> = allow.split(", ").map(str::to_owned).collect();
    methods.sort();
    methods
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let app = TestApp::start().await;
    for (path, status) in [("/health/live", 200), ("/v1/me", 401), ("/nowhere", 404)] {
        let answer = Answer::of(app.request("HEAD", path)).await;
        assert_eq!((answer.status, answer.text.as_str()), (status, ""), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_not_found_whatever_the_method() {
    let app = TestApp::start().await;
    let grace = app.person_of_role("admin").await;
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/me/",
        "/v1//me",
        "//v1/me",
        "/V1/me",
        "/v1/ME",
        "/v1/me.json",
        "/v1/me;a=b",
        "/v1/%6de/x",
        "/v1/admin",
        "/v1/admin/users/",
        "/v1/admin/users/a/b",
        "/v1/admin/users/%2e%2e/stats/x",
        "/.env",
        "/.git/config",
        "/metrics/x",
        "/health",
        "/%",
        "/%zz",
        "/%00",
        "/%FF%FE",
        "/%C0%AE%C0%AE/etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/%0d%0aSet-Cookie:%20a=b",
    ] {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let mut raw = Raw::open(&app).await;
            let head =
                format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close");
            raw.send(format!("{head}\r\nAuthorization: Bearer {}\r\n\r\n", grace.access)).await;
            let (answer, _) = raw.read_to_end(Duration::from_secs(5)).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 404 "), "{method} {path}: {answer}");
            assert!(answer.contains("urn:subtle:problem:not-found"), "{method} {path}: {answer}");
        }
    }
}

#[tokio::test]
async fn an_identifier_that_can_be_none_is_nobodys() {
    let app = TestApp::start().await;
    let grace = app.person_of_role("admin").await;
    let program = grace.program(&app).await;
    let long = "x".repeat(5_000);
    for operation in Document::committed().operations().iter().filter(|one| one.path.contains("{id}")) {
        for id in [
            "%00",
            "a%00b",
            "%FF",
            "%C3%28",
            "%zz",
            "%",
            "%20",
            "%0d%0a",
            "..",
            "%2e%2e",
            "%2F",
            "a%2Fb",
            "%27--",
            "%F0%9F%98%80",
            "-1",
            "0",
            "null",
            "*",
            "%25",
            "a;b",
            "a'b",
            &long,
        ] {
            // By hand, for a client would tidy some of them up.
            let path = operation.path.replace("{id}", id);
            let mut raw = Raw::open(&app).await;
            let head = format!("{} {path} HTTP/1.1\r\nHost: a\r\nConnection: close", operation.method);
            let body = match operation.path.as_str() {
                "/v1/admin/notes/{id}" => r#"{"isFlagged":true}"#,
                "/v1/admin/users/{id}/notes" => r#"{"note":"called twice"}"#,
                _ => "{}",
            };
            let body =
                format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let caller = if operation.path.starts_with("/v1/usage/") { &program } else { &grace };
            raw.send(format!("{head}\r\nAuthorization: Bearer {}\r\n{body}", caller.access)).await;
            let (answer, _) = raw.read_to_end(Duration::from_secs(5)).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 404 "), "{} {path}: {answer}", operation.method);
            assert!(answer.contains("urn:subtle:problem:not-found"), "{} {path}: {answer}", operation.method);
        }
    }
}

#[tokio::test]
async fn what_is_no_http_or_has_too_much_of_it_is_refused_and_the_server_lives() {
    let app = TestApp::start().await;
    let huge = format!("GET /health/live HTTP/1.1\r\nHost: a\r\nX-Huge: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = "X-A: 1\r\n".repeat(5_000);
    for request in [
        "nonsense\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "GET /health/live HTTP/9.9\r\n\r\n".to_owned(),
        "GET /health/live HTTP/1.1\r\nHost a\r\n\r\n".to_owned(),
        "GET /health/live HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_owned(),
        "GET /health/live HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(),
        "POST /v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            .to_owned(),
        "POST /v1/auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\nzz\r\n"
            .to_owned(),
        format!("GET /health/live HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
        huge,
    ] {
        let mut raw = Raw::open(&app).await;
        let start: String = request.chars().take(80).collect();
        raw.try_send(&request).await;
        let (answer, _) = raw.read_to_end(Duration::from_secs(5)).await.unwrap_or_else(|| panic!("{start}"));
        assert!(answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 431 "), "{start}: {answer}");
        assert!(answer.contains("content-type: application/problem+json\r\n"), "{start}: {answer}");
        let (_, id) = answer.split_once("x-request-id: ").unwrap_or_else(|| panic!("{start}: {answer}"));
        let id = id.split("\r\n").next().unwrap();
        assert!(answer.ends_with('}') && answer.contains(&format!(r#""requestId":"{id}""#)), "{start}: {answer}");
    }
    app.get("/health/live").await.expect(200);
    let large = app.request("GET", "/health/live").header("x-large", "x".repeat(60_000));
    Answer::of(large).await.expect(200);
}
