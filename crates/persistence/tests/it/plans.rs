//! How PostgreSQL finds what is read: by which indexes of growing tables, and never by all of one. What it is to be is kept in `plans.txt`,
//! for PostgreSQL 15: others plan a little differently.

mod ear;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::future::Future;
use std::path::Path;

use subtle_domain::Timestamp;
use subtle_domain::audit::AuditQuery;
use subtle_domain::billing::BillingQuery;
use subtle_domain::directory::{PageStart, UserQuery, UserSort, UserSortKey};
use subtle_domain::note::NoteQuery;
use subtle_domain::ports::{
    Accounts, AuditTrail, Billing, Directory, Health, Notes, Sessions, SyncEvents, Timelines, UsageReports,
};
use subtle_domain::session::SessionPolicy;
use subtle_domain::sync::Place;
use subtle_domain::usage::{Days, Month, UsageGrouping};
use subtle_domain::user::{Role, SubscriptionTier};
use subtle_persistence::{
    Database, PgAccounts, PgAuditTrail, PgBilling, PgDirectory, PgHealth, PgNotes, PgSessions, PgSyncEvents,
    PgTimelines, PgUsageReports,
};

use crate::support::{Home, user_id};
use ear::Ear;

/// Tables that grow with the number of people or with what they do.
const GROWING: [&str; 12] = [
    "users",
    "sessions",
    "user_activity",
    "user_usage_metrics",
    "usage_daily",
    "usage_reservations",
    "user_quotas",
    "billing_history",
    "admin_notes",
    "audit_logs",
    "sync_logs",
    "bridge_tokens",
];

/// The last minute in which something happened.
const NOW: &str = "2026-01-20T12:00:00Z";

/// 10,000 people, of whom `u1` has a tenth of all that is there: of each kind as many rows as ANALYZE reads, which makes it exact.
const ROWS: &str = "
    INSERT INTO users (id, email, full_name, password_hash, created_at, role, subscription_tier)
    SELECT 'u' || n, md5(n::text) || '@example.com', md5('name' || n), repeat('x', 60), timestamptz '2026-01-20T12:00:00Z' - n * interval '1 hour',
        CASE WHEN n % 2000 = 7 THEN 'admin' ELSE 'user' END, CASE WHEN n % 10 = 7 THEN 'pro' ELSE 'free' END
    FROM generate_series(1, 10000) AS n;
    CREATE TEMPORARY TABLE row AS
    SELECT n, 'u' || CASE WHEN n % 10 = 0 THEN 1 ELSE n * 7919 % 10000 + 1 END AS person, timestamptz '2026-01-20T12:00:00Z' - n * interval '1 minute' AS at
    FROM generate_series(1, 30000) AS n;
    INSERT INTO sessions (id, user_id, refresh_token, expires_at, created_at, last_used_at, authenticated_at)
    SELECT n, person, md5(n::text), at + interval '30 days', at, at, at FROM row;
    INSERT INTO user_activity (id, user_id, action, created_at) SELECT n, person, 'a' || n % 5, at FROM row;
    INSERT INTO user_usage_metrics (id, user_id, request_count, feature_type, idempotency_key, created_at)
    SELECT n, person, 1, 'chat', n, at FROM row;
    INSERT INTO usage_daily (user_id, day, feature_type, events, request_count, total_tokens, total_cost)
    SELECT user_id, (created_at AT TIME ZONE 'UTC')::date, feature_type, count(*), 1, 1, 1 FROM user_usage_metrics GROUP BY 1, 2, 3;
    INSERT INTO usage_reservations (id, user_id, request_count, total_tokens, total_cost, created_at, expires_at)
    SELECT n, person, 1, 1, 1, at, at + interval '1 hour' FROM row;
    INSERT INTO user_quotas (user_id, metric, amount) SELECT id, 'tokens', 1 FROM users;
    INSERT INTO billing_history (id, user_id, amount, status, created_at) SELECT n, person, 1, 'pending', at FROM row;
    INSERT INTO admin_notes (id, user_id, admin_id, note, is_flagged, created_at)
    SELECT n, person, 'u1', 'x', n % 50 = 0, at FROM row;
    INSERT INTO audit_logs (id, admin_id, user_id, subject_id, action, created_at)
    SELECT n, 'u1', person, person, 'x', at FROM row;
    INSERT INTO sync_logs (id, user_id, event_type, event_source, place, created_at)
    SELECT n, person, 'x', 'x', row_number() OVER (PARTITION BY person ORDER BY n), at FROM row";

/// How a read from end to end is written down, before the table's name.
const WHOLE: &str = "all of ";

/// PostgreSQL settles for a plan after five runs: it is one for all parameters, or each is planned anew.
const RUNS: u32 = 8;

/// What was planned, by what was asked.
struct Plans {
    ear: Ear,
    health: PgHealth,
    text: String,
    /// Reads of growing tables from end to end.
    whole: Vec<String>,
}

impl Plans {
    async fn of<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(
        &mut self,
        what: &str,
        ask: impl Fn() -> F,
    ) {
        for _ in 0..RUNS {
            ask().await.unwrap();
        }
        // What was told of a statement comes before the answer to the next.
        self.health.ping().await.unwrap();
        let heard = self.ear.heard();
        let reads: BTreeSet<String> = heard.iter().flat_map(|told| told.lines()).filter_map(read).collect();
        assert!(!reads.is_empty(), "no plan was heard for {what}");
        let _infallible = writeln!(self.text, "{what}");
        for read in reads {
            let _infallible = writeln!(self.text, "    {read}");
            if read.strip_prefix(WHOLE).is_some_and(|table| GROWING.contains(&table)) {
                self.whole.push(format!("{what}: {read}"));
            }
        }
    }
}

/// What a line of a plan reads: the name of an index, or all of a table. Which of the ways to use an index PostgreSQL takes depends on what it
/// has vacuumed, so it is left out.
fn read(line: &str) -> Option<String> {
    let (node, _) = line.split_once("  (cost=")?;
    let first = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    if let Some((_, table)) = node.split_once("Seq Scan on ") {
        return Some(format!("{WHOLE}{}", first(table)));
    }
    let index = node.split_once(" using ").or_else(|| node.split_once("Bitmap Index Scan on "));
    index.map(|(_, index)| first(index))
}

async fn lists(plans: &mut Plans, pool: &Database, now: Timestamp) {
    let directory = &PgDirectory::new(pool.clone());
    let first = UserQuery {
        start: PageStart::Number(1),
        page_size: 20,
        search: None,
        tier: None,
        role: None,
        sort: UserSort::default(),
    };
    for key in UserSortKey::ALL {
        for descending in [false, true] {
            let sort = UserSort { key: *key, descending };
            let what = format!("users by {key:?}{}", if descending { ", descending" } else { "" });
            let one = &UserQuery { sort, ..first.clone() };
            plans.of(&what, || directory.page(one)).await;
            let next = directory.page(one).await.unwrap().next.unwrap();
            let other = &UserQuery { start: PageStart::After(next), ..one.clone() };
            plans.of(&format!("{what}, behind a cursor"), || directory.page(other)).await;
            let far = &UserQuery { start: PageStart::Number(400), ..one.clone() };
            plans.of(&format!("{what}, far behind"), || directory.page(far)).await;
        }
    }
    let few = &UserQuery { role: Some(Role::Admin), ..first.clone() };
    plans.of("users of a role", || directory.page(few)).await;
    let some = &UserQuery {
        tier: Some(SubscriptionTier::Pro),
        start: PageStart::Number(40),
        sort: UserSort { key: UserSortKey::FullName, descending: false },
        ..first.clone()
    };
    plans.of("users of a tier by FullName, far behind", || directory.page(some)).await;
    for (what, text) in
        [("", "c4ca4238a0b9"), (" by an address", "c4ca4238a0b923820dcc509a6f75849b@example.com")]
    {
        let search = &UserQuery { search: Some(text.to_owned()), ..first.clone() };
        plans.of(&format!("users, searched for{what}"), || directory.page(search)).await;
    }
    plans.of("figures", || directory.stats(now)).await;
    let everybodys = &BillingQuery { user_id: None, status: None };
    let billing = &PgBilling::new(pool.clone());
    plans.of("bills", || billing.records(everybodys, None, 20)).await;
    let notes = &PgNotes::new(pool.clone());
    let flagged = &NoteQuery { user_id: None, flagged: Some(true) };
    plans.of("notes that are flagged", || notes.page(flagged, None, 20)).await;
    let (trail, all) = (&PgAuditTrail::new(pool.clone()), &AuditQuery::default());
    plans.of("audit trail", || trail.page(all, None, 20)).await;
}

async fn of_one(plans: &mut Plans, pool: &Database, now: Timestamp, name: &str) {
    let person = &user_id(name);
    let named = |what: &str| format!("{what} of {}", if name == "u1" { "the busiest" } else { "one" });
    let accounts = &PgAccounts::new(pool.clone());
    plans.of(&named("account"), || accounts.find(person)).await;
    let (sessions, policy) = (&PgSessions::new(pool.clone()), &SessionPolicy::default());
    plans.of(&named("sessions"), || sessions.live(person, policy, now, None, 20)).await;
    let timelines = &PgTimelines::new(pool.clone());
    plans.of(&named("timeline"), || timelines.activity(person, None, 20)).await;
    plans.of(&named("summary of activity"), || timelines.summary(person, now)).await;
    let (usage, month) = (&PgUsageReports::new(pool.clone()), Month::of(now));
    let days = Days { from: "2026-01-01".parse().unwrap(), to: "2026-01-31".parse().unwrap() };
    plans.of(&named("usage"), || usage.rows(person, None, 20)).await;
    plans.of(&named("usage by day"), || usage.groups(person, days, UsageGrouping::Day)).await;
    plans.of(&named("usage by feature"), || usage.groups(person, days, UsageGrouping::Feature)).await;
    plans.of(&named("quota"), || usage.quota(person, month, now)).await;
    let theirs = &BillingQuery { user_id: Some(person.clone()), status: None };
    let billing = &PgBilling::new(pool.clone());
    plans.of(&named("bills"), || billing.records(theirs, None, 20)).await;
    let notes = &PgNotes::new(pool.clone());
    let on_them = &NoteQuery { user_id: Some(person.clone()), flagged: None };
    plans.of(&named("notes"), || notes.page(on_them, None, 20)).await;
    let trail = &PgAuditTrail::new(pool.clone());
    plans.of(&named("audit trail"), || trail.acts_on(person, None, 20)).await;
    let sync = &PgSyncEvents::new(pool.clone());
    plans.of(&named("sync log"), || sync.after(person, Place::START, 20)).await;
}

#[tokio::test]
async fn reads_go_by_the_indexes_of_growing_tables() {
    let home = Home::new().await;
    home.run(ROWS).await;
    while home.value("SELECT cut_user_range(100, 4)").await == "t" {}
    home.run("VACUUM ANALYZE").await;
    let now = NOW.parse().unwrap();
    let Some((ear, pool)) = Ear::at(&home).await else { return };
    let mut plans =
        Plans { ear, health: PgHealth::new(pool.clone()), text: String::new(), whole: Vec::new() };
    lists(&mut plans, &pool, now).await;
    of_one(&mut plans, &pool, now, "u2").await;
    of_one(&mut plans, &pool, now, "u1").await;
    let seen = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plans.txt");
    fs::write(&seen, &plans.text).unwrap();
    assert!(plans.whole.is_empty(), "read from end to end: {:?}: see {}", plans.whole, seen.display());
    assert!(
        plans.text == include_str!("plans/plans.txt")
            || !home.value("SHOW server_version").await.starts_with("15."),
        "what is planned has changed; if it is as good, take it over: cp {} crates/persistence/tests/it/plans/plans.txt",
        seen.display()
    );
}
