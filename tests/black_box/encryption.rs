//! Values that are kept encrypted: read as before, told by no dump, and rotated while they change.

use std::process::Command;

use futures_util::future::join_all;
use serde_json::{Value, json};
use subtle_local_postgres::Binaries;

use crate::support::{Answer, Person, TestApp, eventually};

const OLD: &str = "an old key of the tests with 32 bytes or more";
const NEW: &str = "a newer key of the tests with 32 bytes or more";
/// How many keys the pictures are under.
const KEYS: &str = "SELECT count(DISTINCT left(avatar_url, 15)) FROM users WHERE avatar_url IS NOT NULL";

async fn with_keys(keys: &str) -> TestApp {
    TestApp::builder().set("SUBTLE_ENCRYPTION_KEYS", keys).start().await
}

async fn with_keys_on(app: &TestApp, keys: &str) -> TestApp {
    TestApp::builder().set("SUBTLE_ENCRYPTION_KEYS", keys).on(app.database_url().to_owned()).start().await
}

fn dump(app: &TestApp) -> String {
    let mut dump = Command::new(Binaries::find().unwrap().program("pg_dump"));
    String::from_utf8(dump.arg(app.database_url()).output().unwrap().stdout).unwrap()
}

fn picture(number: usize) -> Value {
    json!({"avatarUrl": format!("https://quagga.example/{number}.png")})
}

/// Changes a picture, and looks at it from both servers.
async fn change(apps: [&TestApp; 2], person: &Person, number: usize) {
    let (at, other) = (apps[number % 2], apps[(number + 1) % 2]);
    let changed = person.send_json(at, "PATCH", "/v1/me", &picture(number)).await.expect(200);
    let seen = person.send(other, "GET", "/v1/me").await.expect(200);
    for answer in [changed, seen] {
        assert_eq!(answer.body["avatarUrl"], picture(number)["avatarUrl"]);
    }
}

#[tokio::test]
async fn what_is_encrypted_is_read_as_before_and_no_dump_tells_it() {
    let app = with_keys(NEW).await;
    let (ada, bob) = (app.person().await, app.person().await);
    let admin = app.person_of_role("admin").await;
    ada.send_json(&app, "PATCH", "/v1/me", &picture(1)).await.expect(200);
    let user = format!("/v1/admin/users/{}", bob.id);
    admin.send_json(&app, "PATCH", &user, &picture(2)).await.expect(200);
    let data = json!({"document": "the quagga diaries", "n": [1, null, "ü"]});
    let issued =
        ada.send_json(&app, "POST", "/v1/bridge-tokens", &json!({"sessionData": data})).await.expect(201);
    let told = dump(&app);
    assert!(told.contains(&ada.email) && told.contains("enc:v1:") && told.contains("{\"$enc\": \"v1:"));
    assert!(!told.contains("quagga"), "{:?}", told.lines().find(|line| line.contains("quagga")));
    let first = &picture(1)["avatarUrl"];
    let refreshed = app.refresh(&ada.refresh).await.expect(200);
    let redeemed =
        app.post("/v1/bridge-tokens/redeem", &json!({"token": issued.str("/token")})).await.expect(200);
    let signed_in = app.login(&ada.email, &ada.password).await.expect(200);
    assert_eq!(redeemed.body["sessionData"], data);
    for answer in [refreshed, redeemed, signed_in] {
        assert_eq!(answer.body["user"]["avatarUrl"], *first);
    }
    let export = ada.send(&app, "GET", "/v1/me/export").await.expect(200);
    assert_eq!(export.body["user"]["avatarUrl"], *first);
    assert_eq!(admin.send(&app, "GET", &user).await.expect(200).body["avatarUrl"], picture(2)["avatarUrl"]);
    let list = admin.send(&app, "GET", "/v1/admin/users?page=1&pageSize=10").await.expect(200);
    let listed = list.body["users"].as_array().unwrap().iter().filter(|user| user["avatarUrl"].is_string());
    assert_eq!(listed.count(), 2);
    ada.send_json(&app, "PATCH", "/v1/me", &json!({"avatarUrl": null})).await.expect(200);
    assert_eq!(app.value("SELECT count(avatar_url) FROM users").await, "1");
    bob.send(&app, "DELETE", "/v1/me").await.expect(204);
    assert_eq!(app.value("SELECT count(avatar_url) FROM users").await, "0");
}

#[tokio::test]
async fn nobody_can_hand_in_what_looks_encrypted() {
    for keys in ["none", NEW] {
        let app = with_keys(keys).await;
        let ada = app.person().await;
        let body = json!({"avatarUrl": "enc:v1:1a2b3c4d:AAAA"});
        ada.send_json(&app, "PATCH", "/v1/me", &body).await.expect_problem(422, "invalid-request");
        for data in [
            json!({"$enc": "v1:1a2b3c4d:AAAA"}),
            json!({"$enc": {"plain": 1}}),
            json!({"$enc": null, "a": 1}),
        ] {
            let body = json!({"sessionData": data});
            let issued = ada.send_json(&app, "POST", "/v1/bridge-tokens", &body).await.expect(201);
            let body = json!({"token": issued.str("/token")});
            let redeemed = app.post("/v1/bridge-tokens/redeem", &body).await.expect(200);
            assert_eq!(redeemed.body["sessionData"], data);
        }
    }
}

#[tokio::test]
async fn a_key_is_replaced_while_people_change_their_pictures_and_no_change_is_lost() {
    let older = with_keys(&format!("{OLD},{NEW}")).await;
    let people = join_all((0..6).map(|_| older.person())).await;
    for person in &people {
        change([&older, &older], person, 0).await;
    }
    // Many more, so that the rotation takes its time.
    older
        .sql(
            "INSERT INTO users (id, email, password_hash, avatar_url)
             SELECT 'p' || n, 'p' || n || '@example.com', repeat('x', 60), 'https://quagga.example/' || n
             FROM generate_series(1, 2000) AS n",
        )
        .await;
    // Begins to rotate as soon as it listens.
    let newer = with_keys_on(&older, &format!("{NEW},{OLD}")).await;
    join_all(people.iter().map(|person| async {
        for number in 1..25 {
            change([&older, &newer], person, number).await;
        }
    }))
    .await;
    eventually("the many are under the new key", async || {
        older.value("SELECT count(*) FROM users WHERE avatar_url LIKE 'https:%'").await == "0"
    })
    .await;
    // The one with the old key in front has written under it to the end. Whoever comes after it finds that.
    let url = newer.database_url().to_owned();
    drop(older);
    let last = with_keys_on(&newer, &format!("{NEW},{OLD}")).await;
    eventually("one key is left", async || newer.value(KEYS).await == "1").await;
    let told = last.run(&["encryption"]).await;
    assert!(told.status.success(), "{told:?}");
    drop((newer, last));
    let alone = TestApp::builder().set("SUBTLE_ENCRYPTION_KEYS", NEW).on(url).start().await;
    for person in &people {
        let seen = person.send(&alone, "GET", "/v1/me").await.expect(200);
        assert_eq!(seen.body["avatarUrl"], picture(24)["avatarUrl"]);
    }
    let someone = Answer::of(alone.request("GET", "/health/ready")).await;
    someone.expect(200);
}
