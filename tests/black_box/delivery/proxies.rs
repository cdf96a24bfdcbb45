use serde_json::json;

use crate::support::{Answer, Person, TestApp, fresh_email};

/// The address that the session of a sign-up keeps.
async fn seen(app: &TestApp, forwarded: &[&str]) -> String {
    let body = json!({"email": fresh_email(), "password": Person::PASSWORD});
    let mut request = app.request("POST", "/v1/auth/register").json(&body);
    for line in forwarded {
        request = request.header("x-forwarded-for", *line);
    }
    let request = request.header("x-real-ip", "6.6.6.6").header("forwarded", "for=6.6.6.6");
    Answer::of(request).await.expect(201).str("/session/ipAddress").to_owned()
}

#[tokio::test]
async fn nobodys_word_is_taken_for_an_address_unless_proxies_are_trusted() {
    let app = TestApp::start().await;
    for forwarded in [&["203.0.113.9"][..], &["203.0.113.9, 127.0.0.1"], &["nonsense"], &[]] {
        assert_eq!(seen(&app, forwarded).await, "127.0.0.1", "{forwarded:?}");
    }
}

#[tokio::test]
async fn a_trusted_proxys_word_is_taken_for_the_nearest_address_that_is_not_one() {
    let app = TestApp::builder().set("SUBTLE_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8").start().await;
    for (forwarded, address) in [
        (&["203.0.113.9"][..], "203.0.113.9"),
        (&["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (&["6.6.6.6", "203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        (&["2001:db8::1"], "2001:db8::1"),
        (&["::ffff:203.0.113.9"], "203.0.113.9"),
        (&["203.0.113.9:4711"], "203.0.113.9"),
        (&["nonsense"], "127.0.0.1"),
        (&["203.0.113.9, '; DROP TABLE users --"], "127.0.0.1"),
        (&[], "127.0.0.1"),
    ] {
        assert_eq!(seen(&app, forwarded).await, address, "{forwarded:?}");
    }
}

#[tokio::test]
async fn a_server_that_trusts_others_than_its_peer_takes_nobodys_word() {
    let app = TestApp::builder().set("SUBTLE_TRUSTED_PROXIES", "10.0.0.0/8").start().await;
    assert_eq!(seen(&app, &["203.0.113.9"]).await, "127.0.0.1");
}
