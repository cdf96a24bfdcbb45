use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::TestApp;

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The body, `null` if it is none or no JSON.
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    /// Sends a request and reads the whole answer; of a stream without an end, the beginning.
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        Self::try_of(request).await.unwrap()
    }

    /// Likewise; an error if the connection broke.
    pub(crate) async fn try_of(request: reqwest::RequestBuilder) -> reqwest::Result<Self> {
        let mut response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if headers.get("content-type").is_some_and(|kind| kind == "text/event-stream") {
            let text = String::from_utf8_lossy(&response.chunk().await?.unwrap_or_default()).into_owned();
            return Ok(Self { status, headers, body: Value::Null, text });
        }
        let text = response.text().await?;
        Ok(Self { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text })
    }

    /// Asks again while the service is busy, for a minute: of a crowd at one account a slow machine sends some away, and not one of
    /// these has done anything.
    pub(crate) async fn once_served(request: reqwest::RequestBuilder) -> Self {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let answer = Self::of(request.try_clone().unwrap()).await;
            if answer.body["type"] != "urn:subtle:problem:busy" || Instant::now() > deadline {
                return answer;
            }
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks the status, and that an error is a complete problem document.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        if status >= 400 {
            assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
            assert_eq!(self.body["status"], status, "{}", self.text);
            for field in ["type", "title", "detail", "requestId"] {
                assert!(
                    self.body[field].as_str().is_some_and(|text| !text.is_empty()),
                    "{field}: {}",
                    self.text
                );
            }
            assert_eq!(self.body["requestId"], self.header("x-request-id"), "{}", self.text);
        }
        self
    }

    /// Checks that this is the problem of that name.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, name: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.body["type"], format!("urn:subtle:problem:{name}"), "{}", answer.text);
        answer
    }

    /// A text in the body, by its pointer (RFC 6901).
    #[track_caller]
    pub(crate) fn str(&self, pointer: &str) -> &str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer}: {}", self.text))
    }
}

/// A connection on which anything can be said.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn open(app: &TestApp) -> Self {
        Self(TcpStream::connect(app.server(0).address()).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// As [`Self::send`], but the server may stop listening meanwhile.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _refused = self.0.write_all(bytes.as_ref()).await;
    }

    /// Closes it with a reset: unlike a plain close, which may only mean that nothing more is asked, it says that nobody reads.
    pub(crate) fn hang_up(self) {
        self.0.set_zero_linger().unwrap();
    }

    /// One answer with a `Content-Length`, on a connection that stays open.
    pub(crate) async fn read_answer(&mut self) -> String {
        let mut text = Vec::new();
        loop {
            let mut buffer = [0; 4096];
            let read = self.0.read(&mut buffer).await.unwrap();
            assert!(read > 0, "closed after {}", String::from_utf8_lossy(&text));
            text.extend_from_slice(&buffer[..read]);
            let said = String::from_utf8_lossy(&text);
            if let Some((head, body)) = said.split_once("\r\n\r\n") {
                let head = head.to_ascii_lowercase();
                let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    return said.into_owned();
                }
            }
        }
    }

    /// Sends a text again and again, and reads nothing: how much was sent and how long it took until the server closed; `None` if it
    /// is still open after `patience`.
    pub(crate) async fn flood(&mut self, text: &str, patience: Duration) -> Option<(usize, Duration)> {
        let (begun, mut sent) = (Instant::now(), 0);
        let sending = async {
            while let Ok(bytes) = self.0.write(text.as_bytes()).await {
                sent += bytes;
            }
        };
        tokio::time::timeout(patience, sending).await.ok().map(|()| (sent, begun.elapsed()))
    }

    /// Sends a byte again and again, and gives what [`Self::read_to_end`] does.
    pub(crate) async fn trickle(&mut self, byte: u8, patience: Duration) -> Option<(String, Duration)> {
        let (reader, mut writer) = self.0.split();
        let drops = async {
            while writer.write_all(&[byte]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            end = until_closed(reader, patience) => end,
            () = drops => None,
        }
    }

    /// All that comes until the server closes, and how long that took; `None` if it is still open after `patience`.
    pub(crate) async fn read_to_end(&mut self, patience: Duration) -> Option<(String, Duration)> {
        until_closed(&mut self.0, patience).await
    }
}

async fn until_closed(
    mut reader: impl tokio::io::AsyncRead + Unpin,
    patience: Duration,
) -> Option<(String, Duration)> {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(patience, reader.read_to_end(&mut bytes)).await;
    read.ok().map(|_end_or_reset| (String::from_utf8_lossy(&bytes).into_owned(), begun.elapsed()))
}

/// Asks again until the answer is yes; panics after ten seconds.
pub(crate) async fn eventually(what: &str, mut asked: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !asked().await {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
