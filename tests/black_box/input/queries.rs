//! Every parameter of every query × every sample, and what is no query at all.

use std::fmt::Write as _;

use serde_json::Value;

use super::samples::texts;
use super::success_or_problem;
use crate::support::{Document, TestApp};

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02X}").unwrap();
        encoded
    })
}

#[tokio::test]
async fn every_parameter_takes_a_text_or_refuses_it_by_its_name() {
    let app = TestApp::start().await;
    let grace = app.person_of_role("admin").await;
    let mut tried = 0;
    for operation in Document::committed().operations() {
        let path = operation.path.replace("{id}", &grace.id);
        for name in operation.query() {
            for text in texts() {
                let text: Value = serde_json::from_str(&text).unwrap();
                let text: String = text.as_str().unwrap().chars().take(2_100).collect();
                let path = format!("{path}?{name}={}", encoded(&text));
                let answer = grace.send(&app, &operation.method, &path).await;
                let answer = success_or_problem(answer, &format!("{path} {text}"));
                match answer.status {
                    422 => assert_eq!(answer.str("/errors/0/field"), name, "{path}"),
                    // What may be an identifier is nobody's.
                    status => assert!(
                        status == 200 && ["search", "action", "userId", "adminId", "flagged"].contains(&name),
                        "{path}"
                    ),
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 400, "{tried}");
}

#[tokio::test]
async fn a_search_finds_each_character_as_itself() {
    let app = TestApp::start().await;
    let grace = app.person_of_role("admin").await;
    for name in
        ["100% sure", "under_score", r"back\slash", "O'Brien; --", "İ ß 田中 👩\u{200d}💻", "a&b=c+d #e"]
    {
        let body = serde_json::json!({"fullName": name});
        grace.send_json(&app, "PATCH", "/v1/me", &body).await.expect(200);
        let found = grace.send(&app, "GET", &format!("/v1/admin/users?search={}", encoded(name))).await;
        assert_eq!(found.expect(200).body["users"][0]["fullName"], name);
    }
    let body = serde_json::json!({"fullName": "100% sure"});
    grace.send_json(&app, "PATCH", "/v1/me", &body).await.expect(200);
    for (part, total) in [("s_re", 0), ("1%e", 0), (r"s\ure", 0), ("_", 0), ("0% s", 1), ("%", 1)] {
        let path = format!("/v1/admin/users?search={}", encoded(part));
        assert_eq!(grace.send(&app, "GET", &path).await.expect(200).body["total"], total, "{part}");
    }
}

#[tokio::test]
async fn what_is_no_query_is_refused() {
    let app = TestApp::start().await;
    let grace = app.person_of_role("admin").await;
    for (query, status) in [
        ("search=%00", 422),
        ("search=a%00b", 422),
        ("%00=a", 422),
        ("search=%FF", 400),
        ("search=%C0%80", 400),
        ("search=%ED%A0%80", 400),
        ("search=a&search=b", 422),
        ("search[]=a", 422),
        ("search[$ne]=a", 422),
        ("nope=1", 422),
        ("page=1&page=2", 422),
        ("page=1&cursor=x", 422),
        ("page=", 422),
        ("page=0", 422),
        ("page=-1", 422),
        ("page=1.5", 422),
        ("page=99999999999999999999", 422),
        ("pageSize=101", 422),
        ("sort=password_hash", 422),
        ("sort=createdAt,email", 422),
        ("sort=--email", 422),
        ("search=%zz", 200),
        ("&&&", 200),
        ("", 200),
        ("page=10000000&pageSize=100", 200),
    ] {
        let path = format!("/v1/admin/users?{query}");
        let answer = grace.send(&app, "GET", &path).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text);
        answer.expect(status);
    }
}
