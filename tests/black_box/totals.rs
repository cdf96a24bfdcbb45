//! Sums of very many events, to the last digit.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use futures_util::future::try_join_all;
use serde_json::Value;

use crate::support::{Answer, DOLLAR, Person, Random, Sums, TestApp, dollars, number};

/// How many events there are, unless `SUBTLE_TEST_EVENTS` says it: what a server that is not optimised writes in some seconds.
const EVENTS: u64 = 100_000;
const CLIENTS: u64 = 16;
/// Of one request.
const TOGETHER: usize = 1_000;
const USERS: usize = 8;
/// In all of which there is usage; none stands for usage that names none.
const FEATURES: [&str; 4] = ["", "chat", "embeddings", "Übersetzung"];
const DAYS: &str = "from=2020-02-01&to=2020-02-29";

/// The same sums by a program that has nothing in common with this one.
const PYTHON: &str = r#"
import sys, decimal, datetime
context = decimal.getcontext()
context.prec, context.traps[decimal.Inexact] = 60, True
sums = {}
for line in sys.stdin:
    user, feature, at, requests, tokens, cost = line.rstrip("\n").split("\t")
    day = datetime.datetime.fromisoformat(at).astimezone(datetime.timezone.utc).date()
    for group in ("total", f"day {day}", f"feature {feature}"):
        known = sums.get((user, group), (0, 0, decimal.Decimal(0)))
        sums[user, group] = (known[0] + int(requests), known[1] + int(tokens), known[2] + decimal.Decimal(cost))
for (user, group), (requests, tokens, cost) in sums.items():
    print(f"{user} {group}\t{requests} {tokens} {cost:.10f}")
"#;

/// Sums by user and group, as text.
type Figures = BTreeMap<String, String>;

fn figure(sums: &Sums) -> String {
    format!("{} {} {}", sums.requests, sums.tokens, dollars(sums.cost))
}

struct Event {
    user: usize,
    feature: &'static str,
    /// RFC 3339, often not in UTC.
    at: String,
    /// Of February, UTC.
    day: u64,
    usage: Sums,
    /// `usage.cost` with as many decimals as somebody might write.
    cost: String,
    key: String,
}

impl Event {
    fn random(random: &mut Random, key: String) -> Self {
        let (local_day, hour) = (2 + random.below(27), random.below(24));
        let (minute, milli) = (random.below(60), random.below(1_000));
        let (offset, ahead) = random.pick(&[("+00:00", 0), ("+09:00", 9)]);
        // As many digits before the point and behind it as it happens.
        let (whole, decimals) = (random.place(11), random.place(11));
        let unit = 10_i128.pow(10 - u32::try_from(decimals).unwrap());
        let whole = i128::from(random.below(10_u64.pow(u32::try_from(whole).unwrap())));
        let fraction = i128::from(random.below(10_000_000_000)) / unit * unit;
        let cost = whole * DOLLAR + fraction;
        let text = dollars(cost);
        let text = text[..text.len() - (10 - decimals)].trim_end_matches('.').to_owned();
        let count = |random: &mut Random| i128::from(random.below(1 << 31));
        Self {
            user: random.place(USERS),
            feature: random.pick(&FEATURES),
            at: format!("2020-02-{local_day:02}T{hour:02}:{minute:02}:30.{milli:03}{offset}"),
            day: if hour < ahead { local_day - 1 } else { local_day },
            usage: Sums { requests: count(random), tokens: count(random), cost },
            cost: text,
            key,
        }
    }

    fn json(&self, users: &[Person]) -> String {
        let Self { at, usage, cost, .. } = self;
        let (user, Sums { requests, tokens, .. }) = (&users[self.user].id, usage);
        let optional = |name: &str, value: &str| match value {
            "" => String::new(),
            value => format!(",\"{name}\":\"{value}\""),
        };
        let feature = optional("featureType", self.feature);
        let key = optional("idempotencyKey", &self.key);
        format!(
            "{{\"userId\":\"{user}\",\"requestCount\":{requests},\"totalTokens\":{tokens},\
             \"totalCost\":\"{cost}\",\"occurredAt\":\"{at}\"{feature}{key}}}"
        )
    }
}

/// What a client tells: the same each time it is asked for.
fn events(seed: u64, client: u64, all: u64) -> impl Iterator<Item = Event> {
    let mut random = Random::of(seed.wrapping_add(client << 32));
    let share = all / CLIENTS + u64::from(client < all % CLIENTS);
    (0..share).map(move |number| Event::random(&mut random, format!("{client}-{number}")))
}

fn all_events(seed: u64, all: u64) -> impl Iterator<Item = Event> {
    (0..CLIENTS).flat_map(move |client| events(seed, client, all))
}

async fn post(request: reqwest::RequestBuilder, events: &[Event], users: &[Person], as_lines: bool) {
    let events: Vec<_> = events.iter().map(|event| event.json(users)).collect();
    let (media_type, body) = if as_lines {
        ("application/x-ndjson", events.join("\n"))
    } else {
        ("application/json", format!("{{\"events\":[{}]}}", events.join(",")))
    };
    let request = request.header("content-type", media_type).body(body);
    // A machine that is busy with other things may make the service say so; under its key an event counts once.
    let answer = loop {
        let answer = Answer::of(request.try_clone().unwrap()).await;
        if answer.status != 503 {
            break answer.expect(200);
        }
    };
    let counted = |name: &str| answer.body[name].as_u64().unwrap();
    assert_eq!(counted("accepted") + counted("duplicates"), events.len() as u64, "{}", answer.text);
}

/// What the service says.
async fn told(app: &TestApp, users: &[Person]) -> Figures {
    let support = app.person_of_role("support").await;
    let mut figures = Figures::new();
    for (number, user) in users.iter().enumerate() {
        for (by, field) in [("day", "day"), ("feature", "featureType")] {
            let path = format!("/v1/admin/users/{}/usage/summary?{DAYS}&groupBy={by}", user.id);
            let summary = support.send_to(app, number % 2, "GET", &path).await.expect(200).body;
            let figure = |sums: &Value| {
                let cost = sums["totalCost"].as_str().unwrap();
                format!("{} {} {cost}", sums["requestCount"], sums["totalTokens"])
            };
            figures.insert(format!("{number} total"), figure(&summary["total"]));
            for group in summary["groups"].as_array().unwrap() {
                let name = format!("{number} {by} {}", group[field].as_str().unwrap_or_default());
                assert_eq!(figures.insert(name, figure(group)), None, "{group}");
            }
        }
    }
    figures
}

/// What whole numbers of 10⁻¹⁰ dollars add up to.
fn counted(seed: u64, all: u64) -> Figures {
    let mut sums = BTreeMap::<String, Sums>::new();
    for Event { user, feature, day, usage, .. } in all_events(seed, all) {
        for group in [
            format!("{user} total"),
            format!("{user} day 2020-02-{day:02}"),
            format!("{user} feature {feature}"),
        ] {
            *sums.entry(group).or_default() += usage;
        }
    }
    sums.iter().map(|(group, sums)| (group.clone(), figure(sums))).collect()
}

/// What Python's `decimal` makes of the same texts; `None` on a machine without Python.
fn counted_by_python(seed: u64, all: u64) -> Option<Figures> {
    let there = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    there.ok().filter(std::process::ExitStatus::success)?;
    let mut python = Command::new("python3");
    let python = python.args(["-X", "utf8", "-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    let mut stdin = BufWriter::new(python.stdin.take().unwrap());
    for Event { user, feature, at, usage: Sums { requests, tokens, .. }, cost, .. } in all_events(seed, all) {
        writeln!(stdin, "{user}\t{feature}\t{at}\t{requests}\t{tokens}\t{cost}").unwrap();
    }
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let lines = String::from_utf8(output.stdout).unwrap();
    let figures = lines.lines().map(|line| line.split_once('\t').unwrap());
    Some(figures.map(|(group, figure)| (group.to_owned(), figure.to_owned())).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_events_from_sixteen_clients_add_up_to_the_last_digit() {
    let (seed, all) = (Random::seed(), number("SUBTLE_TEST_EVENTS").unwrap_or(EVENTS));
    let app = TestApp::builder().servers(2).start().await;
    let grace = app.person_of_role("admin").await;
    let key = grace.service_key(&app, &["usage:write"]).await;
    let mut users = Vec::new();
    for _ in 0..USERS {
        users.push(app.person().await);
    }
    let begun = Instant::now();
    let clients = (0..CLIENTS).map(|client| {
        let url = app.url_of(usize::from(client % 2 == 1), "/v1/usage/events");
        let request = app.client.post(url).bearer_auth(&key);
        let users = users.clone();
        tokio::spawn(async move {
            let mut events = events(seed, client, all);
            loop {
                let batch: Vec<_> = events.by_ref().take(TOGETHER).collect();
                if batch.is_empty() {
                    return;
                }
                // Half of those of each server.
                post(request.try_clone().unwrap(), &batch, &users, client % 4 < 2).await;
            }
        })
    });
    try_join_all(clients).await.unwrap();
    let took = begun.elapsed();
    println!(
        "{all} events in {took:?}: {:.0} a second",
        f64::from(u32::try_from(all).unwrap()) / took.as_secs_f64()
    );
    let told = told(&app, &users).await;
    assert_eq!(told, counted(seed, all));
    let by_python = counted_by_python(seed, all);
    println!("Python's sums: {}", if by_python.is_some() { "the same" } else { "no Python here" });
    assert_eq!(by_python.unwrap_or_else(|| told.clone()), told);
    assert_eq!(app.value("SELECT count(*) FROM user_usage_metrics").await, all.to_string());
    println!("{} sums checked, {:?} all in all", told.len(), begun.elapsed());
}
