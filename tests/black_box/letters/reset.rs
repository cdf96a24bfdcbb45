use serde_json::json;

use super::{a_minute_later, at_the_end_of_all_tokens, seen};
use crate::support::{Answer, Person, TestApp};

const NEW: &str = "another secret 9";

async fn ask(app: &TestApp, email: &str) -> Answer {
    app.post("/v1/auth/password-reset", &json!({"email": email})).await
}

async fn confirm(app: &TestApp, token: &str, new: &str) -> Answer {
    app.post("/v1/auth/password-reset/confirm", &json!({"token": token, "newPassword": new})).await
}

async fn token(app: &TestApp, person: &Person) -> String {
    ask(app, &person.email).await.expect(202);
    app.letter("reset_password", &person.email).await.token()
}

#[tokio::test]
async fn a_reset_replaces_the_password_and_ends_every_session_on_every_server() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    let phone = ada.sign_in(&app).await;
    let token = token(&app, &ada).await;
    confirm(&app, &token, NEW).await.expect(204);
    for person in [&ada, &phone] {
        person.send(&app, "GET", "/v1/me").await.expect_problem(401, "invalid-token");
        app.refresh(&person.refresh).await.expect_problem(401, "invalid-refresh-token");
    }
    crate::support::eventually("the other server knows too", async || {
        phone.send_to(&app, 1, "GET", "/v1/me").await.status == 401
    })
    .await;
    app.login(&ada.email, Person::PASSWORD).await.expect_problem(401, "wrong-credentials");
    let back = app.login(&ada.email, NEW).await.expect(200);
    assert_eq!(back.body["user"]["emailVerified"], true, "the letter has shown whose address it is");
    confirm(&app, &token, "one more secret 9").await.expect_problem(422, "invalid-one-time-token");
    let told = app.letter("password_changed", &ada.email).await;
    assert!(told.text.contains("Subject: Your password has changed"), "{}", told.text);
}

#[tokio::test]
async fn an_unfit_password_is_refused_and_the_token_stays_good() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let token = token(&app, &ada).await;
    for unfit in ["short", "password1", &"x".repeat(72)] {
        let refused = confirm(&app, &token, unfit).await.expect_problem(422, "invalid-request");
        assert_eq!(refused.str("/errors/0/field"), "newPassword");
    }
    ada.send(&app, "GET", "/v1/me").await.expect(200);
    confirm(&app, &token, NEW).await.expect(204);
}

#[tokio::test]
async fn known_and_unknown_addresses_are_answered_alike() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.person().await, app.person().await);
    app.sql(&format!("UPDATE users SET disabled_at = now() WHERE id = '{}'", bob.id)).await;
    let known = ask(&app, &ada.email).await.expect(202);
    for email in [bob.email.as_str(), "nobody@example.com"] {
        assert_eq!(seen(&ask(&app, email).await), seen(&known), "{email}");
    }
    app.letter("reset_password", &ada.email).await;
    app.await_post().await;
    let all = app.letters().iter().filter(|letter| letter.text.contains("Choose a new password")).count();
    assert_eq!(all, 1);
}

#[tokio::test]
async fn used_replaced_expired_and_unknown_tokens_and_those_of_another_purpose_look_the_same() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let unknown =
        seen(&confirm(&app, "never-was-one", NEW).await.expect_problem(422, "invalid-one-time-token"));
    let of_verification = app.letter("verify_email", &ada.email).await.token();
    assert_eq!(seen(&confirm(&app, &of_verification, NEW).await), unknown);
    let replaced = token(&app, &ada).await;
    a_minute_later(&app).await;
    ask(&app, &ada.email).await.expect(202);
    app.await_post().await;
    assert_eq!(seen(&confirm(&app, &replaced, NEW).await), unknown);
    let letters = app.letters_to("reset_password", &ada.email);
    let newest = letters.last().unwrap().token();
    let verify = json!({"token": newest});
    assert_eq!(seen(&app.post("/v1/auth/verify-email", &verify).await), unknown);
    at_the_end_of_all_tokens(&app).await;
    assert_eq!(seen(&confirm(&app, &newest, NEW).await), unknown);
    app.login(&ada.email, Person::PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_reset_is_good_for_an_hour_and_of_many_at_once_one_succeeds() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    let token = token(&app, &ada).await;
    let life = "SELECT expires_at - created_at FROM one_time_tokens WHERE purpose = 'reset_password'";
    assert_eq!(app.value(life).await, "01:00:00");
    let tries = (0..20).map(|number| {
        let request = app.client.post(app.url_of(number % 2, "/v1/auth/password-reset/confirm"));
        Answer::of(
            request.json(&json!({"token": token, "newPassword": format!("secret of number {number}")})),
        )
    });
    let answers = futures_util::future::join_all(tries).await;
    let done: Vec<_> = (0..).zip(&answers).filter(|(_, answer)| answer.status == 204).collect();
    assert_eq!(done.len(), 1);
    assert!(answers.iter().all(|answer| [204, 422].contains(&answer.status)));
    app.login(&ada.email, &format!("secret of number {}", done[0].0)).await.expect(200);
}

#[tokio::test]
async fn a_new_password_makes_links_that_were_sent_before_void() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let token = token(&app, &ada).await;
    let change = json!({"currentPassword": Person::PASSWORD, "newPassword": NEW});
    ada.send_json(&app, "POST", "/v1/me/password", &change).await.expect(204);
    confirm(&app, &token, "one more secret 9").await.expect_problem(422, "invalid-one-time-token");
    app.letter("password_changed", &ada.email).await;
}
