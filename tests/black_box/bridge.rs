//! The hand-off of a sign-in from one app to another.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, EventStream, Person, TestApp, eventually};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn issue(app: &TestApp, person: &Person, body: &Value) -> String {
    let issued = person.send_json(app, "POST", "/v1/bridge-tokens", body).await.expect(201);
    issued.str("/token").to_owned()
}

async fn redeem(app: &TestApp, token: &str) -> Answer {
    app.post("/v1/bridge-tokens/redeem", &json!({"token": token})).await
}

/// What whoever is refused sees.
#[track_caller]
fn refusal(answer: Answer) -> (Value, BTreeSet<String>) {
    let mut answer = answer.expect_problem(401, "invalid-bridge-token");
    assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    answer.body["requestId"].take();
    (answer.body, answer.headers.keys().map(ToString::to_string).collect())
}

/// How the attempts ended that are in the sync logs, in their order.
async fn attempts(app: &TestApp) -> String {
    let told = "SELECT string_agg(coalesce(error_message, 'ok'), ' ' ORDER BY user_id, place) FROM sync_logs
                WHERE event_type = 'bridge_redemption' AND event_source = 'subtle'
                    AND success = (error_message IS NULL)";
    app.value(told).await
}

#[tokio::test]
async fn of_a_hundred_who_redeem_one_token_at_two_servers_one_gets_a_session() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    let data = json!({"document": "d-17", "n": [1, null, "ü"]});
    let token = issue(&app, &ada, &json!({"sessionData": data})).await;
    let body = json!({"token": token});
    let calls = (0..100).map(|number| {
        Answer::once_served(app.client.post(app.url_of(number % 2, "/v1/bridge-tokens/redeem")).json(&body))
    });
    let (redeemed, refused): (Vec<_>, Vec<_>) =
        join_all(calls).await.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((redeemed.len(), refused.len()), (1, 99));
    let first = refusal(redeem(&app, "nonsense").await);
    assert!(refused.into_iter().all(|answer| refusal(answer) == first));
    assert_eq!(redeemed[0].body["sessionData"], data);
    let mac = Person::of(&redeemed[0], Person::PASSWORD);
    assert_eq!((&mac.id, mac.session == ada.session), (&ada.id, false));
    for server in 0..2 {
        mac.send_to(&app, server, "GET", "/v1/me").await.expect(200);
    }
    app.refresh(&mac.refresh).await.expect(200);
    let told = attempts(&app).await;
    assert_eq!((told.matches("ok").count(), told.matches("used").count()), (1, 99));
    assert_eq!(app.value("SELECT count(*) FROM sessions").await, "2");
    assert_eq!(app.value("SELECT session_data IS NULL FROM bridge_tokens").await, "true");
}

#[tokio::test]
async fn a_bound_token_is_for_who_knows_the_verifier_and_stays_good_after_who_does_not() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let bound = issue(&app, &ada, &json!({"codeChallenge": CHALLENGE})).await;
    let with = async |token: &str, verifier: &str| {
        app.post("/v1/bridge-tokens/redeem", &json!({"token": token, "codeVerifier": verifier})).await
    };
    let other = VERIFIER.replace('d', "e");
    let unknown = refusal(redeem(&app, "nonsense").await);
    for verifier in [&other, CHALLENGE, "", "short", &"x".repeat(5_000)] {
        assert_eq!(refusal(with(&bound, verifier).await), unknown, "{verifier}");
    }
    assert_eq!(refusal(redeem(&app, &bound).await), unknown);
    with(&bound, VERIFIER).await.expect(200);
    assert_eq!(refusal(with(&bound, VERIFIER).await), unknown);
    let unbound = issue(&app, &ada, &json!({})).await;
    assert_eq!(refusal(with(&unbound, VERIFIER).await), unknown, "RFC 9700, 4.8.2");
    redeem(&app, &unbound).await.expect(200);
    let wrong = "wrong_verifier ".repeat(6);
    assert_eq!(attempts(&app).await, format!("{wrong}ok used wrong_verifier ok"));
}

#[tokio::test]
async fn used_expired_and_unknown_tokens_look_the_same() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let (used, expired) = (issue(&app, &ada, &json!({})).await, issue(&app, &ada, &json!({})).await);
    redeem(&app, &used).await.expect(200);
    app.sql("UPDATE bridge_tokens SET expires_at = now() WHERE used_at IS NULL").await;
    let unknown: String = used
        .char_indices()
        .map(|(at, c)| {
            if at == 40 && c == 'A' {
                'B'
            } else if at == 40 {
                'A'
            } else {
                c
            }
        })
        .collect();
    let refusals =
        join_all([&used, &expired, &unknown, "nonsense", ""].map(|token| redeem(&app, token))).await;
    let refusals: Vec<_> = refusals.into_iter().map(refusal).collect();
    assert!(refusals.iter().all(|one| *one == refusals[0]), "{refusals:#?}");
    eventually("what was a token is told", async || attempts(&app).await.split(' ').count() == 3).await;
}

#[tokio::test]
async fn what_a_token_depends_on_ends_it_too() {
    let app = TestApp::start().await;
    let admin = app.person_of_role("admin").await;
    let ended = ["sign-out", "disabled", "erased", "password"];
    for how in ended {
        let ada = app.person().await;
        let token = issue(&app, &ada, &json!({})).await;
        match how {
            "sign-out" => {
                app.post("/v1/auth/logout", &json!({"refreshToken": ada.refresh})).await.expect(204);
            }
            "disabled" => {
                let path = format!("/v1/admin/users/{}/disable", ada.id);
                admin.send(&app, "POST", &path).await.expect(200);
            }
            "erased" => drop(ada.send(&app, "DELETE", "/v1/me").await.expect(204)),
            _ => {
                let change = json!({"currentPassword": ada.password, "newPassword": "another secret 9"});
                let other = ada.sign_in(&app).await;
                other.send_json(&app, "POST", "/v1/me/password", &change).await.expect(204);
            }
        }
        refusal(redeem(&app, &token).await);
        ada.send_json(&app, "POST", "/v1/bridge-tokens", &json!({})).await.expect(401);
    }
    let mut told: Vec<_> = attempts(&app).await.split(' ').map(str::to_owned).collect();
    told.sort();
    assert_eq!(told, ["account_closed", "session_over", "session_over"], "of who is erased nothing is kept");
}

#[tokio::test]
async fn no_token_is_good_for_what_another_is_for() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let token = issue(&app, &ada, &json!({})).await;
    let swapped = Person { access: token.clone(), ..ada.clone() };
    swapped.send(&app, "GET", "/v1/me").await.expect_problem(401, "invalid-token");
    swapped
        .send_json(&app, "POST", "/v1/bridge-tokens", &json!({}))
        .await
        .expect_problem(401, "invalid-token");
    app.refresh(&token).await.expect_problem(401, "invalid-refresh-token");
    refusal(redeem(&app, &ada.access).await);
    refusal(redeem(&app, &ada.refresh).await);
    let stored = app.value("SELECT token FROM bridge_tokens").await;
    refusal(redeem(&app, &stored).await);
    redeem(&app, &token).await.expect(200);
}

#[tokio::test]
async fn the_database_knows_a_token_by_its_digest_and_who_asked_and_who_redeemed_it() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let request = app.request("POST", "/v1/bridge-tokens").bearer_auth(&ada.access);
    let issued = Answer::of(request.header("user-agent", "Web/1").json(&json!({}))).await.expect(201);
    let token = issued.str("/token");
    let sum: Vec<_> = digest(&SHA256, token.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(app.value("SELECT token FROM bridge_tokens").await, sum.concat());
    let life = "SELECT expires_at - created_at FROM bridge_tokens";
    assert_eq!(app.value(life).await, "00:01:00");
    let row = app.value("SELECT to_jsonb(b) FROM bridge_tokens b").await;
    let bytes = URL_SAFE_NO_PAD.decode(&token[3..]).unwrap();
    assert!(
        !row.contains(&URL_SAFE_NO_PAD.encode(&bytes[bytes.len() - 32..])) && row.contains("Web/1"),
        "{row}"
    );
    let request = app.request("POST", "/v1/bridge-tokens/redeem").header("user-agent", "Mac/2");
    Answer::of(request.json(&json!({"token": token}))).await.expect(200);
    let mac = "SELECT ip_address || ' ' || user_agent FROM sessions WHERE user_agent = 'Mac/2'";
    assert_eq!(app.value(mac).await, "127.0.0.1 Mac/2");
    assert_eq!(app.value("SELECT client_ip || ' ' || user_agent FROM sync_logs").await, "127.0.0.1 Mac/2");
    eventually("the sign-in is in the timeline", async || {
        app.value("SELECT count(*) FROM user_activity WHERE action = 'sign_in'").await == "1"
    })
    .await;
}

#[tokio::test]
async fn an_app_that_follows_sees_that_another_has_come() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    let mut stream = EventStream::open(&app, 1, &ada, None).await;
    redeem(&app, &issue(&app, &ada, &json!({})).await).await.expect(200);
    let event = stream.event().await.unwrap();
    assert_eq!((&event["eventType"], &event["success"]), (&json!("bridge_redemption"), &json!(true)));
    assert_eq!(event["eventSource"], "subtle");
}

#[tokio::test]
async fn what_is_handed_over_is_any_json_of_16_kilobytes() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    for data in [json!(null), json!(7), json!("x".repeat(16_382)), json!({"a": [{"data": {}}]})] {
        let token = issue(&app, &ada, &json!({"sessionData": data})).await;
        assert_eq!(redeem(&app, &token).await.expect(200).body["sessionData"], data);
    }
    for (field, value) in [
        ("sessionData", json!("x".repeat(16_383))),
        ("codeChallenge", json!(VERIFIER.replace('d', "+"))),
        ("codeChallenge", json!("")),
    ] {
        let body = json!({ field: value });
        let refused = ada.send_json(&app, "POST", "/v1/bridge-tokens", &body).await;
        assert_eq!(refused.expect_problem(422, "invalid-request").str("/errors/0/field"), field);
    }
}

#[tokio::test]
async fn one_address_may_redeem_so_often() {
    let app = TestApp::builder()
        .set("SUBTLE_RATE_LIMIT", "on")
        .set("SUBTLE_LIMIT_TOKEN_BY_ADDRESS", "3/1h")
        .start()
        .await;
    let ada = app.person().await;
    let token = issue(&app, &ada, &json!({})).await;
    refusal(redeem(&app, "nonsense").await);
    refusal(redeem(&app, "nonsense").await);
    let refused = redeem(&app, &token).await.expect_problem(429, "too-many-requests");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 60);
    assert_eq!(app.value("SELECT count(*) FROM sync_logs").await, "0");
}
