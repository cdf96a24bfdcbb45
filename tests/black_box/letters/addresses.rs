use serde_json::json;

use super::{a_minute_later, at_the_end_of_all_tokens};
use crate::support::{Answer, Person, TestApp, fresh_email};

async fn ask(app: &TestApp, person: &Person, new: &str) -> Answer {
    let body = json!({"newEmail": new, "currentPassword": person.password});
    person.send_json(app, "POST", "/v1/me/email", &body).await
}

async fn verify(app: &TestApp, token: &str) -> Answer {
    app.post("/v1/auth/verify-email", &json!({"token": token})).await
}

async fn address(app: &TestApp, person: &Person) -> String {
    person.send(app, "GET", "/v1/me").await.expect(200).str("/email").to_owned()
}

#[tokio::test]
async fn a_new_address_counts_once_it_is_verified_and_both_are_told() {
    let app = TestApp::start().await;
    let (ada, new) = (app.person().await, fresh_email());
    ask(&app, &ada, &new.to_uppercase()).await.expect(202);
    let notice = app.letter("email_change_asked", &ada.email).await;
    assert!(notice.text.contains(&new), "{}", notice.text);
    let letter = app.letter("confirm_new_email", &new).await;
    assert_eq!(address(&app, &ada).await, ada.email);
    app.login(&new, &ada.password).await.expect(401);
    verify(&app, &letter.token()).await.expect(204);
    assert_eq!(address(&app, &ada).await, new);
    app.login(&new, &ada.password).await.expect(200);
    app.login(&ada.email, &ada.password).await.expect_problem(401, "wrong-credentials");
    for told in [&ada.email, &new] {
        let letter = app.letter("email_changed", told).await;
        assert!(letter.text.contains(&new), "{}", letter.text);
    }
    verify(&app, &letter.token()).await.expect_problem(422, "invalid-one-time-token");
    let me = ada.send(&app, "GET", "/v1/me").await.expect(200);
    assert_eq!(me.body["emailVerified"], true);
}

#[tokio::test]
async fn a_change_needs_the_password_and_an_address_that_nobody_has() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.person().await, app.person().await);
    let body = json!({"newEmail": fresh_email(), "currentPassword": "a guess that is wrong"});
    ada.send_json(&app, "POST", "/v1/me/email", &body).await.expect_problem(403, "wrong-password");
    for taken in [&bob.email, &bob.email.to_uppercase(), &ada.email] {
        ask(&app, &ada, taken).await.expect_problem(409, "address-taken");
    }
    ask(&app, &ada, "nobody").await.expect_problem(422, "invalid-request");
    app.await_post().await;
    assert!(app.letters().iter().all(|letter| letter.text.contains("Verify your address")));
}

#[tokio::test]
async fn an_address_that_was_taken_meanwhile_is_refused_as_at_sign_up() {
    let app = TestApp::start().await;
    let (ada, new) = (app.person().await, fresh_email());
    ask(&app, &ada, &new).await.expect(202);
    let token = app.letter("confirm_new_email", &new).await.token();
    let body = json!({"email": new, "password": Person::PASSWORD});
    app.post("/v1/auth/register", &body).await.expect(201);
    verify(&app, &token).await.expect_problem(409, "address-taken");
    assert_eq!(address(&app, &ada).await, ada.email);
}

#[tokio::test]
async fn of_two_who_verify_one_address_at_once_one_gets_it() {
    let app = TestApp::builder().servers(2).start().await;
    let (ada, bob, new) = (app.person().await, app.person().await, fresh_email());
    let mut tokens = Vec::new();
    for person in [&ada, &bob] {
        ask(&app, person, &new).await.expect(202);
        app.await_post().await;
        let of_both = app.letters_to("confirm_new_email", &new);
        let newest = of_both.iter().map(crate::support::Letter::token).find(|token| !tokens.contains(token));
        tokens.push(newest.unwrap());
    }
    let tries = tokens.iter().enumerate().map(|(number, token)| {
        let request = app.client.post(app.url_of(number, "/v1/auth/verify-email"));
        Answer::of(request.json(&json!({"token": token})))
    });
    let mut statuses: Vec<_> =
        futures_util::future::join_all(tries).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409]);
}

#[tokio::test]
async fn a_second_wish_waits_a_minute_and_then_takes_the_place_of_the_first() {
    let app = TestApp::start().await;
    let (ada, one, two) = (app.person().await, fresh_email(), fresh_email());
    ask(&app, &ada, &one).await.expect(202);
    let first = app.letter("confirm_new_email", &one).await.token();
    let refused = ask(&app, &ada, &two).await.expect_problem(429, "too-many-requests");
    assert_eq!(refused.header("retry-after"), "60");
    a_minute_later(&app).await;
    ask(&app, &ada, &two).await.expect(202);
    let second = app.letter("confirm_new_email", &two).await.token();
    verify(&app, &first).await.expect_problem(422, "invalid-one-time-token");
    at_the_end_of_all_tokens(&app).await;
    verify(&app, &second).await.expect_problem(422, "invalid-one-time-token");
    assert_eq!(address(&app, &ada).await, ada.email);
}

#[tokio::test]
async fn who_has_the_mailbox_stops_a_change_by_a_reset() {
    let app = TestApp::start().await;
    let (ada, evil) = (app.person().await, fresh_email());
    ask(&app, &ada, &evil).await.expect(202);
    let stolen = app.letter("confirm_new_email", &evil).await.token();
    app.post("/v1/auth/password-reset", &json!({"email": ada.email})).await.expect(202);
    let token = app.letter("reset_password", &ada.email).await.token();
    let reset = json!({"token": token, "newPassword": "another secret 9"});
    app.post("/v1/auth/password-reset/confirm", &reset).await.expect(204);
    verify(&app, &stolen).await.expect_problem(422, "invalid-one-time-token");
    app.login(&ada.email, "another secret 9").await.expect(200);
}
