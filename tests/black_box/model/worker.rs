use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::account::{Account, METRICS, TIERS, figure};
use crate::support::{Answer, Person, Random, Sums, TestApp};

mod events;
mod holds;
mod ledger;

const FEATURES: [&str; 4] = ["", "chat", "embeddings", "search"];
/// Usage and bills of nobody.
const NOBODY: &str = "nobody";

/// Does things at random with accounts of its own, one after the other, and knows what each must come to.
pub(super) struct Worker<'a> {
    app: &'a TestApp,
    program: &'a Person,
    admin: &'a Person,
    random: Random,
    number: usize,
    pub(super) accounts: Vec<Account>,
    /// Requests under keys that took effect.
    pub(super) kept: Vec<Kept>,
    keys: u64,
    /// A key whose request was refused, which therefore is as good as new.
    spared: Option<String>,
    /// How many entries of each kind the audit trail must have of what this one did.
    pub(super) audited: Audited,
    /// What is being asked, for whoever wants to know where it failed.
    asked: String,
    operations: u64,
    /// How often each answer was met.
    pub(super) met: BTreeMap<String, u64>,
}

/// A request under a key, and its answer.
#[derive(Clone)]
pub(super) struct Kept {
    path: &'static str,
    key: String,
    body: Value,
    answer: Value,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Audited {
    pub(super) users: u64,
    pub(super) quotas: u64,
    pub(super) bills: u64,
    pub(super) steps: u64,
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("worker {}, operation {}: {}", self.number, self.operations, self.asked);
        }
    }
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        app: &'a TestApp,
        (program, admin): (&'a Person, &'a Person),
        (number, random): (usize, Random),
    ) -> Self {
        Self {
            app,
            program,
            admin,
            random,
            number,
            accounts: Vec::new(),
            kept: Vec::new(),
            keys: 0,
            spared: None,
            audited: Audited::default(),
            asked: String::new(),
            operations: 0,
            met: BTreeMap::new(),
        }
    }

    /// Has somebody new to do things with.
    pub(super) async fn take_on_somebody(&mut self) {
        self.accounts.push(Account::new(self.app.person().await.id));
    }

    pub(super) async fn work(&mut self, operations: u64) {
        for _ in 0..operations {
            self.operations += 1;
            let place = self.random.place(self.accounts.len());
            match self.random.below(100) {
                0..30 => self.tell(place).await,
                30..45 => self.hold(place).await,
                45..55 => self.settle(place).await,
                55..61 => self.release(place).await,
                61..71 => self.bill(place).await,
                71..83 => self.advance(place).await,
                83..87 => self.repeat().await,
                87..92 => self.limit(place).await,
                92..94 => self.change_tier(place).await,
                94..97 => self.see_quota(place).await,
                _ => self.see_summary(place).await,
            }
        }
    }

    /// Asks one of the servers.
    async fn ask(
        &mut self,
        by: &Person,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Answer {
        let server = self.random.place(2);
        self.asked = format!("{method} {path} {key:?} {body} at server {server}");
        let request = self.app.client.request(method.parse().unwrap(), self.app.url_of(server, path));
        let mut request = request.bearer_auth(&by.access);
        if !body.is_null() {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = Answer::of(request).await;
        let problem = answer.body["type"].as_str().and_then(|problem| problem.rsplit(':').next());
        self.count(&format!("{} {}", answer.status, problem.unwrap_or_default()));
        answer
    }

    fn count(&mut self, answer: &str) {
        *self.met.entry(answer.trim().to_owned()).or_default() += 1;
    }

    /// Asks as the program.
    async fn post(&mut self, path: &str, key: Option<&str>, body: &Value) -> Answer {
        self.ask(self.program, "POST", path, key, body).await
    }

    fn user(&self, place: usize) -> String {
        self.accounts[place].id.clone()
    }

    fn key(&mut self) -> String {
        self.spared.take().unwrap_or_else(|| {
            self.keys += 1;
            format!("{}-{}", self.number, self.keys)
        })
    }

    /// Little usage, often of nothing in one metric or another.
    fn usage(&mut self) -> Sums {
        let [requests, tokens, cost] = [(3, 2), (20_000, 3), (1_000_000_000, 3)].map(|(most, times)| {
            if self.random.once_in(times) { 0 } else { i128::from(self.random.below(most)) }
        });
        Sums { requests, tokens, cost }
    }

    /// Asks again what was asked under a key, or something else under that key.
    async fn repeat(&mut self) {
        if self.kept.is_empty() {
            return;
        }
        let Kept { path, key, mut body, answer } = self.kept[self.random.place(self.kept.len())].clone();
        if self.random.once_in(2) {
            let again = self.post(path, Some(&key), &body).await.expect(201);
            assert_eq!(again.body, answer);
        } else {
            let user = self.random.place(self.accounts.len());
            let other = self.user(user);
            body["userId"] = if body["userId"] == other.as_str() { NOBODY.into() } else { other.into() };
            self.post(path, Some(&key), &body).await.expect_problem(422, "idempotency-key-reused");
        }
    }

    async fn limit(&mut self, place: usize) {
        let (taken, before) = (self.accounts[place].taken(), self.accounts[place].own);
        let (mut own, mut body) = (before, json!({}));
        for (metric, name) in METRICS.iter().enumerate() {
            if self.random.once_in(2) {
                continue;
            }
            own[metric] = match self.random.below(6) {
                0 => None,
                1 => Some(None),
                2 => Some(Some(taken[metric] / 2)),
                _ => Some(Some(
                    taken[metric] + i128::from(self.random.below([30, 100_000, 3_000_000_000][metric])),
                )),
            };
            body[name] =
                own[metric].map_or(Value::Null, |own| json!({"limit": own.map(|most| figure(metric, most))}));
        }
        let path = format!("/v1/admin/users/{}/quota", self.user(place));
        let answer = self.ask(self.admin, "PATCH", &path, None, &body).await.expect(200);
        self.accounts[place].own = own;
        self.audited.quotas += u64::from(own != before);
        assert_eq!(without_ends(answer.body), self.accounts[place].quota());
    }

    async fn change_tier(&mut self, place: usize) {
        let tier = self.random.pick(&TIERS);
        let path = format!("/v1/admin/users/{}", self.user(place));
        let body = json!({"subscriptionTier": tier});
        self.ask(self.admin, "PATCH", &path, None, &body).await.expect(200);
        let before = std::mem::replace(&mut self.accounts[place].tier, tier);
        self.audited.users += u64::from(tier != before);
    }

    pub(super) async fn see_quota(&mut self, place: usize) {
        let path = format!("/v1/admin/users/{}/quota", self.user(place));
        let answer = self.ask(self.admin, "GET", &path, None, &Value::Null).await.expect(200);
        assert_eq!(without_ends(answer.body), self.accounts[place].quota());
    }
}

/// A budget without the end of the month.
fn without_ends(mut quota: Value) -> Value {
    for metric in METRICS {
        assert!(quota[metric].as_object_mut().unwrap().remove("resetsAt").is_some_and(|end| end.is_string()));
    }
    quota
}
