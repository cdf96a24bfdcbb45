//! Somebody who follows a stream through everything.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::load::Shared;
use crate::support::{EventStream, Person, Random};

/// How long a stream may be mute: many heartbeats.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before a stream is opened again.
const REST: Duration = Duration::from_millis(200);

/// What a follower has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The place of the last event; the first event has place 1.
    pub(crate) last: u64,
    pub(crate) missed: Vec<String>,
    pub(crate) doubled: Vec<String>,
}

/// One follower.
pub(crate) struct Follower {
    pub(crate) user: String,
    pub(crate) seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Follower {
    pub(crate) fn start(person: &Person, shared: &Arc<Shared>, random: Random) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let follows = follow(person.access.clone(), Arc::clone(shared), random, Arc::clone(&seen));
        Self { user: person.id.clone(), seen, task: tokio::spawn(follows) }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(token: String, shared: Arc<Shared>, mut random: Random, seen: Arc<Mutex<Seen>>) {
    let client = reqwest::Client::new();
    loop {
        let server = {
            let servers = shared.servers.lock().unwrap();
            servers[random.place(servers.len())].clone()
        };
        let last = seen.lock().unwrap().last.to_string();
        let request = client.get(format!("{server}/v1/sync/stream")).bearer_auth(&token);
        let opening = EventStream::try_open(request.header("last-event-id", last));
        if let Ok(Some(mut stream)) = timeout(PATIENCE, opening).await {
            // A heartbeat is a block too.
            while let Ok(Some(block)) = timeout(PATIENCE, stream.block()).await {
                if let Some(data) = block.data {
                    seen.lock().unwrap().note(&serde_json::from_str(&data).unwrap());
                }
            }
        }
        sleep(REST).await;
    }
}

impl Seen {
    fn note(&mut self, event: &Value) {
        let place: u64 = event["place"].as_str().unwrap().parse().unwrap();
        if place > self.last + 1 {
            self.missed.push(format!("a follower saw place {place} after {}", self.last));
        }
        if place <= self.last {
            self.doubled.push(format!("a follower saw place {place} again after {}", self.last));
        }
        self.last = self.last.max(place);
    }
}
