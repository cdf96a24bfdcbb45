//! What a Mac app does with a bridge token: signs in by it once, then follows its person's sync log for as long as the session lives,
//! whichever servers are restarted meanwhile.
//!
//! ```sh
//! cargo run --example mac_app -- http://127.0.0.1:8080 http://127.0.0.1:8081
//! ```
//!
//! The token is read from the input, and the code verifier after it on the same line, if there is one: a command line is seen by
//! every user of the machine. Of several servers the next is asked when one does not answer.

#![expect(clippy::indexing_slicing, reason = "what a JSON value does not have is null")]

use std::error::Error;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

/// How long to wait before a server is asked again, until one says how long.
const PAUSE: Duration = Duration::from_secs(1);
/// A stream says that it lives every 15 seconds. Who hears nothing for longer comes back.
const SILENCE: Duration = Duration::from_secs(45);

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let servers: Vec<String> = std::env::args().skip(1).collect();
    if servers.is_empty() {
        return Err("which server? http://127.0.0.1:8080".into());
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let token = words.next().ok_or("the bridge token is read from the input")?;
    let http = Client::builder().connect_timeout(Duration::from_secs(3)).read_timeout(SILENCE).build()?;
    let mut app =
        App { http, servers, access: String::new(), refresh: String::new(), place: None, pause: PAUSE };
    let session = app.redeem(token, words.next()).await?;
    println!("signed in as {}, handed over: {}", session["user"]["email"], session["sessionData"]);
    app.follow().await
}

struct App {
    http: Client,
    servers: Vec<String>,
    access: String,
    refresh: String,
    /// The place of the last event that was seen: an app that is to outlive its process keeps it on disk with the event's effect.
    place: Option<String>,
    pause: Duration,
}

impl App {
    async fn redeem(&mut self, token: &str, verifier: Option<&str>) -> Outcome<Value> {
        let session =
            self.post("/v1/bridge-tokens/redeem", json!({"token": token, "codeVerifier": verifier}));
        let session = session.await?;
        self.keep(&session)?;
        Ok(session)
    }

    /// Follows until the session is over.
    async fn follow(&mut self) -> Outcome<()> {
        loop {
            match self.open().await {
                Ok(stream) if stream.status() == StatusCode::OK => {
                    if let Err(error) = self.read(stream).await {
                        eprintln!("the stream broke: {error}");
                    }
                }
                // The access token has expired. If the session is over too, this ends with the server's reason.
                Ok(refused) if refused.status() == StatusCode::UNAUTHORIZED => match self.renew().await? {
                    // At once, where it was given: it may not live for long.
                    None => continue,
                    Some(why) => eprintln!("{why}"),
                },
                Ok(other) => eprintln!("not now: {}", other.status()),
                Err(error) => eprintln!("no answer: {error}"),
            }
            self.servers.rotate_left(1);
            tokio::time::sleep(self.pause).await;
        }
    }

    async fn open(&self) -> reqwest::Result<Response> {
        let request = self.http.get(format!("{}/v1/sync/stream", self.server())).bearer_auth(&self.access);
        let place = self.place.iter();
        place.fold(request, |request, place| request.header("last-event-id", place)).send().await
    }

    /// Reads messages until the stream ends: fields in lines, a blank line after each message.
    async fn read(&mut self, mut stream: Response) -> Outcome<()> {
        let mut unread = Vec::new();
        while let Some(chunk) = stream.chunk().await? {
            unread.extend_from_slice(&chunk);
            while let Some(end) = unread.windows(2).position(|pair| pair == b"\n\n") {
                let message: Vec<u8> = unread.drain(..end + 2).collect();
                self.take(str::from_utf8(&message)?)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, message: &str) -> Outcome<()> {
        let field = |name| message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        if let Some(data) = field("data") {
            let event: Value = serde_json::from_str(data)?;
            println!(
                "{}: {} of {}: {}",
                event["place"], event["eventType"], event["eventSource"], event["data"]
            );
        }
        if let Some(retry) = field("retry") {
            self.pause = Duration::from_millis(retry.parse()?);
        }
        // After its effect: what was not done is sent again.
        self.place = field("id").map(str::to_owned).or(self.place.take());
        Ok(())
    }

    /// Gets the next tokens; or tells why not yet. A refresh token whose answer was lost may be shown again.
    async fn renew(&mut self) -> Outcome<Option<String>> {
        match self.post("/v1/auth/refresh", json!({"refreshToken": self.refresh})).await {
            Ok(session) => self.keep(&session).map(|()| None),
            Err(Failed::Refused(why)) => Err(why.into()),
            Err(Failed::Unanswered(why)) => Ok(Some(why)),
        }
    }

    fn keep(&mut self, session: &Value) -> Outcome<()> {
        let token = |name: &str| session[name].as_str().map(str::to_owned).ok_or(format!("no {name}"));
        (self.access, self.refresh) = (token("accessToken")?, token("refreshToken")?);
        Ok(())
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Failed> {
        let unanswered = |error: reqwest::Error| Failed::Unanswered(error.to_string());
        let answer = self.http.post(format!("{}{path}", self.server())).json(&body).send().await;
        let answer = answer.map_err(unanswered)?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(unanswered)?;
        let why = || body["detail"].as_str().unwrap_or_default().to_owned();
        match status {
            status if status.is_success() => Ok(body),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Failed::Unanswered(why()))
            }
            _ => Err(Failed::Refused(why())),
        }
    }

    fn server(&self) -> &str {
        self.servers.first().map(String::as_str).unwrap_or_default()
    }
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Unanswered(String),
}
