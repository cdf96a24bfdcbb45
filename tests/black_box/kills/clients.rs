use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Facts, Person, Random, Sums, TestApp, dollars};

/// The one kind of thing of which there may be more than was told: it is made without a key.
pub(super) const SERVICE_KEY: &str = "service key";

/// What the clients have in common.
#[derive(Default)]
pub(super) struct Shared {
    /// Where the servers are that run.
    pub(super) servers: Mutex<Vec<String>>,
    pub(super) stopping: AtomicBool,
    pub(super) answered: AtomicU64,
    /// Connections that broke: nobody knows what became of the request.
    pub(super) unanswered: AtomicU64,
    unavailable: AtomicU64,
    /// Requests that were found to have taken effect though they were not answered.
    found: AtomicU64,
}

impl Shared {
    pub(super) fn new(servers: Vec<String>) -> Self {
        Self { servers: Mutex::new(servers), ..Self::default() }
    }

    fn go_on(&self) -> bool {
        !self.stopping.load(Ordering::SeqCst)
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [answered, unanswered, unavailable, found] =
            [&self.answered, &self.unanswered, &self.unavailable, &self.found]
                .map(|count| count.load(Ordering::SeqCst));
        write!(
            f,
            "{answered} answered, {unanswered} unanswered, of which {found} are known to have taken effect, {unavailable} × 503"
        )
    }
}

/// Somebody who asks again, at whatever server, until there is an answer.
pub(super) struct Stubborn {
    client: reqwest::Client,
    token: String,
    shared: Arc<Shared>,
    random: Random,
}

/// An answer, and whether an earlier request may have been the one that took effect.
struct Outcome(Answer, bool);

impl Stubborn {
    pub(super) fn new(app: &TestApp, by: &Person, shared: &Arc<Shared>, random: Random) -> Self {
        let (client, token) = (app.client.clone(), by.access.clone());
        Self { client, token, shared: Arc::clone(shared), random }
    }

    async fn ask(&mut self, method: Method, path: &str, key: Option<&str>, body: &Value) -> Outcome {
        let mut in_doubt = false;
        loop {
            let server = {
                let servers = self.shared.servers.lock().unwrap();
                servers[self.random.place(servers.len())].clone()
            };
            let request = self.client.request(method.clone(), format!("{server}{path}"));
            let mut request = request.bearer_auth(&self.token);
            if !body.is_null() {
                request = request.json(body);
            }
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            let count = match Answer::try_of(request).await {
                Ok(answer) if answer.status != 503 => {
                    self.shared.answered.fetch_add(1, Ordering::SeqCst);
                    return Outcome(answer, in_doubt);
                }
                Ok(_unavailable) => &self.shared.unavailable,
                Err(_broken) => &self.shared.unanswered,
            };
            count.fetch_add(1, Ordering::SeqCst);
            in_doubt = true;
        }
    }

    fn found(&self) {
        self.shared.found.fetch_add(1, Ordering::SeqCst);
    }

    /// Tells of usage, each event under a key.
    pub(super) async fn tell_usage(mut self, user: String, number: u64) -> Facts {
        let (mut told, mut sums) = (0, Sums::default());
        while self.shared.go_on() {
            let events = 1 + self.random.below(30);
            let events: Vec<_> = (0..events)
                .map(|_| {
                    let [requests, tokens, cost] =
                        [3, 5_000, 1_000_000_000_000].map(|most| self.random.below(most));
                    sums += Sums { requests: requests.into(), tokens: tokens.into(), cost: cost.into() };
                    told += 1;
                    json!({"userId": user, "requestCount": requests, "totalTokens": tokens,
                        "totalCost": dollars(cost.into()), "idempotencyKey": format!("{number}-{told}")})
                })
                .collect();
            let body = json!({"events": events});
            let Outcome(answer, in_doubt) = self.ask(Method::POST, "/v1/usage/events", None, &body).await;
            let answer = answer.expect(200);
            if answer.body["duplicates"] != 0 {
                assert!(in_doubt, "{}", answer.text);
                self.found();
            }
            let there =
                answer.body["accepted"].as_u64().unwrap() + answer.body["duplicates"].as_u64().unwrap();
            assert_eq!(there, events.len() as u64, "{}", answer.text);
        }
        let Sums { requests, tokens, cost } = sums;
        let sums = format!("{told} {told} {requests} {tokens} {}", dollars(cost));
        [(format!("usage of {user}"), sums)].into()
    }

    /// Makes bills under keys, and moves them on.
    pub(super) async fn make_bills(mut self, user: String, number: u64) -> Facts {
        let (mut facts, mut made) = (Facts::new(), 0);
        while self.shared.go_on() {
            made += 1;
            let (amount, key) =
                (format!("{made}.{:02}", self.random.below(100)), format!("bill {number}-{made}"));
            let body = json!({"userId": user, "amount": amount});
            let Outcome(answer, _) = self.ask(Method::POST, "/v1/billing", Some(&key), &body).await;
            let id = answer.expect(201).str("/id").to_owned();
            // Who has lost the answer asks once more.
            if self.random.once_in(4) {
                let Outcome(again, _) = self.ask(Method::POST, "/v1/billing", Some(&key), &body).await;
                assert_eq!(again.expect(201).str("/id"), id);
            }
            let steps: &[_] = match self.random.below(4) {
                0 => &[],
                1 => &[("fail", "failed")],
                2 => &[("complete", "completed")],
                _ => &[("complete", "completed"), ("refund", "refunded")],
            };
            let (mut stands, mut trail) = ("pending", vec!["billing.create".to_owned()]);
            for (step, next) in steps {
                self.advance(&format!("/v1/billing/{id}/{step}")).await;
                trail.push(format!("billing.update {stands} {next}"));
                stands = next;
            }
            facts.insert((format!("bill {id}"), format!("{user} {amount} {stands}")));
            facts.insert((format!("trail of bill {id}"), trail.join(", ")));
        }
        facts
    }

    /// A step has no key: that it was taken already is what a second try is told.
    async fn advance(&mut self, path: &str) {
        let Outcome(answer, in_doubt) = self.ask(Method::POST, path, None, &Value::Null).await;
        if answer.status == 409 {
            assert!(in_doubt, "{}", answer.text);
            self.found();
        } else {
            answer.expect(200);
        }
    }

    /// Holds amounts under keys, and settles them or gives them back.
    pub(super) async fn hold_and_settle(mut self, user: String, number: u64) -> Facts {
        let (mut facts, mut held, mut settled) = (Facts::new(), 0, Sums::default());
        while self.shared.go_on() {
            held += 1;
            let body = json!({"userId": user, "totalTokens": 1, "ttlSeconds": 3_600});
            let path = "/v1/usage/reservations";
            let Outcome(answer, _) =
                self.ask(Method::POST, path, Some(&format!("hold {number}-{held}")), &body).await;
            let id = answer.expect(201).str("/id").to_owned();
            let path = format!("{path}/{id}");
            let end = match self.random.below(4) {
                0 => "open".to_owned(),
                1 => {
                    self.ask(Method::DELETE, &path, None, &Value::Null).await.0.expect(204);
                    "released".to_owned()
                }
                _ => {
                    let tokens = self.random.below(3);
                    let usage = json!({"totalTokens": tokens, "totalCost": dollars(tokens.into())});
                    let settle = format!("{path}/settle");
                    let answer = self.ask(Method::POST, &settle, None, &usage).await.0.expect(200);
                    settled += Sums { requests: 1, tokens: tokens.into(), cost: tokens.into() };
                    format!("settled as {}", answer.str("/usageId"))
                }
            };
            facts.insert((format!("hold {id}"), end));
        }
        let Sums { requests, tokens, cost } = settled;
        facts.insert((
            format!("usage of {user}"),
            format!("{requests} 0 {requests} {tokens} {}", dollars(cost)),
        ));
        facts
    }

    /// Changes somebody's tier and limit of tokens to and fro, and makes service keys.
    pub(super) async fn change_users(mut self, user: String) -> Facts {
        let path = format!("/v1/admin/users/{user}");
        let (mut tier, mut limit, mut trail) = ("free", None::<u64>, Vec::new());
        let mut facts = Facts::new();
        while self.shared.go_on() {
            if self.random.once_in(2) {
                let others: Vec<_> =
                    ["free", "pro", "enterprise"].into_iter().filter(|one| *one != tier).collect();
                let next = self.random.pick(&others);
                let body = json!({"subscriptionTier": next});
                self.ask(Method::PATCH, &path, None, &body).await.0.expect(200);
                trail.push(format!("subscriptionTier {tier} {next}"));
                tier = next;
            } else {
                let next = limit.map_or(1_000_000, |limit| limit + 1 + self.random.below(100));
                let body = json!({"tokens": {"limit": next}});
                self.ask(Method::PATCH, &format!("{path}/quota"), None, &body).await.0.expect(200);
                let before = limit.map_or("tier".to_owned(), |limit| limit.to_string());
                trail.push(format!("tokens {before} {next}"));
                limit = Some(next);
            }
            // Asked for again it is another one: each has its entry, those too that nobody was told of.
            let key = json!({"name": "gateway", "scopes": ["usage:write"]});
            let answer = self.ask(Method::POST, "/v1/admin/service-keys", None, &key).await.0.expect(201);
            facts.insert((SERVICE_KEY.to_owned(), answer.str("/id").to_owned()));
        }
        facts.insert((format!("trail of user {user}"), trail.join(", ")));
        if tier != "free" {
            facts.insert((format!("tier of {user}"), tier.to_owned()));
        }
        if let Some(limit) = limit {
            facts.insert((format!("limit of {user}"), limit.to_string()));
        }
        facts
    }
}
