//! Holds what is there against what was acknowledged.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::journal::{CHANGING, Damage};
use crate::load::Load;
use crate::stage::Stage;
use crate::support::app::connect;
use crate::support::{Answer, UNRECONCILED, dollars};

/// How long followers may take to see the last event, once nothing happens any more.
const CATCH_UP: Duration = Duration::from_secs(5);

/// What is there, in the words of the journal. It is only ever added to.
const ADDED: [&str; 4] = [
    "SELECT 'account ' || email, '' FROM users WHERE email LIKE 'guest%'",
    "SELECT concat_ws(' ', 'usage', user_id, idempotency_key), concat_ws(' ', request_count, total_tokens, total_cost)
    FROM user_usage_metrics",
    "SELECT description, concat_ws(' ', user_id, amount, status) FROM billing_history",
    "SELECT concat_ws(' ', 'event', user_id, data->>'key'), '' FROM sync_logs WHERE event_type = 'note.saved'",
];

/// Bills without their one entry in the audit trail, and entries without their bill.
const BILLS_WITHOUT_ENTRY: &str = "
    SELECT count(*) FROM billing_history made FULL JOIN (
        SELECT details->'about'->>'billingId' AS id, count(*) AS entries
        FROM audit_logs WHERE action = 'billing.create' GROUP BY 1
    ) told ON told.id = made.id
    WHERE made.id IS NULL OR told.entries IS DISTINCT FROM 1";

/// What a look at everything has shown.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) damage: Damage,
    /// Writes that nobody had an answer to at that moment.
    pub(crate) unknown: usize,
    /// What else is wrong.
    pub(crate) complaints: Vec<String>,
}

/// What is there of what is only added to: what about, and how it stands.
pub(crate) async fn added(url: &str) -> Vec<(String, String)> {
    facts(url, &ADDED).await
}

/// Complaints of sums that do not reconcile, in the database of that URL.
pub(crate) async fn unreconciled(url: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (query, what) in [
        (UNRECONCILED, "sums of usage are not those of their rows"),
        (BILLS_WITHOUT_ENTRY, "bills and audit entries disagree"),
    ] {
        let count: i64 = connect(url).await.query_one(query, &[]).await.unwrap().get(0);
        if count != 0 {
            complaints.push(format!("{count} {what}"));
        }
    }
    complaints
}

/// Compares while the load goes on: what was acknowledged before the look is there once, and nothing that nobody has asked for.
pub(crate) async fn glance(stage: &Stage, load: &Load) -> Judgement {
    let before = load.shared.journal.lock().unwrap().clone();
    let found = added(&stage.direct_url()).await;
    let mut since = load.shared.journal.lock().unwrap().as_known_in(&before);
    Judgement { damage: since.compare(&found), unknown: before.unknown(), complaints: Vec::new() }
}

/// Holds the load, compares; lets it finish what was not answered, compares again, and lets it go on.
pub(crate) async fn judge(stage: &Stage, load: &Load) -> Judgement {
    let mut judgement = Judgement::default();
    let shared = &load.shared;
    if !shared.gate.rest().await {
        judgement.complaints.push("some requests have no end".to_owned());
    }
    judgement.damage += compare(stage, load).await;
    if shared.gate.finish().await {
        judgement.damage += compare(stage, load).await;
        judgement.complaints.extend(told_sums(stage, load).await);
    } else {
        judgement.complaints.push("what was not answered is not answered when it is asked again".to_owned());
    }
    judgement.complaints.extend(unreconciled(&stage.direct_url()).await);
    judgement.damage += behind(stage, load).await;
    let verdict = stage.run(&["audit", "verify"]).await;
    judgement.complaints.extend(verdict.err());
    judgement.complaints.append(&mut shared.complaints.lock().unwrap());
    shared.gate.work();
    judgement
}

async fn compare(stage: &Stage, load: &Load) -> Damage {
    let names = format!("SELECT '{CHANGING}' || id, full_name FROM users WHERE full_name ~ '^Ada [0-9]+$'");
    let mut queries = ADDED.to_vec();
    queries.push(&names);
    let found = facts(&stage.direct_url(), &queries).await;
    load.shared.journal.lock().unwrap().compare(&found)
}

async fn facts(url: &str, queries: &[&str]) -> Vec<(String, String)> {
    let client = connect(url).await;
    let mut facts = Vec::new();
    for query in queries {
        let rows = client.query(*query, &[]).await.unwrap();
        facts.extend(rows.iter().map(|row| (row.get(0), row.get(1))));
    }
    facts
}

/// What people are told of their sums, if it is not what was recorded of them.
async fn told_sums(stage: &Stage, load: &Load) -> Vec<String> {
    let mut complaints = Vec::new();
    for person in &load.metered {
        let account = load.shared.accounts.lock().unwrap().get(&person.id).copied().unwrap_or_default();
        let (sums, cents) = (account.usage, account.cents);
        let usage = asked(stage, &person.access, "/v1/me/usage/summary", "/total").await;
        let wanted = format!("{} {} {}", sums.requests, sums.tokens, dollars(sums.cost));
        let told = ["requestCount", "totalTokens", "totalCost"].map(|field| plain(&usage[field])).join(" ");
        let bills = asked(stage, &person.access, "/v1/me/billing?limit=1", "/totals/0/amount").await;
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        for (told, wanted) in [(told, wanted), (plain(&bills), amount)] {
            if told != wanted {
                complaints.push(format!("the sum of {} is told as {told} instead of {wanted}", person.id));
            }
        }
    }
    complaints
}

async fn asked(stage: &Stage, token: &str, path: &str, pointer: &str) -> Value {
    let answer = Answer::of(stage.app.client.get(stage.url(path)).bearer_auth(token)).await;
    answer.body.pointer(pointer).cloned().unwrap_or_default()
}

/// A text or number of JSON without its quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What followers have not seen by now, or have seen as it must not be.
async fn behind(stage: &Stage, load: &Load) -> Damage {
    let places = facts(&stage.direct_url(), &["SELECT user_id, last::text FROM sync_places"]).await;
    let mut damage = Damage::default();
    let deadline = Instant::now() + CATCH_UP;
    for follower in &load.followers {
        let last = places.iter().find(|(user, _)| *user == follower.user);
        let last: u64 = last.map_or(0, |(_, last)| last.parse().unwrap());
        while follower.seen.lock().unwrap().last < last && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut seen = follower.seen.lock().unwrap();
        if seen.last != last {
            damage.lost.push(format!("a follower is at place {} of {last}", seen.last));
        }
        damage.lost.append(&mut seen.missed);
        damage.doubled.append(&mut seen.doubled);
    }
    damage
}
