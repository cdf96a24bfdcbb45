use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Person, Raw, TestApp, eventually, fresh_email};

/// Waits until the log tells of the answer to the request of that identifier.
async fn logged(app: &TestApp, id: &str) -> Vec<String> {
    let told = |line: &String| line.contains(&format!("\"{id}\"")) && line.contains("\"answered\"");
    eventually("the request's line in the log", async || app.server(0).log().iter().any(told)).await;
    app.server(0).log()
}

#[tokio::test]
async fn whatever_clients_send_each_line_of_the_log_is_one_json_object() {
    let app = TestApp::builder().set("SUBTLE_LOG", "debug").start().await;
    let harmful = "x\r\n{\"level\":\"ERROR\"}\u{1b}[31m\u{2028}\u{85}\u{202e}";
    let bodies = [
        json!({"email": format!("{harmful}@example.com"), "password": Person::PASSWORD}),
        json!({"email": fresh_email(), "password": Person::PASSWORD, "fullName": harmful}),
        json!({"email": fresh_email(), "password": Person::PASSWORD, harmful: 1}),
    ];
    for body in &bodies {
        app.post("/v1/auth/register", body).await.expect(422);
        app.post("/v1/auth/login", body).await.expect(422);
    }
    // Line breaks and ESC end in no header that HTTP takes; tabs and the one-character CSI do.
    for raw in ["\u{1b}[31m", "a\r\n\u{1b}b", "a\rb"] {
        let mut connection = Raw::open(&app).await;
        let head = "GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
        connection.send(format!("{head}User-Agent: {raw}\r\n\r\n")).await;
        let (answer, _) = connection.read_to_end(Duration::from_secs(5)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{raw:?}: {answer}");
    }
    let ada = app.person().await;
    let agent = "evil\t{\"level\":\"ERROR\"} \u{9b}31m\u{85}";
    for (password, status) in [("something else", 401), (Person::PASSWORD, 200)] {
        let request = app.request("POST", "/v1/auth/login").header("user-agent", agent.as_bytes());
        let request = request.header("x-request-id", "a\tb");
        let login = json!({"email": ada.email, "password": password});
        let answer = Answer::of(request.json(&login)).await.expect(status);
        if status == 200 {
            assert_eq!(answer.str("/session/userAgent"), "evil{\"level\":\"ERROR\"} 31m");
        }
    }
    app.get("/%0d%0a%7B%22level%22:%22ERROR%22%7D%1b%5b31m").await.expect(404);
    app.get("/%E2%80%A8%C2%85%E2%80%AE").await.expect(404);
    Answer::of(app.request("GET", "/last").header("x-request-id", "the-last")).await.expect(404);
    let log = logged(&app, "the-last").await;
    assert!(log.iter().filter(|line| line.contains("\"answered\"")).count() >= 10, "{log:#?}");
    for line in log {
        let parsed: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(parsed["timestamp"].is_string() && parsed["level"] != "ERROR", "{line}");
        assert!(!line.chars().any(|c| c.is_control() || "\u{2028}\u{202e}".contains(c)), "{line:?}");
    }
}

#[tokio::test]
async fn a_request_leaves_a_line_with_its_identifier_method_path_and_status() {
    let app = TestApp::start().await;
    Answer::of(app.request("PUT", "/v1/me?secret=1").header("x-request-id", "here-i-am")).await.expect(405);
    let log = logged(&app, "here-i-am").await;
    let line = log.iter().find(|line| line.contains("here-i-am")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let told = (&line["method"], &line["path"], &line["status"], &line["level"]);
    assert_eq!(told, (&json!("PUT"), &json!("/v1/me"), &json!(405), &json!("INFO")));
    assert!(!log.concat().contains("secret"), "queries are not logged");
}

#[tokio::test]
async fn no_secret_is_in_the_log_even_if_it_tells_everything() {
    let app = TestApp::builder().set("SUBTLE_LOG", "trace").start().await;
    let ada = app.person().await;
    let phone = ada.sign_in(&app).await;
    let renewed = Person::of(&app.refresh(&phone.refresh).await.expect(200), Person::PASSWORD);
    let wrong = "a guess that is wrong";
    app.login(&ada.email, wrong).await.expect(401);
    app.login(&format!("{}\r\n", ada.email), wrong).await.expect(422);
    app.post("/v1/auth/login", &json!({"email": ada.email, "password": 12, "pass": wrong})).await.expect(422);
    let change = json!({"currentPassword": wrong, "newPassword": "another secret 9"});
    ada.send_json(&app, "POST", "/v1/me/password", &change).await.expect(403);
    let change = json!({"currentPassword": ada.password, "newPassword": "another secret 9"});
    ada.send_json(&app, "POST", "/v1/me/password", &change).await.expect(204);
    let forged = Person { access: format!("{}x", ada.access), ..ada.clone() };
    forged.send(&app, "GET", "/v1/me").await.expect(401);
    app.refresh(&format!("{}x", ada.refresh)).await.expect(401);
    app.refresh(&phone.refresh).await.expect(401);
    app.post("/v1/auth/logout", &json!({"refreshToken": renewed.refresh})).await.expect(204);
    app.sql("UPDATE sessions SET salt = salt").await;
    let stored = app.connect().await;
    let stored = stored
        .query("SELECT password_hash FROM users UNION ALL SELECT refresh_token FROM sessions", &[])
        .await
        .unwrap();
    let stored = stored.iter().map(|row| row.get::<_, String>(0));
    Answer::of(app.request("GET", "/last").header("x-request-id", "the-last")).await.expect(404);
    let log = logged(&app, "the-last").await;
    let tokens = [&ada, &phone, &renewed].into_iter().flat_map(|person| {
        let signature = person.access.rsplit('.').next().unwrap().to_owned();
        [person.access.clone(), signature, person.refresh.clone()]
    });
    let passwords = [Person::PASSWORD, wrong, "another secret 9", TestApp::SECRET].map(str::to_owned);
    for secret in tokens.chain(passwords).chain(stored) {
        let line = log.iter().find(|line| line.contains(&secret));
        assert!(line.is_none(), "{secret} in {}", line.unwrap());
    }
    assert!(log.iter().any(|line| line.contains("\"TRACE\"") || line.contains("\"DEBUG\"")), "{log:#?}");
}
