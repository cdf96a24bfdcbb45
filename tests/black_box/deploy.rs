//! Starts, stops, migrations under load, and what a dump gives away.

use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use serde_json::json;
use subtle_local_postgres::Binaries;

use crate::support::{Answer, Load, Person, TestApp, eventually, fresh_email};

#[tokio::test]
async fn five_servers_come_up_together_on_an_empty_database_and_nobody_has_an_account_there() {
    let app = TestApp::builder().on_empty_database().servers(5).start().await;
    for server in 0..5 {
        Answer::of(app.client.get(app.url_of(server, "/health/ready"))).await.expect(200);
    }
    assert_eq!(app.value("SELECT count(*) FROM users").await, "0");
    app.login("admin@gosubtle.app", "admin123").await.expect_problem(401, "wrong-credentials");
    let ada = app.person().await;
    for server in 0..5 {
        ada.send_to(&app, server, "GET", "/v1/me").await.expect(200);
    }
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_says_so_first_and_finishes_what_it_has_begun() {
    let builder = TestApp::builder().set("SUBTLE_SHUTDOWN_DELAY", "500ms").set("SUBTLE_BCRYPT_COST", "12");
    // The sign-in must outlast the wait for its lock, on a busy machine too.
    let mut app = builder.database("pool_timeout=20").start().await;
    let ada = app.person().await;
    // The sign-in is held up here until nobody can connect any more.
    let holder = app.connect().await;
    holder.batch_execute("BEGIN; LOCK TABLE users").await.unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%password_hash%'";
    let release = async {
        eventually("the sign-in is under way", async || app.value(waiting).await == "1").await;
        app.server(0).signal("TERM");
        let told = Instant::now();
        eventually("not ready", async || app.get("/health/ready").await.status == 503).await;
        app.get("/health/live").await.expect(200);
        eventually("no more connections", async || {
            tokio::net::TcpStream::connect(app.server(0).address()).await.is_err()
        })
        .await;
        holder.batch_execute("ROLLBACK").await.unwrap();
        told
    };
    let (answer, told) = tokio::join!(app.login(&ada.email, &ada.password), release);
    answer.expect(200);
    let status = app.server_mut(0).wait(Duration::from_secs(10)).await.expect("it does not end");
    assert_eq!(status.code(), Some(0), "{:#?}", app.server(0).log());
    println!("ended {:?} after it was told to", told.elapsed());
}

#[tokio::test]
async fn who_was_told_of_an_account_has_it_after_a_kill() {
    let mut app = TestApp::start().await;
    let load = Load::start(&app, 8).await;
    load.more(40).await;
    app.server_mut(0).kill();
    let done = load.stop().await;
    println!("{done}");
    done.all_kept(&app).await;
    let server = app.add_server();
    let body = json!({"email": done.somebody(), "password": Person::PASSWORD});
    Answer::of(app.client.post(app.url_of(server, "/v1/auth/login")).json(&body)).await.expect(200);
}

/// The forms in which bytes may lie in a dump.
fn forms(bytes: &[u8]) -> [String; 3] {
    let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [hex.concat(), STANDARD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)]
}

#[tokio::test]
async fn a_dump_holds_nothing_that_could_be_presented() {
    let app = TestApp::builder().set("SUBTLE_RATE_LIMIT", "on").start().await;
    let ada = app.person().await;
    let mut tokens = vec![ada.refresh.clone(), ada.sign_in(&app).await.refresh];
    for _ in 0..3 {
        let next = app.refresh(&tokens[0]).await.expect(200).str("/refreshToken").to_owned();
        tokens.insert(0, next);
    }
    let bridge = ada.send_json(&app, "POST", "/v1/bridge-tokens", &json!({})).await.expect(201);
    app.login(&ada.email, "a wrong guess of hers").await.expect(401);
    app.login("nobody@example.com", "a wrong guess of his").await.expect(401);
    eventually("the timeline is written", async || {
        app.value("SELECT count(*) FROM user_activity WHERE action = 'sign_in_refused'").await == "1"
    })
    .await;
    let mut dump = Command::new(Binaries::find().unwrap().program("pg_dump"));
    let dump = String::from_utf8(dump.arg(app.database_url()).output().unwrap().stdout).unwrap();
    assert!(dump.contains(&ada.email) && dump.contains("$2b$04$"), "{dump}");
    for secret in [Person::PASSWORD, "a wrong guess of hers", "a wrong guess of his", &ada.access] {
        assert!(!dump.contains(secret), "{secret}");
    }
    for token in &tokens {
        let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
        // The MAC: what nobody can make without the servers' secret.
        let mac = &bytes[bytes.len() - 32..];
        assert!(!dump.contains(token.as_str()));
        for form in forms(&bytes).into_iter().chain(forms(mac)) {
            assert!(!dump.contains(&form), "{form}");
        }
    }
    let bridge = bridge.str("/token");
    let bytes = URL_SAFE_NO_PAD.decode(&bridge[3..]).unwrap();
    for form in forms(&bytes).iter().chain(&forms(&bytes[bytes.len() - 32..])) {
        assert!(!dump.contains(form), "{form}");
    }
    let stored = app.value("SELECT string_agg(refresh_token, ' ') FROM sessions").await;
    for stored in stored.split(' ') {
        app.refresh(stored).await.expect_problem(401, "invalid-refresh-token");
    }
    app.refresh(&tokens[0]).await.expect(200);
}

/// Criterion 42, on everything that the service can be told of a person.
#[tokio::test]
async fn a_dump_after_an_erasure_holds_nothing_of_the_person_and_all_of_their_ledger() {
    let app = TestApp::builder().set("SUBTLE_RATE_LIMIT", "on").start().await;
    let admin = app.person_of_role("admin").await;
    let program = admin.program(&app).await;
    let body = json!({
        "email": "zebulon@quagga.example", "password": Person::PASSWORD, "fullName": "Zebulon Quagga"});
    let zebulon = Person::of(&app.post("/v1/auth/register", &body).await.expect(201), Person::PASSWORD);
    app.login(&zebulon.email, "a wrong guess").await.expect(401);
    let user = format!("/v1/admin/users/{}", zebulon.id);
    let send = async |by: &Person, method: &str, path: &str, body: serde_json::Value| {
        let request = app.request(method, path).bearer_auth(&by.access);
        let request = request.header("idempotency-key", fresh_email()).header("user-agent", "Quagga/1.0");
        Answer::of(request.json(&body)).await
    };
    let id = &zebulon.id;
    send(&zebulon, "PATCH", "/v1/me", json!({"avatarUrl": "https://quagga.example/z.png"})).await.expect(200);
    send(&admin, "PATCH", &user, json!({"fullName": "Zebulon B. Quagga"})).await.expect(200);
    send(&admin, "POST", &format!("{user}/notes"), json!({"note": "Zebulon called"})).await.expect(201);
    let told =
        json!({"events": [{"userId": id, "action": "export", "data": {"to": "zebulon@quagga.example"}}]});
    send(&program, "POST", "/v1/activity", told).await.expect(200);
    let bill = json!({"userId": id, "amount": "12.50", "description": "Pro for Zebulon Quagga"});
    send(&program, "POST", "/v1/billing", bill).await.expect(201);
    let event = json!({"events": [{"userId": id, "totalTokens": 7, "totalCost": "0.1", "occurredAt": "2020-01-02T00:00:00Z"}]});
    send(&program, "POST", "/v1/usage/events", event).await.expect(200);
    send(&admin, "POST", "/v1/admin/billing/close", json!({"month": "2020-01"})).await.expect(200);
    let dump = || {
        let mut dump = Command::new(Binaries::find().unwrap().program("pg_dump"));
        let dump = dump.arg(app.database_url()).output().unwrap();
        String::from_utf8(dump.stdout).unwrap()
    };
    eventually("the timeline is written", async || {
        app.value("SELECT count(*) FROM user_activity WHERE action = 'sign_in_refused'").await == "1"
    })
    .await;
    let before = dump();
    for trace in ["zebulon@quagga.example", "Zebulon B. Quagga", "Zebulon called", "Pro for Zebulon"] {
        assert!(before.contains(trace), "{trace}");
    }
    zebulon.send(&app, "DELETE", "/v1/me").await.expect(204);
    let after = dump();
    let traces: Vec<_> = after
        .lines()
        .filter(|line| line.to_lowercase().contains("zebulon") || line.contains("uagga"))
        .collect();
    assert_eq!(traces, [""; 0]);
    let ledger = format!(
        "SELECT string_agg(concat_ws(' ', amount, description), ', ' ORDER BY amount) FROM billing_history WHERE user_id = '{id}'"
    );
    assert_eq!(app.value(&ledger).await, "0.10 Usage of 2020-01: 0.1000000000 USD, 12.50");
    assert_eq!(app.value("SELECT sum(total_tokens) FROM user_usage_metrics").await, "7");
    let verdict = app.run(&["audit", "verify"]).await;
    assert!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stderr));
}

#[tokio::test]
async fn migrations_under_load_fail_no_request() {
    let app = TestApp::builder().servers(2).start().await;
    let load = Load::start(&app, 6).await;
    // Each changes the type of what prepared statements return (0A000).
    let back_and_forth = [
        ("users", "full_name", ["varchar(300)", "text"]),
        ("users", "avatar_url", ["varchar(3000)", "text"]),
        ("sessions", "user_agent", ["varchar(600)", "text"]),
        ("sessions", "revoked_reason", ["varchar(60)", "text"]),
    ];
    let client = app.connect().await;
    for turn in 0..6 {
        for (table, column, types) in &back_and_forth {
            let alter = format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {}", types[turn % 2]);
            client.batch_execute(&alter).await.unwrap();
            load.more(2).await;
        }
    }
    let done = load.stop().await;
    println!("24 migrations: {done}");
    done.all_served();
    let people = join_all((0..8).map(|_| app.person())).await;
    join_all(people.iter().map(async |person| person.send_to(&app, 1, "GET", "/v1/me").await.expect(200)))
        .await;
}
