//! `GET /v1/me`: reads of profiles, those of many people.

use crate::fill::NOBODY;
use crate::measure::{Plan, measure};
use crate::people::Person;
use crate::reference::{between, pgbench};
use crate::requests::get;
use crate::row::Row;
use crate::stage::Stage;
use crate::trouble::Outcome;
use crate::turns::Turns;

/// DESIGN, section 8.
const SHARE: f64 = 0.5;
/// Whose profiles are read.
const PEOPLE: u64 = 256;

/// What `persistence::accounts` reads, without the transaction and the role that it puts around.
const STATEMENT: &str = "SELECT id, email, full_name, avatar_url, subscription_tier, email_verified, created_at, updated_at, role, \
                         disabled_at, deleted_at, second_factor_at FROM users WHERE id = :id LIMIT 1;";

pub(crate) fn run(stage: &Stage, plan: Plan) -> Outcome<Row> {
    let callers = readers(&stage.people(PEOPLE)?, plan.connections);
    let users = stage.wanted.size.users;
    let script = format!("\\set id random({}, {})\n{STATEMENT}\n", NOBODY + 1, NOBODY + users);
    let reference = || pgbench(stage, "me", &script, plan);
    let what = "pgbench: its SELECT";
    let (measured, reference) =
        between(what, reference, || Ok(measure(stage, "me: GET /v1/me", callers, None, plan)?.0))?;
    Ok(Row::rate("me", "/s", 1.0, measured).against(reference, Some(SHARE)))
}

/// So many readers of these people's profiles.
pub(crate) fn readers(people: &[Person], count: u16) -> Vec<Turns> {
    Turns::several(&people.iter().map(|person| get("/v1/me", &person.access)).collect::<Vec<_>>(), count)
}
