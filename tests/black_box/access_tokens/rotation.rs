use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::support::{Person, TestApp};

const NEW: &str = "the secret that takes its place has 32 bytes";

fn kid(token: &str) -> Value {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].clone()
}

async fn kids(app: &TestApp) -> Vec<Value> {
    let jwks = app.get("/.well-known/jwks.json").await.expect(200);
    jwks.body["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
}

#[tokio::test]
async fn tokens_outlive_a_rotation_of_the_secret_and_not_its_end() {
    let before = TestApp::start().await;
    let ada = before.person().await;
    let with = |secrets: &str| {
        let builder = TestApp::builder().on(before.database_url().to_owned());
        builder.set("SUBTLE_SECRET", secrets).start()
    };
    let during = with(&format!("{NEW},{}", TestApp::SECRET)).await;
    let after = with(NEW).await;
    assert_eq!(kids(&before).await, [kid(&ada.access)]);
    assert_eq!(kids(&during).await, [kids(&after).await, kids(&before).await].concat(), "the newest first");

    ada.send(&during, "GET", "/v1/me").await.expect(200);
    ada.send(&after, "GET", "/v1/me").await.expect_problem(401, "invalid-token");
    after.refresh(&ada.refresh).await.expect_problem(401, "invalid-refresh-token");

    let renewed = Person::of(&during.refresh(&ada.refresh).await.expect(200), Person::PASSWORD);
    assert_eq!((&renewed.session, kid(&renewed.access)), (&ada.session, kids(&after).await.remove(0)));
    let again = during.refresh(&ada.refresh).await.expect(200);
    assert_eq!(again.str("/refreshToken"), renewed.refresh, "racing callers agree over the rotation");
    renewed.send(&after, "GET", "/v1/me").await.expect(200);
    after.refresh(&renewed.refresh).await.expect(200);
}

#[tokio::test]
async fn a_successor_that_was_made_before_a_rotation_is_given_again_after_it() {
    let before = TestApp::start().await;
    let ada = before.person().await;
    let successor = before.refresh(&ada.refresh).await.expect(200);
    let during = TestApp::builder().on(before.database_url().to_owned());
    let during = during.set("SUBTLE_SECRET", &format!("{NEW},{}", TestApp::SECRET)).start().await;
    let again = during.refresh(&ada.refresh).await.expect(200);
    assert_eq!(again.str("/refreshToken"), successor.str("/refreshToken"));
    during.refresh(successor.str("/refreshToken")).await.expect(200);
}
