//! Access tokens that must not open anything, and the change of the keys that sign them.

use serde_json::json;

use crate::support::{Answer, Person, TestApp};

mod forge;
mod rotation;

use forge::Forge;

async fn show(app: &TestApp, token: &str) -> Answer {
    Answer::of(app.request("GET", "/v1/me").bearer_auth(token)).await
}

#[track_caller]
fn refused(answer: Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {}", answer.text);
    assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{what}");
    answer.expect_problem(401, "invalid-token");
}

/// A server, somebody with a token, and a forger who has the server's key.
async fn scene() -> (TestApp, Person, Forge) {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let forge = Forge::of(TestApp::SECRET, &ada.access);
    (app, ada, forge)
}

#[tokio::test]
async fn what_the_forger_makes_is_taken_as_long_as_nothing_in_it_is_wrong() {
    let (app, ada, forge) = scene().await;
    let jwks = app.get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(jwks.body["keys"], json!([forge.jwk()]));
    let header = forge.header();
    assert_eq!(header, json!({"typ": "at+jwt", "alg": "EdDSA", "kid": forge.kid()}));
    let token = forge.sign(&header.to_string(), &forge.claims().to_string());
    assert_eq!(show(&app, &token).await.expect(200).str("/id"), ada.id);
    show(&app, &forge.with_claim("anything", Some(json!(1)))).await.expect(200);
}

#[tokio::test]
async fn tokens_of_another_algorithm_or_key_are_refused() {
    let (app, ada, forge) = scene().await;
    let other = Forge::of("another secret that has 32 bytes or more", &ada.access);
    let claims = forge.claims().to_string();
    let with_alg = |alg: &str| forge.header_with("alg", json!(alg));
    let mut tokens = vec![
        ("another key, its own kid", other.sign(&other.header().to_string(), &claims)),
        ("another key, our kid", other.sign(&forge.header().to_string(), &claims)),
        ("no signature", forge::unsigned(&forge.header().to_string(), &claims)),
        ("HS256 with the public key", forge.mac(&with_alg("HS256"), &claims)),
        ("a MAC under our header", forge.mac(&forge.header().to_string(), &claims)),
    ];
    for alg in ["none", "None", "nOnE", "NONE", "HS256", "RS256", "ES256", "eddsa", ""] {
        tokens.push((alg, forge::unsigned(&with_alg(alg), &claims)));
        tokens.push((alg, forge.sign(&with_alg(alg), &claims)));
    }
    for (what, token) in tokens {
        refused(show(&app, &token).await, what);
    }
}

#[tokio::test]
async fn tokens_that_bring_or_point_to_a_key_are_refused_though_they_are_signed() {
    let (app, ada, forge) = scene().await;
    let other = Forge::of("another secret that has 32 bytes or more", &ada.access);
    let claims = forge.claims().to_string();
    for (name, value) in [
        ("jwk", other.jwk()),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("x' UNION SELECT 'key")),
        ("kid", json!(other.kid())),
        ("kid", json!("")),
        ("kid", json!(null)),
        ("typ", json!("JWT")),
        ("typ", json!("rt+jwt")),
        ("typ", json!(null)),
    ] {
        let header = forge.header_with(name, value);
        refused(show(&app, &forge.sign(&header, &claims)).await, name);
        refused(show(&app, &other.sign(&header, &claims)).await, name);
    }
    for name in ["typ", "kid", "alg"] {
        let mut header = forge.header();
        header.as_object_mut().unwrap().remove(name);
        refused(show(&app, &forge.sign(&header.to_string(), &claims)).await, name);
    }
}

#[tokio::test]
async fn claims_that_are_missing_doubled_wrong_or_out_of_time_are_refused_though_they_are_signed() {
    let (app, ada, forge) = scene().await;
    let header = forge.header().to_string();
    for name in ["iss", "aud", "sub", "sid", "role", "iat", "nbf", "exp", "jti"] {
        refused(show(&app, &forge.with_claim(name, None)).await, name);
        let claims = forge.claims();
        let doubled = format!(r#"{{"{name}":{},{}"#, claims[name], &claims.to_string()[1..]);
        refused(show(&app, &forge.sign(&header, &doubled)).await, name);
    }
    let issued_at = forge.claims()["iat"].as_i64().unwrap();
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("other")),
        ("aud", json!(["subtle", "other"])),
        ("exp", json!(issued_at - 60)),
        ("exp", json!(0)),
        ("exp", json!("9999999999")),
        ("exp", json!(1e300)),
        ("nbf", json!(issued_at + 600)),
        ("sub", json!("")),
        ("sub", json!(null)),
        ("sub", json!("\u{0}")),
        ("role", json!("root")),
    ] {
        refused(show(&app, &forge.with_claim(name, Some(value))).await, name);
    }
    let stranger = app.person().await;
    let parts: Vec<_> = ada.access.split('.').collect();
    let theirs: Vec<_> = stranger.access.split('.').collect();
    let swapped = format!("{}.{}.{}", parts[0], theirs[1], parts[2]);
    refused(show(&app, &swapped).await, "the payload of another token");
}

#[tokio::test]
async fn a_token_that_speaks_of_nobody_opens_nothing() {
    let (app, _ada, forge) = scene().await;
    for path in ["/v1/me", "/v1/admin/users"] {
        let token = forge.with_claim("sub", Some(json!("nobodyhasthisidentifier01")));
        let answer = Answer::of(app.request("GET", path).bearer_auth(token)).await;
        refused(answer, path);
    }
    let token = forge.with_claim("role", Some(json!("admin")));
    let answer = Answer::of(app.request("GET", "/v1/admin/users").bearer_auth(token)).await;
    answer.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn credentials_come_once_in_the_header_and_nowhere_else() {
    let (app, ada, _forge) = scene().await;
    let me = || app.request("GET", "/v1/me");
    let bearer = format!("Bearer {}", ada.access);
    for (what, request) in [
        ("twice", me().header("authorization", &bearer).header("authorization", &bearer)),
        ("two in one", me().header("authorization", format!("{bearer}, {bearer}"))),
        ("empty", me().header("authorization", "")),
        ("no token", me().header("authorization", "Bearer")),
        ("an empty token", me().header("authorization", "Bearer ")),
        ("another scheme", me().header("authorization", format!("Token {}", ada.access))),
        ("no scheme", me().header("authorization", &ada.access)),
        ("a password", me().basic_auth(&ada.email, Some(&ada.password))),
        ("no text", me().header("authorization", &b"Bearer \xff\xfe"[..])),
        ("something long", me().bearer_auth("A.".repeat(20_000))),
        ("a refresh token", me().bearer_auth(&ada.refresh)),
    ] {
        refused(Answer::of(request).await, what);
    }
    for request in [
        me(),
        app.request("GET", &format!("/v1/me?access_token={}", ada.access)),
        me().header("cookie", format!("access_token={}", ada.access)),
        me().header("proxy-authorization", &bearer),
    ] {
        let answer = Answer::of(request).await.expect_problem(401, "authentication-required");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    Answer::of(me().header("authorization", format!("bearer {}", ada.access))).await.expect(200);
}
