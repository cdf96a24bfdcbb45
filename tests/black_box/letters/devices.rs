use serde_json::json;

use crate::support::{Answer, Person, TestApp};

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) Safari/605.1";

async fn sign_in(app: &TestApp, server: usize, person: &Person, agent: &str) -> Answer {
    let request = app.client.post(app.url_of(server, "/v1/auth/login")).header("user-agent", agent);
    Answer::of(request.json(&json!({"email": person.email, "password": person.password}))).await.expect(200)
}

#[tokio::test]
async fn a_device_that_was_not_seen_before_is_told_of_once() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    // The device that signed up.
    ada.sign_in(&app).await;
    app.await_post().await;
    assert!(app.letters_to("new_device", &ada.email).is_empty());
    let at_once = (0..10).map(|number| sign_in(&app, number % 2, &ada, PHONE));
    futures_util::future::join_all(at_once).await;
    let told = app.letter("new_device", &ada.email).await;
    assert!(told.text.contains("device  Mozilla/5.0 (iPhone;") && told.text.contains("from    127.0.0.1"));
    sign_in(&app, 0, &ada, &PHONE.replace("17_2", "18_0_1")).await;
    app.await_post().await;
    assert_eq!(app.letters_to("new_device", &ada.email), [told], "an update makes no new device");
}

#[tokio::test]
async fn the_first_session_of_all_is_no_news() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    app.sql("DELETE FROM sessions").await;
    sign_in(&app, 0, &ada, PHONE).await;
    app.await_post().await;
    assert!(app.letters_to("new_device", &ada.email).is_empty());
}

#[tokio::test]
async fn what_a_device_says_of_itself_stays_text() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    sign_in(&app, 0, &ada, "<script>alert(1)</script>\tBcc: eve@example.com").await;
    let letter = app.letter("new_device", &ada.email).await;
    let (_, html) = letter.text.split_once("text/html").unwrap();
    assert!(html.contains("&#60;script&#62;") && !html.contains("<script>"), "{html}");
    assert!(!letter.text.contains("\nBcc:"), "{}", letter.text);
}

#[tokio::test]
async fn nobody_silences_the_notice_by_asking_for_other_letters() {
    let app = TestApp::builder().set("SUBTLE_RATE_LIMIT", "on").start().await;
    let ada = app.person().await;
    for path in ["/v1/auth/password-reset", "/v1/auth/verify-email/resend"] {
        for _ in 0..12 {
            app.post(path, &json!({"email": ada.email})).await.expect(202);
        }
    }
    app.await_post().await;
    sign_in(&app, 0, &ada, PHONE).await;
    app.letter("new_device", &ada.email).await;
}
