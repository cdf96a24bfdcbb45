use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

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

/// A mail server on loopback that speaks TLS from the first byte, with a certificate that nobody trusts but who is told to; its URL.
async fn over_tls(heard: &Heard) -> String {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/key.pem")).unwrap();
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::clone(heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                converse(stream, "250 ok", &heard).await;
            }
        }
    });
    format!("smtps://ada:hunter2@127.0.0.1:{port}")
}

async fn converse(stream: impl AsyncRead + AsyncWrite, answer_to_recipient: &str, heard: &Heard) {
    let (read, mut write) = tokio::io::split(stream);
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
            "EHLO" => "250-mail.test\r\n250 AUTH PLAIN",
            "AUTH" => "235 welcome",
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

#[tokio::test]
async fn over_tls_a_letter_goes_to_a_server_that_is_trusted_and_to_no_other() {
    let heard = Heard::default();
    let url = over_tls(&heard).await;
    let trusting = concat!(env!("CARGO_MANIFEST_DIR"), "/black_box/letters/tls/certificate.pem");
    let app = TestApp::builder().set("SUBTLE_SMTP_URL", &url).set("SSL_CERT_FILE", trusting).start().await;
    let ada = app.person().await;
    app.await_post().await;
    let told = heard.lock().unwrap().join("\n");
    // NUL ada NUL hunter2 in base64 (RFC 4616).
    for part in ["AUTH PLAIN AGFkYQBodW50ZXIy", &format!("RCPT TO:<{}>", ada.email), "verify-email?token="] {
        assert!(told.contains(part), "{part} in {told}");
    }
    heard.lock().unwrap().clear();
    let app = TestApp::builder().set("SUBTLE_SMTP_URL", &url).start().await;
    app.person().await;
    let why = "SELECT last_error FROM mail_outbox";
    eventually("it is put off", async || !app.value(why).await.is_empty()).await;
    assert_eq!(app.value(why).await, "there is no TLS with the mail server that could be trusted");
    assert!(heard.lock().unwrap().is_empty(), "nothing was said");
}
