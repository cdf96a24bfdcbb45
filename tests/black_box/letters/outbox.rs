use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::support::{Person, TestApp, eventually};

#[tokio::test]
async fn letters_are_whole_messages_for_the_owner_of_the_folder_alone() {
    let app = TestApp::builder().set("SUBTLE_PUBLIC_URL", "https://accounts.example.com/").start().await;
    let ada = app.person().await;
    let letter = app.letter("verify_email", &ada.email).await;
    for part in [
        "From: no-reply@accounts.example.com",
        "Message-ID: <",
        "Date: ",
        "multipart/alternative",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Type: text/html; charset=utf-8",
        "https://accounts.example.com/verify-email?token=",
    ] {
        assert!(letter.text.contains(part), "{part} in {}", letter.text);
    }
    for file in std::fs::read_dir(app.mail_dir()).unwrap() {
        assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_dump_holds_no_token_and_of_letters_that_were_sent_nothing() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    app.post("/v1/auth/password-reset", &json!({"email": ada.email})).await.expect(202);
    let letters = [
        app.letter("verify_email", &ada.email).await.token(),
        app.letter("reset_password", &ada.email).await.token(),
    ];
    app.await_post().await;
    let dump = "SELECT jsonb_build_array((SELECT jsonb_agg(to_jsonb(t)) FROM one_time_tokens t),
                                         (SELECT jsonb_agg(to_jsonb(m)) FROM mail_outbox m),
                                         (SELECT jsonb_agg(to_jsonb(r)) FROM mail_requests r))";
    let dump = app.value(dump).await;
    assert!(dump.contains("reset_password"), "{dump}");
    for token in letters {
        assert!(!dump.contains(&token), "{dump}");
    }
    assert_eq!(app.value("SELECT count(*) FROM mail_outbox").await, "0");
}

#[tokio::test]
async fn neither_token_nor_address_is_in_the_log_even_if_it_tells_everything() {
    let app = TestApp::builder().set("SUBTLE_LOG", "trace,tokio_postgres=info,diesel=info").start().await;
    let ada = app.person().await;
    let token = app.letter("verify_email", &ada.email).await.token();
    app.post("/v1/auth/verify-email", &json!({"token": token})).await.expect(204);
    app.post("/v1/auth/password-reset", &json!({"email": ada.email})).await.expect(202);
    let reset = app.letter("reset_password", &ada.email).await.token();
    let body = json!({"token": reset, "newPassword": "another secret 9"});
    app.post("/v1/auth/password-reset/confirm", &body).await.expect(204);
    app.letter("password_changed", &ada.email).await;
    let log = app.server(0).log().concat();
    assert!(log.contains("a letter was sent"), "{log}");
    for secret in [&token, &reset, &ada.email] {
        assert!(!log.contains(secret.as_str()), "{secret}");
    }
}

#[tokio::test]
async fn what_a_killed_server_did_not_send_the_next_one_does() {
    let mut app = TestApp::start().await;
    // In the place of the folder: nothing can be sent.
    std::fs::create_dir_all(app.mail_dir().parent().unwrap()).unwrap();
    std::fs::write(app.mail_dir(), "").unwrap();
    let ada = app.person().await;
    let told = "SELECT count(*) FROM mail_outbox WHERE tries > 0";
    eventually("it was tried", async || app.value(told).await == "1").await;
    app.server_mut(0).kill();
    std::fs::remove_file(app.mail_dir()).unwrap();
    // The letter's time comes again, whatever became of the try.
    app.sql("UPDATE mail_outbox SET due_at = now()").await;
    app.add_server();
    let letter = app.letter("verify_email", &ada.email).await;
    let body = json!({"token": letter.token()});
    let request = app.client.post(app.url_of(1, "/v1/auth/verify-email")).json(&body);
    crate::support::Answer::of(request).await.expect(204);
}

#[tokio::test]
async fn a_letter_that_cannot_be_sent_is_put_off_and_at_last_given_up_where_it_can_be_seen() {
    let app = TestApp::builder().set("SUBTLE_MAIL_DIR", "/dev/null/mail").start().await;
    let ada = app.person().await;
    let told = "SELECT last_error IS NOT NULL AND due_at > now() FROM mail_outbox";
    eventually("a try that failed", async || app.value(told).await == "true").await;
    assert!(app.value("SELECT recipient FROM mail_outbox").await == ada.email);
    app.sql("UPDATE mail_outbox SET tries = 6, due_at = now()").await;
    let state = "SELECT state || ' ' || tries || ' ' || (recipient IS NULL) FROM mail_outbox";
    eventually("it is given up", async || app.value(state).await == "failed 7 true").await;
    eventually("it is in the log", async || {
        let log = app.server(0).log();
        log.iter().any(|line| line.contains("ERROR") && line.contains("a letter was given up"))
    })
    .await;
}

#[tokio::test]
async fn who_is_erased_leaves_no_letter_no_token_and_no_wish() {
    let app = TestApp::builder().set("SUBTLE_MAIL_DIR", "/dev/null/mail").start().await;
    let ada = app.person().await;
    let body = json!({"newEmail": "ada@new.example", "currentPassword": Person::PASSWORD});
    ada.send_json(&app, "POST", "/v1/me/email", &body).await.expect(202);
    assert_ne!(app.value("SELECT count(*) FROM mail_outbox").await, "0");
    ada.send(&app, "DELETE", "/v1/me").await.expect(204);
    for table in ["mail_outbox", "one_time_tokens", "mail_requests"] {
        assert_eq!(app.value(&format!("SELECT count(*) FROM {table}")).await, "0", "{table}");
    }
}

#[tokio::test]
async fn nobody_floods_a_mailbox_by_asking() {
    let app = TestApp::builder()
        .set("SUBTLE_RATE_LIMIT", "on")
        .set("SUBTLE_LIMIT_LETTERS_BY_RECIPIENT", "2/1h")
        .set("SUBTLE_LIMIT_LETTERS_BY_ADDRESS", "5/1h")
        .start()
        .await;
    let ada = app.person().await;
    let wish = json!({"email": ada.email});
    for _ in 0..5 {
        app.post("/v1/auth/password-reset", &wish).await.expect(202);
        app.await_post().await;
        super::a_minute_later(&app).await;
    }
    assert_eq!(app.letters_to("reset_password", &ada.email).len(), 2);
    app.post("/v1/auth/password-reset", &wish).await.expect_problem(429, "too-many-requests");
}
