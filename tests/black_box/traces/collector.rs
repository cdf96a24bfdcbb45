use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The answer of a collector to which all is welcome.
pub(super) const TAKEN: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
/// No answer, on a connection that stays open.
pub(super) const MUTE: &str = "";

/// A collector of traces on loopback.
pub(super) struct Collector {
    pub(super) url: String,
    answer: Arc<Mutex<String>>,
    heard: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    /// One that gives that answer to everything.
    pub(super) async fn start(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self { url, answer: Arc::new(Mutex::new(answer.to_owned())), heard: Arc::default() };
        let (answer, heard) = (Arc::clone(&collector.answer), Arc::clone(&collector.heard));
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut connection, _)) = listener.accept().await {
                let Some(body) = read(&mut connection).await else { continue };
                heard.lock().unwrap().push(body);
                let answer = answer.lock().unwrap().clone();
                let _gone = connection.write_all(answer.as_bytes()).await;
                if answer == MUTE {
                    open.push(connection);
                }
            }
        });
        collector
    }

    /// Answers so from now on.
    pub(super) fn answer(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock().unwrap());
    }

    /// What was sent, taken or not.
    pub(super) fn bodies(&self) -> Vec<Value> {
        self.heard.lock().unwrap().clone()
    }

    /// The spans in it.
    pub(super) fn spans(&self) -> Vec<Value> {
        let spans =
            |body: Value| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
        self.bodies().into_iter().flat_map(spans).collect()
    }

    /// The first span of that name.
    pub(super) fn span(&self, name: &str) -> Option<Value> {
        self.spans().into_iter().find(|span| span["name"] == name)
    }
}

/// Reads a POST of traces; `None` if it ended before its end.
async fn read(connection: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nContent-Type: application/json\r\n"), "{head}");
        let length = head.split("Content-Length: ").nth(1).unwrap().lines().next().unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            return Some(serde_json::from_str(body).unwrap());
        }
    }
}
