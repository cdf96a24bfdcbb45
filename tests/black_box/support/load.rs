use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::task::JoinHandle;

use super::{Answer, Person, TestApp, eventually, fresh_email};

/// People who come, look at themselves, refresh and sign in, again and again, while something else happens.
pub(crate) struct Load {
    shared: Arc<Shared>,
    people: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    rounds: AtomicU64,
    done: Mutex<Done>,
}

/// What the load was answered.
#[derive(Debug, Default)]
pub(crate) struct Done {
    served: usize,
    unavailable: usize,
    /// The connection broke: nobody knows what became of the request.
    unanswered: usize,
    /// What must not have happened.
    others: Vec<String>,
    /// Those who were told that they have an account.
    registered: Vec<String>,
}

impl Load {
    /// So many people at a time, on the first server.
    pub(crate) async fn start(app: &TestApp, people: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let people = (0..people).map(|_| {
            let visitor =
                Visitor { client: app.client.clone(), base: app.url_of(0, ""), shared: Arc::clone(&shared) };
            tokio::spawn(async move {
                while !visitor.shared.stopping.load(Ordering::SeqCst) {
                    visitor.visit().await;
                    visitor.shared.rounds.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        let load = Self { people: people.collect(), shared };
        load.more(1).await;
        load
    }

    /// Waits for so many more visits, all in all.
    pub(crate) async fn more(&self, visits: u64) {
        let wanted = self.shared.rounds.load(Ordering::SeqCst) + visits;
        eventually("people come and go", async || self.shared.rounds.load(Ordering::SeqCst) >= wanted).await;
    }

    pub(crate) async fn stop(self) -> Done {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for person in self.people {
            person.await.unwrap();
        }
        std::mem::take(&mut *self.shared.done.lock().unwrap())
    }
}

struct Visitor {
    client: reqwest::Client,
    base: String,
    shared: Arc<Shared>,
}

impl Visitor {
    async fn visit(&self) {
        let email = fresh_email();
        let who = json!({"email": email, "password": Person::PASSWORD});
        let Some(answer) = self.ask(self.post("/v1/auth/register").json(&who), 201).await else { return };
        self.shared.done.lock().unwrap().registered.push(email);
        let mut person = Person::of(&answer, Person::PASSWORD);
        for _ in 0..3 {
            let me = self.client.get(format!("{}/v1/me", self.base)).bearer_auth(&person.access);
            self.ask(me, 200).await;
            let token = json!({"refreshToken": person.refresh});
            if let Some(answer) = self.ask(self.post("/v1/auth/refresh").json(&token), 200).await {
                person = Person::of(&answer, Person::PASSWORD);
            }
            self.ask(self.post("/v1/auth/login").json(&who), 200).await;
        }
    }

    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.base))
    }

    /// The answer, if it is the one that was hoped for.
    async fn ask(&self, request: reqwest::RequestBuilder, hoped: u16) -> Option<Answer> {
        let answer = Answer::try_of(request).await;
        let mut done = self.shared.done.lock().unwrap();
        match answer {
            Ok(answer) if answer.status == hoped => {
                done.served += 1;
                return Some(answer);
            }
            Ok(answer) if answer.status == 503 && !answer.header("retry-after").is_empty() => {
                done.unavailable += 1;
            }
            Ok(answer) => done.others.push(format!("{} {}", answer.status, answer.text)),
            Err(_broken) => done.unanswered += 1,
        }
        None
    }
}

impl Done {
    /// Nothing went wrong but that the service said for a while that it was unavailable.
    #[track_caller]
    pub(crate) fn only_unavailable(&self) {
        assert_eq!((self.unanswered, &self.others[..]), (0, &[][..]));
    }

    /// And that was the exception.
    #[track_caller]
    pub(crate) fn mostly_served(&self) {
        assert!(self.served > 10 * self.unavailable, "{self}");
    }

    /// Nothing went wrong at all.
    #[track_caller]
    pub(crate) fn all_served(&self) {
        self.only_unavailable();
        assert_eq!(self.unavailable, 0);
    }

    /// One of those who were told that they have an account.
    pub(crate) fn somebody(&self) -> &str {
        self.registered.last().unwrap()
    }

    /// Everybody who was told that they have an account has one.
    pub(crate) async fn all_kept(&self, app: &TestApp) {
        assert!(!self.registered.is_empty());
        let query = "SELECT array_agg(email) FROM users";
        let there: Vec<String> = app.connect().await.query_one(query, &[]).await.unwrap().get(0);
        let lost: Vec<_> = self.registered.iter().filter(|email| !there.contains(email)).collect();
        assert_eq!(lost, [""; 0], "of {}", self.registered.len());
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { served, unavailable, unanswered, others, registered } = self;
        let (others, registered) = (others.len(), registered.len());
        write!(
            f,
            "{served} served, {unavailable} × 503, {unanswered} unanswered, {others} otherwise; {registered} registered"
        )
    }
}
