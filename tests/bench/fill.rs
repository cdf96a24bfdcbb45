//! Fills a database with people and with what they did, as the service would have written it.
//!
//! Identifiers are numbers, so that pgbench can draw them. Ten events of one person follow each other, a hundredth of all are of the
//! first, who is the busiest; what happened is spread evenly over the last year, who signed up over the last two.

mod indexes;

use crate::database::Database;
use crate::progress::{Progress, note};
use crate::requests::AGENT;
use crate::trouble::{Outcome, Trouble};

/// How much is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) users: u64,
    /// Of activity, and as many of usage.
    pub(crate) rows: u64,
}

/// The identifier of person number 0, whom there is not.
pub(crate) const NOBODY: u64 = 1_000_000_000_000_000_000;
/// The number of the busiest of all.
pub(crate) const BUSIEST: u64 = 1;
/// What everybody signs in with.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// Who may see all of it.
pub(crate) const ADMIN: &str = "admin@bench.example.com";
/// Rows that are written by one statement.
const CHUNK: u64 = 100_000;
/// Most sessions that are filled in.
const SESSIONS: u64 = 200_000;
/// What takes time, in this order.
const TABLES: [&str; 7] = [
    "users",
    "sessions",
    "user_activity",
    "user_usage_metrics",
    "usage_daily",
    "billing_history",
    "audit_logs",
];

const USERS: &str = "
    INSERT INTO users (id, email, password_hash, full_name, subscription_tier, email_verified, created_at, updated_at)
    SELECT ({nobody} + n)::text, 'person' || n || '@bench.example.com', '{hash}',
        (ARRAY['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Donald', 'Frances', 'Niklaus'])[1 + n % 8] || ' ' ||
        (ARRAY['Lovelace', 'Hopper', 'Turing', 'Dijkstra', 'Liskov', 'Knuth', 'Allen', 'Wirth', 'Hoare'])[1 + n % 9],
        (ARRAY['free', 'free', 'free', 'pro', 'enterprise'])[1 + n % 5], true, at, at
    FROM generate_series({from}::bigint, {to}) AS n,
        LATERAL (SELECT now() - interval '730 days' * (1 - n / {users}::float) AS at) AS time";

const SESSIONS_OF_SOME: &str = "
    INSERT INTO sessions (id, user_id, refresh_token, expires_at, created_at, user_agent, ip_address, last_used_at, authenticated_at)
    SELECT ({nobody} + n)::text, ({nobody} + n)::text, md5('one' || n) || md5('other' || n), now() + interval '30 days',
        now() - interval '1 day', '{agent}', '127.0.0.1', now() - interval '1 day', now() - interval '1 day'
    FROM generate_series({from}::bigint, {to}) AS n";

const ACTIVITY: &str = "
    INSERT INTO user_activity (id, user_id, action, data, created_at)
    SELECT (2 * {nobody} + n)::text, {person}, (ARRAY['sign_in', 'chat.opened', 'note.saved'])[1 + n % 3],
        '{\"from\": \"web\"}', {at}
    FROM generate_series({from}::bigint, {to}) AS n";

const USAGE: &str = "
    INSERT INTO user_usage_metrics (id, user_id, request_count, total_tokens, total_cost, feature_type, idempotency_key, created_at,
        occurred_at_given)
    SELECT (3 * {nobody} + n)::text, {person}, 1, n % 2000, (n % 1000) * 0.00003,
        (ARRAY['chat', 'search'])[1 + n % 2], 'filled-' || n, {at}, true
    FROM generate_series({from}::bigint, {to}) AS n";

/// The migration's own words: what the service sums in the statement that writes the rows.
const DAILY: &str = "
    INSERT INTO usage_daily (user_id, day, feature_type, events, request_count, total_tokens, total_cost)
    SELECT user_id, (created_at AT TIME ZONE 'UTC')::date, coalesce(feature_type, ''),
        count(*), sum(request_count), sum(total_tokens), sum(total_cost)
    FROM user_usage_metrics
    GROUP BY 1, 2, 3";

const BILLS: &str = "
    INSERT INTO billing_history (id, user_id, amount, status, description, created_at)
    SELECT (4 * {nobody} + n)::text, {person}, 20.00, 'completed', 'a month', {at}
    FROM generate_series({from}::bigint, {to}) AS n";

const AUDIT: &str = "
    INSERT INTO audit_logs (id, admin_id, user_id, subject_id, action, details, ip_address, created_at)
    SELECT (5 * {nobody} + n)::text, '{admin}', {person}, {person}, 'user.changed', '{\"fields\": [\"full_name\"]}',
        '127.0.0.1', {at}
    FROM generate_series({from}::bigint, {to}) AS n";

/// The identifier of a person by their number, the first being 1.
pub(crate) fn person(number: u64) -> String {
    (NOBODY + number).to_string()
}

/// The administrator's.
fn person_of_staff() -> String {
    person(0)
}

/// The address of a person.
pub(crate) fn address(number: u64) -> String {
    format!("person{number}@bench.example.com")
}

/// Fills a migrated database that is empty. The cost is that of everybody's hash.
pub(crate) fn fill(database: &Database, size: Size, cost: u32) -> Outcome {
    let hash = bcrypt::hash(PASSWORD, cost).map_err(Trouble::when("hash a password"))?;
    let admin = person_of_staff();
    database
        .run("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'; SET work_mem = '256MB'")?;
    database.run(&format!(
        "INSERT INTO users (id, email, password_hash, role, email_verified, created_at, updated_at)
         VALUES ('{admin}', '{ADMIN}', '{hash}', 'admin', true, now() - interval '800 days', now())"
    ))?;
    let indexes = indexes::take_away(database, &TABLES)?;
    let filler = Filler { database, size, hash: &hash };
    filler.write("people", USERS, size.users)?;
    filler.write("sessions", SESSIONS_OF_SOME, size.users.min(SESSIONS))?;
    filler.write("activity", ACTIVITY, size.rows)?;
    filler.write("usage", USAGE, size.rows)?;
    note("daily sums of usage");
    database.run(DAILY)?;
    filler.write("bills", BILLS, size.rows / 100)?;
    filler.write("audit trail", AUDIT, size.rows / 100)?;
    indexes.put_back(database)?;
    note("VACUUM ANALYZE");
    database.run("VACUUM ANALYZE")?;
    tidy(database)?;
    database.run("RESET ALL")
}

/// What the service does every ten minutes: days that are over go, and ranges of the list are cut.
fn tidy(database: &Database) -> Outcome {
    note("ranges of the list");
    database.run("DELETE FROM active_users WHERE day < now() - interval '3 days'")?;
    database.run("DELETE FROM active_user_counts WHERE day < now() - interval '3 days'")?;
    while database.number("coalesce(cut_user_range(256), false)::int")? == 1 {}
    database.run("VACUUM ANALYZE active_users, active_user_counts, user_ranges, user_range_counts")
}

struct Filler<'a> {
    database: &'a Database,
    size: Size,
    hash: &'a str,
}

impl Filler<'_> {
    /// Writes so many rows of one kind.
    fn write(&self, what: &str, sql: &str, rows: u64) -> Outcome {
        let users = self.size.users;
        let person = format!(
            "({NOBODY} + CASE WHEN n % 100 = 0 THEN 1 ELSE 1 + (n / 10) * 48271 % {users} END)::text"
        );
        let at = format!("now() - interval '365 days' * (1 - n / {rows}::float)");
        let sql = sql.replace("{person}", &person).replace("{at}", &at);
        let sql = sql.replace("{nobody}", &NOBODY.to_string()).replace("{hash}", self.hash);
        let sql = sql.replace("{users}", &users.to_string()).replace("{agent}", AGENT);
        let sql = sql.replace("{admin}", &person_of_staff());
        let mut progress = Progress::begin(format!("{rows} {what}"), rows);
        for from in (1..=rows).step_by(usize::try_from(CHUNK).unwrap()) {
            let to = rows.min(from + CHUNK - 1);
            self.database.run(&sql.replace("{from}", &from.to_string()).replace("{to}", &to.to_string()))?;
            progress.reached(to);
        }
        Ok(())
    }
}
