use serde_json::json;

use super::{a_minute_later, at_the_end_of_all_tokens, seen};
use crate::support::{Answer, Person, TestApp};

async fn verify(app: &TestApp, token: &str) -> Answer {
    app.post("/v1/auth/verify-email", &json!({"token": token})).await
}

async fn resend(app: &TestApp, email: &str) -> Answer {
    app.post("/v1/auth/verify-email/resend", &json!({"email": email})).await
}

async fn is_verified(app: &TestApp, person: &Person) -> bool {
    person.send(app, "GET", "/v1/me").await.expect(200).body["emailVerified"] == true
}

#[tokio::test]
async fn who_signs_up_gets_a_letter_and_verifies_with_it_once() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let letter = app.letter("verify_email", &ada.email).await;
    assert!(letter.text.contains("Subject: Verify your address"), "{}", letter.text);
    assert!(letter.link().starts_with(&app.url_of(0, "/verify-email?token=")), "{}", letter.link());
    assert!(letter.token().len() >= 43, "{}", letter.token());
    assert!(!is_verified(&app, &ada).await);
    verify(&app, &letter.token()).await.expect(204);
    assert!(is_verified(&app, &ada).await);
    let used = verify(&app, &letter.token()).await.expect_problem(422, "invalid-one-time-token");
    let unknown = verify(&app, "never-was-one").await.expect_problem(422, "invalid-one-time-token");
    assert_eq!(seen(&used), seen(&unknown));
}

#[tokio::test]
async fn a_token_past_its_day_is_told_like_one_that_never_was() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let token = app.letter("verify_email", &ada.email).await.token();
    let life = app.value("SELECT expires_at - created_at FROM one_time_tokens").await;
    assert_eq!(life, "1 day");
    at_the_end_of_all_tokens(&app).await;
    let expired = verify(&app, &token).await.expect_problem(422, "invalid-one-time-token");
    assert_eq!(seen(&expired), seen(&verify(&app, "never-was-one").await));
    assert!(!is_verified(&app, &ada).await);
}

#[tokio::test]
async fn another_letter_comes_once_a_minute_and_makes_the_one_before_void() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    let first = app.letter("verify_email", &ada.email).await;
    for _ in 0..3 {
        resend(&app, &ada.email).await.expect(202);
    }
    app.await_post().await;
    assert_eq!(app.letters_to("verify_email", &ada.email).len(), 1, "not within a minute");
    a_minute_later(&app).await;
    let wishes = (0..20).map(|number| {
        let request = app.client.post(app.url_of(number % 2, "/v1/auth/verify-email/resend"));
        Answer::of(request.json(&json!({"email": ada.email})))
    });
    let answers = futures_util::future::join_all(wishes).await;
    assert!(answers.iter().all(|answer| answer.status == 202));
    app.await_post().await;
    let letters = app.letters_to("verify_email", &ada.email);
    assert_eq!(letters.len(), 2, "one more, however many asked");
    verify(&app, &first.token()).await.expect_problem(422, "invalid-one-time-token");
    verify(&app, &letters[1].token()).await.expect(204);
}

#[tokio::test]
async fn nobody_learns_by_asking_who_has_an_account() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.person().await, app.person().await);
    verify(&app, &app.letter("verify_email", &bob.email).await.token()).await.expect(204);
    app.letter("verify_email", &ada.email).await;
    a_minute_later(&app).await;
    let before = app.letters().len();
    let known = resend(&app, &ada.email).await.expect(202);
    for email in [bob.email.as_str(), "nobody@example.com"] {
        assert_eq!(seen(&resend(&app, email).await), seen(&known), "{email}");
    }
    app.await_post().await;
    assert_eq!(app.letters().len(), before + 1, "one to Ada; none to Bob, who is verified, and to nobody");
    resend(&app, "no address").await.expect_problem(422, "invalid-request");
}

#[tokio::test]
async fn where_it_is_demanded_a_verified_address_opens_the_door() {
    let app = TestApp::builder().set("SUBTLE_REQUIRE_VERIFIED_EMAIL", "true").start().await;
    let ada = app.person().await;
    app.login(&ada.email, &ada.password).await.expect_problem(403, "email-unverified");
    let token = app.letter("verify_email", &ada.email).await.token();
    verify(&app, &token).await.expect(204);
    app.login(&ada.email, &ada.password).await.expect(200);
}

#[tokio::test]
async fn of_many_with_one_token_on_two_servers_one_succeeds() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    let token = app.letter("verify_email", &ada.email).await.token();
    let tries = (0..40).map(|number| {
        let request = app.client.post(app.url_of(number % 2, "/v1/auth/verify-email"));
        Answer::of(request.json(&json!({"token": token})))
    });
    let answers = futures_util::future::join_all(tries).await;
    let done = answers.iter().filter(|answer| answer.status == 204).count();
    let refused = answers.iter().filter(|answer| answer.status == 422).count();
    assert_eq!((done, refused), (1, 39));
}
