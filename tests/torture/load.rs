//! What all clients have in common, and how they are begun.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::task::JoinHandle;

use crate::clients::Client;
use crate::follower::Follower;
use crate::gate::Gate;
use crate::journal::Journal;
use crate::samples::Sample;
use crate::support::{Person, Random, Sums, TestApp};

/// Of each kind of client.
const EACH: usize = 4;
const KINDS: usize = 7;

/// What one user's sums come to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Account {
    pub(crate) usage: Sums,
    /// Of all bills.
    pub(crate) cents: i128,
}

/// What the clients share.
pub(crate) struct Shared {
    /// Where the servers are that a load balancer would name.
    pub(crate) servers: Mutex<Vec<String>>,
    pub(crate) gate: Gate,
    pub(crate) journal: Mutex<Journal>,
    /// What the sums come to by user, once all is answered.
    pub(crate) accounts: Mutex<BTreeMap<String, Account>>,
    pub(crate) samples: Mutex<Vec<Sample>>,
    /// What nobody should have to say.
    pub(crate) complaints: Mutex<Vec<String>>,
    /// Sessions that ended because a refresh stayed unanswered for longer than the grace.
    pub(crate) signed_out: AtomicUsize,
}

impl Shared {
    pub(crate) fn complain(&self, line: String) {
        self.complaints.lock().unwrap().push(line);
    }

    /// Changes what a user's sums come to.
    pub(crate) fn account(&self, user: &str, change: impl FnOnce(&mut Account)) {
        change(self.accounts.lock().unwrap().entry(user.to_owned()).or_default());
    }

    /// The requests that were begun since.
    pub(crate) fn samples_since(&self, begun: Instant) -> Vec<Sample> {
        self.samples.lock().unwrap().iter().filter(|sample| sample.begun >= begun).cloned().collect()
    }

    pub(crate) fn signed_out(&self) -> usize {
        self.signed_out.load(Ordering::SeqCst)
    }
}

/// Everybody who uses the servers.
pub(crate) struct Load {
    pub(crate) shared: Arc<Shared>,
    pub(crate) followers: Vec<Follower>,
    /// Those whose usage is told.
    pub(crate) metered: Vec<Person>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) async fn start(app: &TestApp, servers: Vec<String>, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            servers: Mutex::new(servers),
            gate: Gate::new(EACH * KINDS),
            journal: Mutex::default(),
            accounts: Mutex::default(),
            samples: Mutex::default(),
            complaints: Mutex::default(),
            signed_out: AtomicUsize::new(0),
        });
        let http = reqwest::Client::new();
        let program = app.person_of_role("admin").await.program(app).await;
        let (mut clients, mut followers, mut metered) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..EACH {
            let client = |by: &Person, kind: usize| {
                let random = Random::of(seed.wrapping_add((kind * EACH + number) as u64));
                Client::new(http.clone(), by, &shared, random)
            };
            let person = app.person().await;
            clients.push(tokio::spawn(client(&person, 0).sign_people_up(number)));
            // With a session of their own: it may end.
            let refresher = app.person().await;
            clients.push(tokio::spawn(client(&refresher, 1).refresh(refresher.clone())));
            clients.push(tokio::spawn(client(&person, 2).look_and_rename(person.id.clone())));
            clients.push(tokio::spawn(client(&program, 3).tell_usage(person.id.clone(), "one", 1)));
            clients.push(tokio::spawn(client(&program, 4).tell_usage(person.id.clone(), "many", 20)));
            clients.push(tokio::spawn(client(&program, 5).make_bills(person.id.clone(), number)));
            clients.push(tokio::spawn(client(&person, 6).tell_apps(person.id.clone())));
            followers.push(Follower::start(&person, &shared, Random::of(number as u64)));
            metered.push(person);
        }
        Self { shared, followers, metered, clients }
    }

    /// Ends it, in good order.
    pub(crate) async fn stop(self) {
        self.shared.gate.end();
        for client in self.clients {
            client.await.unwrap();
        }
    }
}
