//! Guesses and floods: how many there may be, from whom, and when again.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Person, TestApp, fresh_email};

/// Checks that it says "too many" and when to come back; gives that in seconds.
#[track_caller]
fn too_many(answer: Answer) -> u32 {
    let answer = answer.expect_problem(429, "too-many-requests");
    let seconds: u32 = answer.header("retry-after").parse().unwrap();
    assert!(seconds >= 1, "{:?}", answer.headers);
    seconds
}

/// What time brings by itself.
async fn refill(app: &TestApp, minutes: u32) {
    app.sql(&format!("UPDATE auth_throttle SET full_at = full_at - interval '{minutes} minutes'")).await;
}

fn password_change(current: &str) -> Value {
    json!({"currentPassword": current, "newPassword": "another secret 9"})
}

#[tokio::test]
async fn of_fifty_guesses_at_once_at_two_servers_ten_are_evaluated_and_time_lets_the_owner_in_again() {
    let app = TestApp::builder().servers(2).set("SUBTLE_RATE_LIMIT", "on").start().await;
    let ada = app.person().await;
    let shouted = ada.email.to_uppercase();
    let calls = (0..50).map(|number| {
        let email = if number % 3 == 0 { &shouted } else { &ada.email };
        let body = json!({"email": email, "password": format!("guess number {number}")});
        Answer::of(app.client.post(app.url_of(number % 2, "/v1/auth/login")).json(&body))
    });
    let mut evaluated = 0;
    for answer in join_all(calls).await {
        if answer.status == 401 {
            answer.expect_problem(401, "wrong-credentials");
            evaluated += 1;
        } else {
            // One guess comes back a minute. Whoever asked first and was refused last waits a moment longer.
            assert!((50..=61).contains(&too_many(answer)));
        }
    }
    assert_eq!(evaluated, 10);
    too_many(app.login(&ada.email, &ada.password).await);
    refill(&app, 1).await;
    app.login(&ada.email, "one guess more").await.expect(401);
    too_many(app.login(&ada.email, &ada.password).await);
    refill(&app, 1).await;
    app.login(&ada.email, &ada.password).await.expect(200);
    for _ in 0..9 {
        app.login(&ada.email, "after a success all ten are back").await.expect(401);
    }
    app.login(&ada.email, &ada.password).await.expect(200);
}

#[tokio::test]
async fn guesses_at_the_current_password_count_with_those_at_sign_in() {
    let app = TestApp::builder().set("SUBTLE_RATE_LIMIT", "on").start().await;
    let (ada, other) = (app.person().await, app.person().await);
    let wrong = password_change("something else");
    for _ in 0..5 {
        ada.send_json(&app, "POST", "/v1/me/password", &wrong).await.expect_problem(403, "wrong-password");
        app.login(&ada.email, "something else").await.expect_problem(401, "wrong-credentials");
    }
    too_many(ada.send_json(&app, "POST", "/v1/me/password", &wrong).await);
    too_many(ada.send_json(&app, "POST", "/v1/me/password", &password_change(&ada.password)).await);
    too_many(app.login(&ada.email, &ada.password).await);
    app.login(&other.email, &other.password).await.expect(200);
    refill(&app, 10).await;
    let right = password_change(&ada.password);
    ada.send_json(&app, "POST", "/v1/me/password", &right).await.expect(204);
}

#[tokio::test]
async fn unknown_addresses_are_throttled_like_known_ones() {
    let app = TestApp::builder().set("SUBTLE_RATE_LIMIT", "on").start().await;
    let ada = app.person().await;
    let outcomes = async |email: &str| {
        let mut outcomes = Vec::new();
        for _ in 0..12 {
            let mut answer = app.login(email, "something else").await;
            answer.body["requestId"].take();
            // The seconds that are left depend on when it is asked.
            answer.body["detail"] = answer.str("/detail").replace(|c: char| c.is_ascii_digit(), "").into();
            outcomes.push((answer.status, answer.headers.contains_key("retry-after"), answer.body));
        }
        outcomes
    };
    let known = outcomes(&ada.email).await;
    let statuses: Vec<_> = known.iter().map(|(status, ..)| *status).collect();
    assert_eq!((&statuses[..10], &statuses[10..]), (&[401; 10][..], &[429; 2][..]));
    assert_eq!(known, outcomes("nobody@example.com").await);
    let keys = app.value("SELECT string_agg(key, ' ') FROM auth_throttle").await;
    assert!(keys.len() > 64 && !keys.contains('@'), "{keys}");
}

/// A sign-in or sign-up of a body, said to come for somebody else.
async fn forwarded(app: &TestApp, path: &str, body: &Value, chain: &str) -> Answer {
    Answer::of(app.request("POST", path).header("x-forwarded-for", chain).json(body)).await
}

#[tokio::test]
async fn one_address_may_send_so_many_passwords_and_tokens_whomever_it_claims_to_forward() {
    let app = TestApp::builder()
        .set("SUBTLE_RATE_LIMIT", "on")
        .set("SUBTLE_LIMIT_PASSWORD_BY_ADDRESS", "3/1h")
        .set("SUBTLE_LIMIT_TOKEN_BY_ADDRESS", "2/1h")
        .start()
        .await;
    let ada = app.person().await;
    let login = json!({"email": ada.email, "password": ada.password});
    forwarded(&app, "/v1/auth/login", &login, "203.0.113.1").await.expect(200);
    ada.send_json(&app, "POST", "/v1/me/password", &password_change("wrong")).await.expect(403);
    let register = json!({"email": fresh_email(), "password": Person::PASSWORD});
    assert!(too_many(forwarded(&app, "/v1/auth/login", &login, "203.0.113.2").await) > 60);
    too_many(forwarded(&app, "/v1/auth/register", &register, "203.0.113.3, 198.51.100.7").await);
    too_many(ada.send_json(&app, "POST", "/v1/me/password", &password_change(&ada.password)).await);
    let token = json!({"refreshToken": ada.refresh});
    forwarded(&app, "/v1/auth/refresh", &token, "203.0.113.1").await.expect(200);
    forwarded(&app, "/v1/auth/logout", &json!({"refreshToken": "nonsense"}), "203.0.113.2").await.expect(204);
    too_many(forwarded(&app, "/v1/auth/refresh", &token, "203.0.113.3").await);
    too_many(forwarded(&app, "/v1/auth/logout", &token, "203.0.113.4").await);
    ada.send(&app, "GET", "/v1/me").await.expect(200);
    assert_eq!(app.value("SELECT count(*) FROM users").await, "1");
    assert_eq!(app.value("SELECT count(*) FROM sessions WHERE revoked_at IS NOT NULL").await, "0");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_is_counted_by_what_the_proxy_saw() {
    let app = TestApp::builder()
        .set("SUBTLE_RATE_LIMIT", "on")
        .set("SUBTLE_TRUSTED_PROXIES", "127.0.0.0/8,10.0.0.0/8")
        .set("SUBTLE_LIMIT_PASSWORD_BY_ADDRESS", "2/1h")
        .start()
        .await;
    let register = async |chain: &str| {
        let body = json!({"email": fresh_email(), "password": Person::PASSWORD});
        forwarded(&app, "/v1/auth/register", &body, chain).await
    };
    register("203.0.113.1").await.expect(201);
    register("6.6.6.6, 203.0.113.1").await.expect(201);
    too_many(register("203.0.113.1").await);
    too_many(register("7.7.7.7, 203.0.113.1, 10.9.9.9").await);
    register("203.0.113.2").await.expect(201);
    let seen = app.value("SELECT string_agg(DISTINCT host(ip_address::inet), ' ') FROM sessions").await;
    assert_eq!(seen, "203.0.113.1 203.0.113.2");
}

#[tokio::test]
async fn one_account_may_refresh_so_often_and_forged_tokens_use_up_nobodys_share() {
    let app = TestApp::builder()
        .set("SUBTLE_RATE_LIMIT", "on")
        .set("SUBTLE_LIMIT_TOKEN_BY_ACCOUNT", "2/1h")
        .start()
        .await;
    let (ada, other) = (app.person().await, app.person().await);
    let mut forged = ada.refresh.clone();
    let last = if forged.pop() == Some('A') { 'Q' } else { 'A' };
    forged.push(last);
    for _ in 0..5 {
        app.refresh(&forged).await.expect(401);
    }
    let next = app.refresh(&ada.refresh).await.expect(200).str("/refreshToken").to_owned();
    let next = app.refresh(&next).await.expect(200).str("/refreshToken").to_owned();
    too_many(app.refresh(&next).await);
    app.refresh(&other.refresh).await.expect(200);
}

#[tokio::test]
async fn all_limits_go_off_together() {
    let app = TestApp::builder()
        .set("SUBTLE_RATE_LIMIT", "off")
        .set("SUBTLE_LIMIT_PASSWORD_GUESSES", "1/1h")
        .set("SUBTLE_LIMIT_PASSWORD_BY_ADDRESS", "1/1h")
        .set("SUBTLE_LIMIT_TOKEN_BY_ADDRESS", "1/1h")
        .set("SUBTLE_LIMIT_TOKEN_BY_ACCOUNT", "1/1h")
        .start()
        .await;
    let ada = app.person().await;
    for _ in 0..15 {
        app.login(&ada.email, "something else").await.expect(401);
        app.refresh(&ada.refresh).await.expect(200);
    }
    app.login(&ada.email, &ada.password).await.expect(200);
    assert_eq!(app.value("SELECT count(*) FROM auth_throttle").await, "0");
}
