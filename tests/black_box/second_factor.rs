//! The second factor: how it is added, what it opens and what it keeps shut.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, EventStream, Factor, Person, TestApp, eventually, texts};

/// The claims of an access token.
fn claims(token: &str) -> Value {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

fn amr(token: &str) -> Value {
    claims(token)["amr"].clone()
}

async fn reauthenticate(app: &TestApp, person: &Person, body: &Value) -> Answer {
    person.send_json(app, "POST", "/v1/auth/reauthenticate", body).await
}

#[tokio::test]
async fn it_is_added_by_a_code_and_then_a_password_alone_opens_nothing() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    assert_eq!(amr(&ada.access), json!(["pwd"]));
    let status =
        async |person: &Person| person.send(&app, "GET", "/v1/me/second-factor").await.expect(200).body;
    assert_eq!(status(&ada).await, json!({"enabled": false, "since": null, "recoveryCodesLeft": 0}));
    let factor = Factor::try_enrol(&app, &ada).await.unwrap();
    app.login(&ada.email, &ada.password).await.expect(200);
    let wrong = json!({"code": factor.wrong_code()});
    let path = "/v1/me/second-factor/confirm";
    ada.send_json(&app, "POST", path, &wrong).await.expect_problem(403, "wrong-code");
    app.login(&ada.email, &ada.password).await.expect(200);
    let code = factor.code();
    let confirmed = ada.send_json(&app, "POST", path, &json!({"code": code})).await.expect(200);
    assert_eq!(amr(confirmed.str("/accessToken")), json!(["pwd", "otp", "mfa"]));
    assert_eq!(texts(&confirmed).len(), 10);
    let body = status(&ada).await;
    assert_eq!((&body["enabled"], &body["recoveryCodesLeft"]), (&json!(true), &json!(10)));
    assert_eq!(ada.send(&app, "GET", "/v1/me").await.expect(200).body["secondFactor"], true);
    ada.send_json(&app, "POST", path, &json!({"code": code}))
        .await
        .expect_problem(409, "second-factor-state");
    ada.send(&app, "POST", "/v1/me/second-factor").await.expect_problem(409, "second-factor-state");

    let refused = app.login(&ada.email, &ada.password).await.expect_problem(403, "second-factor-required");
    assert!(!refused.text.contains("accessToken") && !refused.text.contains("refreshToken"));
    app.login(&ada.email, "another password").await.expect_problem(401, "wrong-credentials");
    let challenge = ada.challenge(&app).await;
    app.complete(0, &challenge, &factor.wrong_code()).await.expect_problem(403, "wrong-code");
    // The code that confirmed it was used: that of the next half minute is good already.
    app.complete(0, &challenge, &code).await.expect_problem(403, "wrong-code");
    let signed_in = Person::of(&app.complete(0, &challenge, &factor.next_code()).await.expect(200), "");
    assert_eq!(amr(&signed_in.access), json!(["pwd", "otp", "mfa"]));
    let refreshed = app.refresh(&signed_in.refresh).await.expect(200);
    assert_eq!(amr(refreshed.str("/accessToken")), json!(["pwd", "otp", "mfa"]));
}

#[tokio::test]
async fn of_fifty_who_show_one_code_at_two_servers_one_gets_a_session() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    let factor = ada.add_factor(&app).await;
    let challenge = ada.challenge(&app).await;
    for code in [factor.next_code(), factor.recovery[3].clone()] {
        let tries = join_all((0..50).map(|number| app.complete(number % 2, &challenge, &code))).await;
        let (done, refused): (Vec<_>, Vec<_>) = tries.into_iter().partition(|answer| answer.status == 200);
        assert_eq!((done.len(), refused.len()), (1, 49));
        for answer in refused {
            answer.expect_problem(403, "wrong-code");
        }
    }
    assert_eq!(app.value("SELECT count(*) FROM sessions WHERE revoked_at IS NULL").await, "3");
}

#[tokio::test]
async fn a_recovery_code_opens_once_however_it_is_typed_and_a_letter_tells() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let factor = ada.add_factor(&app).await;
    app.letter("second_factor_added", &ada.email).await;
    let challenge = ada.challenge(&app).await;
    let typed = factor.recovery[0].to_uppercase().replace('-', " ");
    let by_code = Person::of(&app.complete(0, &challenge, &typed).await.expect(200), "");
    app.complete(0, &challenge, &factor.recovery[0]).await.expect_problem(403, "wrong-code");
    app.letter("recovery_code_used", &ada.email).await;
    let left = by_code.send(&app, "GET", "/v1/me/second-factor").await.expect(200);
    assert_eq!(left.body["recoveryCodesLeft"], 9);
    let new = by_code.send(&app, "POST", "/v1/me/second-factor/recovery-codes").await.expect(200);
    app.letter("recovery_codes_made", &ada.email).await;
    app.complete(0, &challenge, &factor.recovery[1]).await.expect_problem(403, "wrong-code");
    app.complete(0, &challenge, &texts(&new)[1]).await.expect(200);
    let bob = app.person().await;
    bob.add_factor(&app).await;
    let challenge = bob.challenge(&app).await;
    app.complete(0, &challenge, &texts(&new)[2]).await.expect_problem(403, "wrong-code");
}

#[tokio::test]
async fn the_other_sessions_end_when_it_is_added_and_their_streams_too() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    let phone = ada.sign_in(&app).await;
    let handed = ada.send_json(&app, "POST", "/v1/bridge-tokens", &json!({})).await.expect(201);
    let by_phone = phone.send_json(&app, "POST", "/v1/bridge-tokens", &json!({})).await.expect(201);
    let stream = EventStream::open(&app, 1, &phone, None).await;
    ada.add_factor(&app).await;
    stream.end().await;
    let is_refused = async || phone.send_to(&app, 1, "GET", "/v1/me").await.status == 401;
    eventually("the token is refused", is_refused).await;
    app.refresh(&phone.refresh).await.expect_problem(401, "invalid-refresh-token");
    let redeem = async |token: &str| app.post("/v1/bridge-tokens/redeem", &json!({"token": token})).await;
    redeem(by_phone.str("/token")).await.expect_problem(401, "invalid-bridge-token");
    let mac = redeem(handed.str("/token")).await.expect(200);
    assert_eq!(amr(mac.str("/accessToken")), json!(["pwd", "otp", "mfa"]), "as the session it comes from");
    let reason = "SELECT revoked_reason FROM sessions WHERE revoked_at IS NOT NULL";
    assert_eq!(app.value(reason).await, "second_factor_added");
}

#[tokio::test]
async fn showing_again_who_one_is_asks_for_the_code_too() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let factor = ada.add_factor(&app).await;
    let with = |code: &str| json!({"password": ada.password, "code": code});
    let refused = reauthenticate(&app, &ada, &json!({"password": ada.password})).await;
    let refused = refused.expect_problem(403, "second-factor-required");
    assert!(refused.body.get("secondFactor").is_none());
    reauthenticate(&app, &ada, &with(&factor.wrong_code())).await.expect_problem(403, "wrong-code");
    reauthenticate(&app, &ada, &with("12345")).await.expect_problem(422, "invalid-request");
    let code = factor.next_code();
    let wrong = json!({"password": "another password", "code": code});
    reauthenticate(&app, &ada, &wrong).await.expect_problem(403, "wrong-password");
    let renewed = reauthenticate(&app, &ada, &with(&code)).await.expect(200);
    assert_eq!(amr(renewed.str("/accessToken")), json!(["pwd", "otp", "mfa"]));
    reauthenticate(&app, &ada, &with(&code)).await.expect_problem(403, "wrong-code");
    reauthenticate(&app, &ada, &with(&factor.recovery[0])).await.expect(200);
}

#[tokio::test]
async fn adding_it_makes_no_sign_in_fresher() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    app.sql("UPDATE sessions SET authenticated_at = now() - interval '1 minute'").await;
    let older = Person::of(&app.refresh(&ada.refresh).await.expect(200), Person::PASSWORD);
    older.add_factor(&app).await;
    let later = app.refresh(&older.refresh).await.expect(200);
    assert_eq!(amr(later.str("/accessToken")), json!(["pwd", "otp", "mfa"]));
    assert_eq!(claims(later.str("/accessToken"))["auth_time"], claims(&older.access)["auth_time"]);
}

#[tokio::test]
async fn what_changes_it_asks_for_a_sign_in_that_is_not_old() {
    let app = TestApp::builder().set("SUBTLE_FRESH_SIGN_IN", "1s").start().await;
    let ada = app.person().await;
    app.sql("UPDATE sessions SET authenticated_at = now() - interval '1 minute'").await;
    let ada = Person::of(&app.refresh(&ada.refresh).await.expect(200), Person::PASSWORD);
    for (method, path) in [
        ("POST", "/v1/me/second-factor"),
        ("POST", "/v1/me/second-factor/confirm"),
        ("POST", "/v1/me/second-factor/recovery-codes"),
        ("DELETE", "/v1/me/second-factor"),
    ] {
        let refused = ada.send_json(&app, method, path, &json!({"code": "123456"})).await;
        refused.expect_problem(403, "reauthentication-required");
    }
}

#[tokio::test]
async fn it_is_taken_away_by_its_owner_or_an_administrator_who_is_in_the_trail() {
    let app = TestApp::start().await;
    let (ada, grace) = (app.person().await, app.person_of_role("admin").await);
    let path = format!("/v1/admin/users/{}/second-factor", ada.id);
    grace.send(&app, "DELETE", &path).await.expect_problem(404, "not-found");
    ada.add_factor(&app).await;
    grace.send(&app, "DELETE", &path).await.expect(204);
    app.letter("second_factor_removed", &ada.email).await;
    app.login(&ada.email, &ada.password).await.expect(200);
    let trail = "SELECT string_agg(action || ' ' || user_id, ' ') FROM audit_logs";
    assert_eq!(app.value(trail).await, format!("second_factor.remove {}", ada.id));
    let own = format!("/v1/admin/users/{}/second-factor", grace.id);
    grace.send(&app, "DELETE", &own).await.expect_problem(409, "own-account");
    ada.add_factor(&app).await;
    ada.send(&app, "DELETE", "/v1/me/second-factor").await.expect(204);
    ada.send(&app, "DELETE", "/v1/me/second-factor").await.expect_problem(404, "not-found");
    ada.send(&app, "POST", "/v1/me/second-factor/recovery-codes").await.expect_problem(404, "not-found");
    app.login(&ada.email, &ada.password).await.expect(200);
    let kept = "SELECT (SELECT count(*) FROM second_factors) + (SELECT count(*) FROM recovery_codes)";
    assert_eq!(app.value(kept).await, "0");
}

#[tokio::test]
async fn a_challenge_dies_with_the_password_the_account_and_the_factor() {
    let app = TestApp::start().await;
    let (ada, bob, eve) = (app.person().await, app.person().await, app.person().await);
    let mut shown = Vec::new();
    for person in [&ada, &bob, &eve] {
        let factor = person.add_factor(&app).await;
        shown.push((person.challenge(&app).await, factor));
    }
    let change = json!({"currentPassword": ada.password, "newPassword": "another secret 9"});
    ada.send_json(&app, "POST", "/v1/me/password", &change).await.expect(204);
    app.sql(&format!("UPDATE users SET disabled_at = now() WHERE id = '{}'", bob.id)).await;
    eve.send(&app, "DELETE", "/v1/me/second-factor").await.expect(204);
    for (challenge, factor) in &shown {
        let refused = app.complete(0, challenge, &factor.recovery[0]).await;
        let refused = refused.expect_problem(401, "invalid-challenge");
        assert_eq!(refused.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }
    for challenge in ["", "nonsense", "ch_AQ", &ada.access, &ada.refresh, &"x".repeat(5_000)] {
        app.complete(0, challenge, "123456").await.expect_problem(401, "invalid-challenge");
    }
    for code in ["", "12345", "1234567", "abcdef", "\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}"] {
        app.complete(0, &shown[0].0, code).await.expect_problem(422, "invalid-request");
    }
    let as_token = |token: &str| app.request("GET", "/v1/me").bearer_auth(token);
    Answer::of(as_token(&shown[0].0)).await.expect_problem(401, "invalid-token");
    app.refresh(&shown[0].0).await.expect_problem(401, "invalid-refresh-token");
}

#[tokio::test]
async fn codes_are_tried_so_often_over_two_servers_and_no_more() {
    let limits = TestApp::builder().set("SUBTLE_RATE_LIMIT", "on").set("SUBTLE_LIMIT_CODE_GUESSES", "10/10m");
    let app = limits.servers(2).start().await;
    let ada = app.person().await;
    let factor = ada.add_factor(&app).await;
    let challenge = ada.challenge(&app).await;
    let wrong = factor.wrong_code();
    let tries = join_all((0..50).map(|number| app.complete(number % 2, &challenge, &wrong))).await;
    let statuses: Vec<_> = tries.iter().map(|answer| answer.status).collect();
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(403), count(429)), (10, 40), "{statuses:?}");
    let refused = app.complete(1, &challenge, &factor.next_code()).await;
    let refused = refused.expect_problem(429, "too-many-requests");
    assert!((1..=60).contains(&refused.header("retry-after").parse().unwrap()));
    // Who has a recovery code is not kept out by who guesses.
    app.complete(1, &challenge, &factor.recovery[0]).await.expect(200);
    for _ in 0..2 {
        // The right one has forgotten the guesses.
        app.complete(0, &challenge, &wrong).await.expect_problem(403, "wrong-code");
    }
    let told = format!(
        "SELECT count(*) FROM user_activity WHERE user_id = '{}' AND action = 'sign_in_refused'
                        AND data->>'reason' IN ('wrong_code', 'too_many_codes')",
        ada.id
    );
    eventually("refusals are told", async || app.value(&told).await == "53").await;
}

#[tokio::test]
async fn nothing_that_could_be_presented_is_in_the_database_and_a_rotation_of_secrets_keeps_it_working() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let enrolled = ada.send(&app, "POST", "/v1/me/second-factor").await.expect(201);
    let secret = enrolled.str("/secret").to_owned();
    assert!(enrolled.str("/uri").contains(&secret));
    let factor = ada.add_factor(&app).await;
    let dump = "SELECT jsonb_build_array((SELECT jsonb_agg(to_jsonb(f)) FROM second_factors f),
                                         (SELECT jsonb_agg(to_jsonb(c)) FROM recovery_codes c))";
    let dump = app.value(dump).await.to_lowercase();
    assert!(factor.recovery.iter().all(|code| !dump.contains(&code.replace('-', ""))));
    assert!(!dump.contains(&secret.to_lowercase()));
    let kept = app.value("SELECT encode(sealed, 'hex') FROM second_factors").await;

    let rotated = format!("a newer secret of the tests with 32 bytes or more,{}", TestApp::SECRET);
    let newer =
        TestApp::builder().set("SUBTLE_SECRET", &rotated).on(app.database_url().to_owned()).start().await;
    let challenge = ada.challenge(&newer).await;
    newer.complete(0, &challenge, &factor.next_code()).await.expect(200);
    assert_ne!(newer.value("SELECT encode(sealed, 'hex') FROM second_factors").await, kept, "encrypted anew");
}

#[tokio::test]
async fn erasure_and_export_know_of_it() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let factor = ada.add_factor(&app).await;
    let exported = ada.send(&app, "GET", "/v1/me/export").await.expect(200);
    assert_eq!(exported.body["user"]["secondFactor"], true);
    assert!(factor.recovery.iter().all(|code| !exported.text.contains(code)));
    ada.send(&app, "DELETE", "/v1/me").await.expect(204);
    let kept = "SELECT (SELECT count(*) FROM second_factors) + (SELECT count(*) FROM recovery_codes)
                       + (SELECT count(*) FROM users WHERE second_factor_at IS NOT NULL)";
    assert_eq!(app.value(kept).await, "0");
}
