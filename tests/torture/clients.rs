//! Clients that ask again until they are answered, and write down before what they ask for and after what they were told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::journal::CHANGING;
use crate::load::Shared;
use crate::samples::{Heard, Sample};
use crate::support::{Answer, Person, Random, Sums, dollars};

/// How long a client waits for an answer: longer than any promise.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before it asks again what it was not told: sooner than `Retry-After` says, so that the end of a fault is seen.
const REST: Duration = Duration::from_millis(200);
/// Between two requests, at most.
const PAUSE: u64 = 100;
/// For how long after it was exchanged a refresh token gives the same successor.
const GRACE: Duration = Duration::from_secs(10);

/// One client, one request at a time.
pub(crate) struct Client {
    http: reqwest::Client,
    token: String,
    shared: Arc<Shared>,
    random: Random,
}

/// A request that is sent until it is answered.
struct Ask<'a> {
    method: &'a str,
    path: &'a str,
    key: Option<&'a str>,
    body: Value,
    /// The status that is hoped for.
    hoped: u16,
    /// The one that says as much when an earlier try may have had its effect.
    or_in_doubt: Option<u16>,
}

/// An answer, and since when an earlier try may have had its effect.
struct Told {
    answer: Answer,
    in_doubt_since: Option<Instant>,
}

impl<'a> Ask<'a> {
    fn get(path: &'a str) -> Self {
        Self { method: "GET", path, key: None, body: Value::Null, hoped: 200, or_in_doubt: None }
    }

    fn post(path: &'a str, body: Value, hoped: u16) -> Self {
        Self { method: "POST", body, hoped, ..Self::get(path) }
    }
}

impl Client {
    pub(crate) fn new(http: reqwest::Client, by: &Person, shared: &Arc<Shared>, random: Random) -> Self {
        Self { http, token: by.access.clone(), shared: Arc::clone(shared), random }
    }

    /// Signs up one after the other, who then looks at themselves.
    pub(crate) async fn sign_people_up(mut self, number: usize) {
        for count in 1_u64.. {
            if !self.shared.gate.next().await {
                return;
            }
            let email = format!("guest{number}-{count}@example.com");
            let noted = vec![(format!("account {email}"), String::new())];
            let body = json!({"email": email, "password": Person::PASSWORD});
            let ask = Ask { or_in_doubt: Some(409), ..Ask::post("/v1/auth/register", body, 201) };
            let told = self.write(noted, ask).await;
            if told.answer.status == 201 {
                self.token = told.answer.str("/accessToken").to_owned();
                let me = self.ask(&Ask::get("/v1/me")).await.answer;
                self.agrees(me.body["email"] == email, "an account of one's own", &me);
            }
        }
    }

    /// Exchanges one refresh token for the next.
    pub(crate) async fn refresh(mut self, mut person: Person) {
        while self.shared.gate.next().await {
            let body = json!({"refreshToken": person.refresh});
            let ask = Ask { or_in_doubt: Some(401), ..Ask::post("/v1/auth/refresh", body, 200) };
            let told = self.ask(&ask).await;
            if told.answer.status == 200 {
                person.refresh = told.answer.str("/refreshToken").to_owned();
                continue;
            }
            if told.in_doubt_since.is_none_or(|since| since.elapsed() < GRACE) {
                self.shared.complain(format!("a session was ended within the grace: {}", told.answer.text));
            }
            self.shared.signed_out.fetch_add(1, Ordering::SeqCst);
            let body = json!({"email": person.email, "password": person.password});
            let again = self.ask(&Ask::post("/v1/auth/login", body, 200)).await.answer;
            again.str("/refreshToken").clone_into(&mut person.refresh);
        }
    }

    /// Reads a profile, mostly, and gives it another name at times.
    pub(crate) async fn look_and_rename(mut self, user: String) {
        let mut name = json!("Ada Lovelace");
        for count in 1_u64.. {
            if !self.shared.gate.next().await {
                return;
            }
            let me = self.ask(&Ask::get("/v1/me")).await.answer;
            self.agrees(me.body["fullName"] == name, "the last name that was acknowledged", &me);
            if count % 4 == 0 {
                let next = format!("Ada {count}");
                let ask = Ask { method: "PATCH", ..Ask::post("/v1/me", json!({"fullName": next}), 200) };
                self.write(vec![(format!("{CHANGING}{user}"), next.clone())], ask).await;
                name = json!(next);
            }
        }
    }

    /// Tells of usage under keys, so many events at a time at most.
    pub(crate) async fn tell_usage(mut self, user: String, kind: &str, most: u64) {
        let mut count = 0;
        while self.shared.gate.next().await {
            let (mut noted, mut events) = (Vec::new(), Vec::new());
            for _ in 0..=self.random.below(most) {
                count += 1;
                let key = format!("{kind}-{count}");
                let [requests, tokens, cost] =
                    [3, 5_000, 1_000_000_000_000].map(|most| self.random.below(most));
                events.push(json!({"userId": user, "requestCount": requests, "totalTokens": tokens,
                    "totalCost": dollars(cost.into()), "idempotencyKey": key}));
                let stands = format!("{requests} {tokens} {}", dollars(cost.into()));
                noted.push((format!("usage {user} {key}"), stands));
                let usage = Sums { requests: requests.into(), tokens: tokens.into(), cost: cost.into() };
                self.shared.account(&user, |account| account.usage += usage);
            }
            let sent = events.len() as u64;
            let told = self.write(noted, Ask::post("/v1/usage/events", json!({"events": events}), 200)).await;
            let of = |name: &str| told.answer.body[name].as_u64().unwrap_or_default();
            self.agrees(of("accepted") + of("duplicates") == sent, "every event", &told.answer);
            let once = told.in_doubt_since.is_some() || of("duplicates") == 0;
            self.agrees(once, "events that nobody has told before", &told.answer);
        }
    }

    /// Makes bills under keys, and asks for some of them once more.
    pub(crate) async fn make_bills(mut self, user: String, number: usize) {
        for count in 1_u64.. {
            if !self.shared.gate.next().await {
                return;
            }
            let cents = self.random.below(100);
            let (key, amount) = (format!("bill {number}-{count}"), format!("{count}.{cents:02}"));
            self.shared.account(&user, |account| account.cents += i128::from(count * 100 + cents));
            let body = json!({"userId": user, "amount": amount, "description": key});
            let ask = || Ask { key: Some(&key), ..Ask::post("/v1/billing", body.clone(), 201) };
            let first =
                self.write(vec![(key.clone(), format!("{user} {amount} pending"))], ask()).await.answer;
            if self.random.once_in(4) {
                let second = self.ask(&ask()).await.answer;
                self.agrees(second.body["id"] == first.body["id"], "the bill of before", &second);
            }
        }
    }

    /// Tells the other apps of a person something, under keys.
    pub(crate) async fn tell_apps(mut self, user: String) {
        for count in 1_u64.. {
            if !self.shared.gate.next().await {
                return;
            }
            let key = format!("event-{count}");
            let body = json!({"eventType": "note.saved", "eventSource": "web", "data": {"key": key}});
            let ask = Ask { key: Some(&key), ..Ask::post("/v1/sync/events", body, 201) };
            self.write(vec![(format!("event {user} {key}"), String::new())], ask).await;
        }
    }

    /// Asks for something that is to be there afterwards: what about, and how it stands.
    async fn write(&mut self, noted: Vec<(String, String)>, ask: Ask<'_>) -> Told {
        let names: Vec<_> = noted.iter().map(|(what, _)| what.clone()).collect();
        {
            let mut journal = self.shared.journal.lock().unwrap();
            for (what, stands) in noted {
                journal.ask(what, stands);
            }
        }
        let told = self.ask(&ask).await;
        let mut journal = self.shared.journal.lock().unwrap();
        for what in names {
            journal.acknowledge(&what);
        }
        drop(journal);
        told
    }

    /// Asks until there is an answer.
    async fn ask(&mut self, ask: &Ask<'_>) -> Told {
        let mut in_doubt_since = None;
        loop {
            let begun = Instant::now();
            let answer = self.send(ask).await;
            let heard = hears(&answer, ask, in_doubt_since.is_some());
            let reads = ask.method == "GET";
            let what = format!("{} {}", ask.method, ask.path);
            let sample = Sample { what, begun, ended: Instant::now(), reads, heard };
            self.shared.samples.lock().unwrap().push(sample);
            if let (Heard::Yes, Ok(Ok(answer))) = (heard, answer) {
                self.pause().await;
                return Told { answer, in_doubt_since };
            }
            in_doubt_since.get_or_insert(begun);
            tokio::time::sleep(REST).await;
            self.shared.gate.again().await;
        }
    }

    async fn send(&mut self, ask: &Ask<'_>) -> Result<reqwest::Result<Answer>, tokio::time::error::Elapsed> {
        let server = {
            let servers = self.shared.servers.lock().unwrap();
            self.random.pick(&servers.iter().map(String::as_str).collect::<Vec<_>>()).to_owned()
        };
        let request = self.http.request(ask.method.parse().unwrap(), format!("{server}{}", ask.path));
        let mut request = request.bearer_auth(&self.token);
        if !ask.body.is_null() {
            request = request.json(&ask.body);
        }
        let request =
            ask.key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
        tokio::time::timeout(PATIENCE, Answer::try_of(request)).await
    }

    async fn pause(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.random.below(PAUSE))).await;
    }

    fn agrees(&self, does: bool, with: &str, answer: &Answer) {
        if !does {
            self.shared.complain(format!("not {with}: {} {}", answer.status, answer.text));
        }
    }
}

fn hears(
    answer: &Result<reqwest::Result<Answer>, tokio::time::error::Elapsed>,
    ask: &Ask<'_>,
    in_doubt: bool,
) -> Heard {
    match answer {
        Ok(Ok(answer)) if answer.status == ask.hoped => Heard::Yes,
        Ok(Ok(answer)) if in_doubt && Some(answer.status) == ask.or_in_doubt => Heard::Yes,
        Ok(Ok(answer)) if answer.status == 503 && answer.header("retry-after").is_empty() => {
            Heard::WithoutRetry
        }
        Ok(Ok(answer)) => Heard::Status(answer.status),
        Ok(Err(_broken)) => Heard::Broken,
        Err(_elapsed) => Heard::Nothing,
    }
}
