use std::time::Duration;

use serde_json::Value;

use super::{Answer, Person, TestApp};

/// Longest wait for something that must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stream of server-sent events that somebody follows.
pub(crate) struct EventStream {
    response: reqwest::Response,
    text: String,
    /// The last `id` that came: where to go on.
    pub(crate) last: String,
}

/// What stands between two blank lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) id: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) retry: Option<String>,
}

impl EventStream {
    /// Follows somebody's log on the server of that number, behind a place or from now on, once the stream has begun.
    pub(crate) async fn open(app: &TestApp, server: usize, person: &Person, last: Option<&str>) -> Self {
        let request = app.client.get(app.url_of(server, "/v1/sync/stream")).bearer_auth(&person.access);
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        Self::try_open(request).await.unwrap()
    }

    /// The stream that a request opens; `None` if no server has one to give or the connection breaks.
    pub(crate) async fn try_open(request: reqwest::RequestBuilder) -> Option<Self> {
        let response = request.send().await.ok()?;
        if response.status() == 503 {
            return None;
        }
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Self { response, text: String::new(), last: String::new() };
        let greeting = stream.block().await?;
        assert_eq!((greeting.retry.as_deref(), &greeting.data), (Some("1000"), &None));
        Some(stream)
    }

    /// What comes next; `None` if the stream has ended or broken.
    pub(crate) async fn block(&mut self) -> Option<Block> {
        loop {
            if let Some((block, _)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                let mut parsed = Block::default();
                for line in block.lines() {
                    let (name, value) = line.split_once(':').unwrap();
                    let value = Some(value.trim_start().to_owned());
                    match name {
                        "id" => parsed.id = value,
                        "data" => parsed.data = value,
                        "retry" => parsed.retry = value,
                        name => assert_eq!(name, "", "{block}"),
                    }
                }
                self.text.drain(..block.len() + 2);
                self.last = parsed.id.clone().unwrap_or(std::mem::take(&mut self.last));
                return Some(parsed);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("nothing comes after {}", self.last));
            self.text.push_str(str::from_utf8(&chunk.ok()??).unwrap());
        }
    }

    /// The next event; `None` if the stream has ended or broken.
    pub(crate) async fn event(&mut self) -> Option<Value> {
        loop {
            let block = self.block().await?;
            let Some(data) = block.data else { continue };
            let event: Value = serde_json::from_str(&data).unwrap();
            assert_eq!(event["place"], self.last);
            return Some(event);
        }
    }

    /// The places of the next so many events.
    pub(crate) async fn places(&mut self, many: usize) -> Vec<u64> {
        let mut places = Vec::new();
        while places.len() < many {
            let event = self.event().await.unwrap_or_else(|| panic!("ended after {}", self.last));
            places.push(event["place"].as_str().unwrap().parse().unwrap());
        }
        places
    }

    /// Waits for the end.
    pub(crate) async fn end(mut self) {
        while self.block().await.is_some() {}
    }
}

impl Person {
    /// Tells their other apps something, by the server of that number.
    pub(crate) async fn tell(&self, app: &TestApp, server: usize, data: &Value) -> Answer {
        let request = app.client.post(app.url_of(server, "/v1/sync/events")).bearer_auth(&self.access);
        let event = serde_json::json!({"eventType": "settings.changed", "eventSource": "web", "data": data});
        Answer::of(request.json(&event)).await
    }
}
