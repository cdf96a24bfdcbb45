use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use subtle_domain::letter::LetterKind;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::compose::tests::{composer, letter, token};

/// A mail server on loopback that speaks as RFC 5321 says, and keeps what it hears.
struct Server {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// One that offers these extensions, and gives these answers to the next recipients before it takes one.
    async fn start(extensions: &'static [&'static str], refusals: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let refusals = Arc::new(Mutex::new(VecDeque::from(refusals.to_vec())));
        let kept = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, extensions, Arc::clone(&refusals), Arc::clone(&kept)));
            }
        });
        Self { port, heard }
    }

    fn mailer(&self, credentials: &str, query: &str) -> SmtpMailer {
        let url = format!("smtp://{credentials}127.0.0.1:{}{query}", self.port);
        SmtpMailer::new(composer(), SmtpServer::parse(&url).unwrap())
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap().join("\n")
    }
}

async fn converse(
    stream: TcpStream,
    extensions: &[&str],
    refusals: Arc<Mutex<VecDeque<&'static str>>>,
    heard: Arc<Mutex<Vec<String>>>,
) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 mail.test ESMTP\r\n").await.unwrap();
    let mut in_data = false;
    while let Ok(Some(line)) = lines.next_line().await {
        heard.lock().unwrap().push(line.clone());
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match (in_data, verb.as_str()) {
            (true, _) if line == "." => {
                in_data = false;
                "250 queued".to_owned()
            }
            (true, _) => continue,
            (_, "EHLO") => {
                let all: Vec<_> = ["mail.test"].iter().chain(extensions).collect();
                let last = all.len() - 1;
                let line = |(at, text)| format!("250{}{text}", if at == last { ' ' } else { '-' });
                all.into_iter().enumerate().map(line).collect::<Vec<_>>().join("\r\n")
            }
            (_, "RCPT") => refusals.lock().unwrap().pop_front().unwrap_or("250 ok").to_owned(),
            (_, "DATA") => {
                in_data = true;
                "354 go on".to_owned()
            }
            (_, "AUTH") => "235 welcome".to_owned(),
            (_, "QUIT") => "221 bye".to_owned(),
            _ => "250 ok".to_owned(),
        };
        if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn send(mailer: &SmtpMailer) -> Result<(), NotSent> {
    mailer.send(&letter(LetterKind::VerifyEmail), Some(&token())).await
}

#[tokio::test]
async fn a_letter_is_handed_over_after_a_refusal_for_now() {
    let server = Server::start(&["8BITMIME"], &["451 greylisted, <o'brien> come back"]).await;
    let mailer = server.mailer("", "");
    assert_eq!(send(&mailer).await, Err(NotSent::Yet("the mail server answered 451".to_owned())));
    send(&mailer).await.unwrap();
    let heard = server.heard();
    for part in [
        "EHLO example.com",
        "MAIL FROM:<no-reply@example.com>",
        "RCPT TO:<o'brien+x@xn--bcher-kva.example>",
        "Message-ID: <m1@example.com>",
        "https://accounts.example.com/verify-email?token=abc_DEF-123",
    ] {
        assert!(heard.contains(part), "{part} in {heard}");
    }
    assert_eq!(heard.matches("\nDATA").count(), 1, "{heard}");
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_is_no_reason_to_try_again() {
    let server = Server::start(&[], &["550 5.1.1 <o'brien> unknown", "554 5.7.1 not today"]).await;
    let mailer = server.mailer("", "");
    assert_eq!(send(&mailer).await, Err(NotSent::Ever("the mail server answered 550".to_owned())));
    assert_eq!(send(&mailer).await, Err(NotSent::Yet("the mail server answered 554".to_owned())));
}

#[tokio::test]
async fn a_password_never_goes_over_a_line_that_others_may_read() {
    let server = Server::start(&["AUTH PLAIN LOGIN"], &[]).await;
    let refused = send(&server.mailer("ada:hunter2@", "")).await;
    assert!(matches!(&refused, Err(NotSent::Yet(why)) if why.contains("STARTTLS")), "{refused:?}");
    assert!(!server.heard().contains("AUTH") && !server.heard().contains("MAIL"), "{}", server.heard());
}

#[tokio::test]
async fn on_this_machine_a_password_may_be_sent_as_it_is() {
    let server = Server::start(&["AUTH PLAIN"], &[]).await;
    send(&server.mailer("ada:hunter2@", "?tls=none")).await.unwrap();
    // NUL ada NUL hunter2 in base64 (RFC 4616).
    assert!(server.heard().contains("AUTH PLAIN AGFkYQBodW50ZXIy"), "{}", server.heard());
}

#[tokio::test]
async fn starttls_with_a_server_that_nobody_vouches_for_is_given_up() {
    let server = Server::start(&["STARTTLS"], &[]).await;
    let refused = send(&server.mailer("", "?tls=required")).await;
    assert!(matches!(refused, Err(NotSent::Yet(_))), "{refused:?}");
    let heard = server.heard();
    assert!(heard.contains("STARTTLS") && !heard.contains("MAIL FROM"), "{heard}");
}

#[tokio::test]
async fn a_server_that_is_not_there_puts_the_letter_off() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let server = SmtpServer::parse(&format!("smtp://127.0.0.1:{nobody}")).unwrap();
    let mailer = SmtpMailer::new(composer(), server);
    assert_eq!(send(&mailer).await, Err(NotSent::Yet("the mail server could not be reached".to_owned())));
}

#[test]
fn tls_is_as_the_url_says_and_demanded_where_there_is_a_password() {
    for (url, meant) in [
        ("smtps://u:p@mail.example", "smtps://u:p@mail.example"),
        ("smtp://mail.example", "smtp://mail.example?tls=opportunistic"),
        ("smtp://u:p@mail.example:587", "smtp://u:p@mail.example:587?tls=required"),
        ("smtp://u:p@mail.example?tls=opportunistic", "smtp://u:p@mail.example?tls=opportunistic"),
        ("smtp://mail.example?tls=none", "smtp://mail.example"),
        ("smtp://u:p@localhost:25?tls=none", "smtp://u:p@localhost:25"),
        ("smtp://u:p@[::1]:25?tls=none", "smtp://u:p@[::1]:25"),
    ] {
        assert_eq!(with_tls(url).unwrap(), meant, "{url}");
    }
    assert_eq!(with_tls("smtp://u:p@mail.example?tls=none"), Err(InvalidSmtpUrl::Exposed));
    assert_eq!(with_tls("smtp://mail.example?tls=off"), Err(InvalidSmtpUrl::Unfit));
}

#[test]
fn neither_an_unfit_url_nor_a_mailer_shows_a_password() {
    for url in ["smtps://", "smtp://u:hunter2@:x", "imap://u:hunter2@h"] {
        let refused = SmtpServer::parse(url).unwrap_err();
        assert!(!refused.to_string().contains("hunter2"), "{url}");
    }
    let server = SmtpServer::parse("smtps://u:hunter2@mail.example").unwrap();
    assert_eq!(format!("{server:?}"), "SmtpServer(…)");
    assert_eq!(format!("{:?}", SmtpMailer::new(composer(), server)), "SmtpMailer(…)");
}
