//! `POST /v1/usage/events` with one event a request, each answered after its commit.

use std::io::Write as _;
use std::time::Instant;

use crate::answers::find;
use crate::copy::{TABLE, make_table};
use crate::fill::NOBODY;
use crate::load::Caller;
use crate::measure::{Plan, measure};
use crate::reference::{between, pgbench};
use crate::requests::write_post;
use crate::row::Row;
use crate::stage::Stage;
use crate::trouble::Outcome;

/// DESIGN, section 8.
const SHARE: f64 = 1.0;

const STATEMENT: &str = "INSERT INTO {table} (id, user_id, request_count, total_tokens, total_cost, feature_type, idempotency_key, \
                         created_at, occurred_at_given) VALUES (:id, :user, 1, :tokens, 0.00003, 'chat', :key, now(), true);";

pub(crate) fn run(stage: &Stage, plan: Plan) -> Outcome<Row> {
    make_table(stage)?;
    let script = format!(
        "\\set id random(1, {max})\n\\set key random(1, {max})\n\\set tokens random(0, 2000)\n\\set user random({}, {})\n{}\n",
        NOBODY + 1,
        NOBODY + stage.wanted.size.users,
        STATEMENT.replace("{table}", TABLE),
        max = i64::MAX,
    );
    let callers = Teller::several(stage, u64::from(plan.connections), 1)?;
    let reference = || pgbench(stage, "usage", &script, plan);
    let what = "pgbench: single-row INSERT into a table like it";
    let (measured, reference) = between(what, reference, || {
        Ok(measure(stage, "usage: POST /v1/usage/events", callers, None, plan)?.0)
    })?;
    Ok(Row::rate("usage", "events/s", 1.0, measured).against(reference, Some(SHARE)))
}

/// A program that tells of usage, so many events a request, under keys that nobody has used.
pub(super) struct Teller {
    key: String,
    users: u64,
    events: u64,
    /// What keys begin with.
    prefix: String,
    told: u64,
    /// The day, and where in it the program began.
    day: String,
    millis: u64,
    begun: Instant,
    body: Vec<u8>,
    hoped: String,
}

const DAY: u64 = 24 * 60 * 60 * 1000;

impl Teller {
    pub(super) fn several(stage: &Stage, count: u64, events: u64) -> Outcome<Vec<Self>> {
        let key = stage.service_key()?;
        let epoch = stage.database.number("extract(epoch FROM clock_timestamp()) * 1000")?;
        let day = stage.database.texts("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date::text")?.concat();
        let teller = |number| Self {
            key: key.clone(),
            users: stage.wanted.size.users,
            events,
            prefix: format!("{epoch}-{number}"),
            told: number * 7_919,
            day: day.clone(),
            millis: epoch % DAY,
            begun: Instant::now(),
            body: Vec::new(),
            hoped: format!("\"accepted\":{events},"),
        };
        Ok((0..count).map(teller).collect())
    }

    /// Of somebody else than the one before, now.
    fn event(&mut self) {
        self.told += 1;
        let user = NOBODY + 1 + self.told % self.users * 48_271 % self.users;
        // The clock of the database, for ours is nobody's to read; past midnight it is the same day's morning.
        let now = (self.millis + u64::try_from(self.begun.elapsed().as_millis()).unwrap()) % DAY;
        let [hours, minutes, seconds, millis] =
            [now / 3_600_000, now / 60_000 % 60, now / 1000 % 60, now % 1000];
        let _infallible = write!(
            self.body,
            r#"{{"userId":"{user}","requestCount":1,"totalTokens":{},"totalCost":"0.00003","featureType":"chat","idempotencyKey":"{}-{}","occurredAt":"{}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z"}}"#,
            self.told % 2_000,
            self.prefix,
            self.told,
            self.day,
        );
    }
}

impl Caller for Teller {
    fn ask(&mut self, request: &mut Vec<u8>) -> bool {
        self.body.clear();
        self.body.extend_from_slice(b"{\"events\":[");
        for number in 0..self.events {
            if number > 0 {
                self.body.push(b',');
            }
            self.event();
        }
        self.body.extend_from_slice(b"]}");
        write_post(request, "/v1/usage/events", &self.key, &self.body);
        true
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> bool {
        status == 200 && find(body, self.hoped.as_bytes()).is_some()
    }
}
