use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{TestApp, eventually};

/// What a mail server heard, line by line.
type Heard = Arc<Mutex<Vec<String>>>;

/// A mail server on loopback that takes no recipient at first, as one that greylists; its URL.
async fn greylisting(heard: &Heard) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let heard = Arc::clone(heard);
    tokio::spawn(async move {
        let mut answer_to_recipient = "451 4.7.1 come back later";
        while let Ok((stream, _)) = listener.accept().await {
            converse(stream, answer_to_recipient, &heard).await;
            answer_to_recipient = "250 ok";
        }
    });
    url
}

async fn converse(stream: TcpStream, answer_to_recipient: &str, heard: &Heard) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut answer = "220 mail.test ESMTP";
    let mut in_data = false;
    loop {
        if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() || answer.starts_with("221") {
            return;
        }
        let line = loop {
            let Ok(Some(line)) = lines.next_line().await else { return };
            heard.lock().unwrap().push(line.clone());
            if !in_data || line == "." {
                break line;
            }
        };
        in_data = line == "DATA";
        answer = match line.get(..4).unwrap_or(&line) {
            "EHLO" => "250 mail.test",
            "RCPT" => answer_to_recipient,
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
    }
}

#[tokio::test]
async fn a_mail_server_that_says_later_is_asked_again_and_gets_the_letter_once() {
    let heard = Heard::default();
    let url = greylisting(&heard).await;
    let app = TestApp::builder()
        .set("SUBTLE_SMTP_URL", &url)
        .set("SUBTLE_PUBLIC_URL", "https://accounts.example.com")
        .set("SUBTLE_MAIL_FROM", "Subtle <no-reply@example.com>")
        .servers(2)
        .start()
        .await;
    let ada = app.person().await;
    let put_off = "SELECT last_error || ' ' || (due_at BETWEEN now() AND now() + interval '5 seconds') FROM mail_outbox";
    eventually("it is put off", async || app.value(put_off).await == "the mail server answered 451 true")
        .await;
    app.sql("UPDATE mail_outbox SET due_at = now()").await;
    app.await_post().await;
    let heard = heard.lock().unwrap().join("\n");
    for part in [
        "MAIL FROM:<no-reply@example.com>",
        &format!("RCPT TO:<{}>", ada.email),
        "From: Subtle <no-reply@example.com>",
        "https://accounts.example.com/verify-email?token=",
    ] {
        assert!(heard.contains(part), "{part} in {heard}");
    }
    assert_eq!(heard.matches("\nDATA").count(), 1, "{heard}");
    assert!(app.letters().is_empty());
}
