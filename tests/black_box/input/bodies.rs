//! Bodies as a whole: their size, type, coding and nesting.

use futures_util::stream;
use serde_json::json;

use crate::support::{Answer, Document, Operation, Person, Raw, TestApp};

async fn send(app: &TestApp, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = app.request("POST", "/v1/auth/login").header("content-type", content_type);
    Answer::of(request.body(body)).await
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_its_length_is_told_or_not() {
    let app = TestApp::builder().set("SUBTLE_MAX_BODY", "4KiB").start().await;
    let ada = app.person().await;
    let padded = |bytes: usize| {
        let body = json!({"email": ada.email, "password": ada.password}).to_string();
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    let chunked = |body: String| {
        let chunks: Vec<_> = body.into_bytes().chunks(100).map(<[u8]>::to_vec).collect();
        reqwest::Body::wrap_stream(stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>)))
    };
    let json = "application/json";
    send(&app, json, padded(4_096)).await.expect(200);
    send(&app, json, chunked(padded(4_096))).await.expect(200);
    send(&app, json, padded(4_097)).await.expect_problem(413, "too-large");
    send(&app, json, chunked(padded(4_097))).await.expect_problem(413, "too-large");
    // Only announced: it is refused before it is sent.
    let mut raw = Raw::open(&app).await;
    let head = "POST /v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    raw.send(format!("{head}Content-Length: 9999999999\r\n\r\n")).await;
    let answer = raw.read_answer().await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("urn:subtle:problem:too-large"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_of_another_type_or_coding_is_refused() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let body = json!({"email": ada.email, "password": ada.password}).to_string();
    for unfit in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonp",
        "application/json; charset=iso-8859-1",
        "application/json, text/plain",
        "json",
        "",
    ] {
        send(&app, unfit, body.clone()).await.expect_problem(415, "unsupported-media-type");
    }
    for fit in
        ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;"]
    {
        send(&app, fit, body.clone()).await.expect(200);
    }
    let login = || app.request("POST", "/v1/auth/login").body(body.clone());
    for request in [
        login(),
        login().header("content-type", "application/json").header("content-type", "text/plain"),
        login().header("content-type", "application/json").header("content-encoding", "gzip"),
    ] {
        Answer::of(request).await.expect_problem(415, "unsupported-media-type");
    }
}

#[tokio::test]
async fn what_is_no_json_object_is_refused_on_every_route() {
    let app = TestApp::start().await;
    let ada = app.person_of_role("admin").await;
    let program = ada.program(&app).await;
    let nested = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let bodies: Vec<(Vec<u8>, &[u16])> = vec![
        (b"".into(), &[400]),
        (b"   ".into(), &[400]),
        (b"{".into(), &[400]),
        (b"{}{}".into(), &[400, 422]),
        (b"{} x".into(), &[400, 422]),
        (b"nonsense".into(), &[400]),
        (b"a=b&c=d".into(), &[400]),
        (b"<a/>".into(), &[400]),
        (b"{'a':1}".into(), &[400]),
        (b"{\"fullName\":\"\xff\xfe\"}".into(), &[400, 422]),
        (b"{\"\xc0\x80\":1}".into(), &[400]),
        (b"\xef\xbb\xbf{}".into(), &[400]),
        (b"\xff\xfe{\0}\0".into(), &[400]),
        (b"\x1f\x8b\x08\0\0\0\0\0".into(), &[400]),
        (b"null".into(), &[422]),
        (b"true".into(), &[422]),
        (b"42".into(), &[422]),
        (b"\"text\"".into(), &[422]),
        (b"[]".into(), &[422]),
        (b"[{}]".into(), &[422]),
        (b"[\"a@example.com\", \"password\"]".into(), &[422]),
        (b"{\"\\u0000\":1}".into(), &[422]),
        (b"{\"fullName\":\"\\u0000\"}".into(), &[422]),
        (nested("[", "]").into_bytes(), &[400, 422]),
        (nested("{\"a\":", "}").into_bytes(), &[400, 422]),
        (
            format!("{{\"fullName\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes(),
            &[400, 422],
        ),
    ];
    for operation in Document::committed().operations().into_iter().filter(Operation::takes_body) {
        for (body, statuses) in &bodies {
            let (caller, path) = operation.asked_by(&ada, &program);
            let request = app.request(&operation.method, &path).bearer_auth(&caller.access);
            let request = request.header("content-type", "application/json").body(body.clone());
            let answer = Answer::of(request).await;
            let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            assert!(statuses.contains(&answer.status), "{path} {start}: {} {}", answer.status, answer.text);
            let status = answer.status;
            answer
                .expect_problem(status, if status == 400 { "malformed-request" } else { "invalid-request" });
        }
    }
}

#[tokio::test]
async fn bad_utf_8_in_a_known_field_is_malformed() {
    let app = TestApp::start().await;
    let body = b"{\"email\":\"a@example.com\",\"password\":\"\xff\xfe\xfd\"}".to_vec();
    send(&app, "application/json", body).await.expect_problem(400, "malformed-request");
    let deep = format!("{{\"email\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let status = send(&app, "application/json", deep).await.status;
    assert!(matches!(status, 400 | 422), "{status}");
}

#[tokio::test]
async fn a_request_without_a_body_where_one_is_needed_is_refused_and_one_too_many_is_ignored() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let none = app.request("POST", "/v1/auth/login").header("content-type", "application/json");
    Answer::of(none).await.expect_problem(400, "malformed-request");
    Answer::of(app.request("POST", "/v1/auth/login")).await.expect_problem(415, "unsupported-media-type");
    let me = app.request("GET", "/v1/me").bearer_auth(&ada.access).body("x".repeat(100_000));
    Answer::of(me).await.expect(200);
    Answer::of(app.request("GET", "/v1/me").bearer_auth(&ada.access)).await.expect(200);
    assert_eq!(app.login(&ada.email, Person::PASSWORD).await.status, 200);
}
