//! `GET /v1/me` beside as many sign-ins as there can be: who is signed in already must hardly notice.

use std::thread;
use std::time::Duration;

use super::{login, me};
use crate::load::{Phase, drive};
use crate::measure::{Measured, Plan, measure};
use crate::row::{Budget, Row};
use crate::stage::Stage;
use crate::trouble::Outcome;

/// How much longer the slowest of a hundred reads may take.
const MOST: f64 = 2.0;
/// Whose profiles are read.
const PEOPLE: u64 = 64;
/// Readers that ask at a pace, and how often each does: far from what the server can answer.
const READERS: u16 = 16;
const PACE: Duration = Duration::from_millis(40);

/// Reads alone, and beside sign-ins: at a pace, then as fast as they are answered.
pub(crate) fn run(stage: &Stage, plan: Plan) -> Outcome<Vec<Row>> {
    let people = stage.people(PEOPLE)?;
    let mut rows = Vec::new();
    for (name, pace) in [("me at a pace", Some(PACE)), ("me at once", None)] {
        let read = |what: &str| {
            let readers = me::readers(&people, READERS);
            Ok::<_, crate::trouble::Trouble>(measure(stage, what, readers, pace, plan)?.0)
        };
        let calm = read(&format!("storm: {name}"))?;
        let stormy = beside_sign_ins(stage, plan, || read(&format!("storm: {name}, beside sign-ins")))?;
        rows.extend(pair(name, pace, calm, stormy));
    }
    Ok(rows)
}

/// Lets people sign in on as many connections as the plan has, before and while something is done.
fn beside_sign_ins<T>(stage: &Stage, plan: Plan, read: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let phase = Phase::default();
    thread::scope(|scope| {
        let callers = login::callers(stage, plan.connections);
        let storm = scope.spawn(|| drive(stage.server.address(), callers, None, &phase));
        thread::sleep(plan.warm_up);
        let read = read();
        phase.end();
        storm.join().unwrap()?;
        read
    })
}

fn pair(name: &str, pace: Option<Duration>, calm: Measured, mut stormy: Measured) -> [Row; 2] {
    // The sign-ins are in it.
    stormy.cost = None;
    let ratio = calm.p99.zip(stormy.p99).map(|(calm, stormy)| stormy.as_secs_f64() / calm.as_secs_f64());
    let alone = Row::rate(&format!("{name}, calm"), "/s", 1.0, calm);
    let mut beside = Row::rate(&format!("{name}, storm"), "/s", 1.0, stormy);
    beside.ratio = ratio;
    beside.budget = ratio.map(|ratio| Budget::at_most(MOST, ratio, ""));
    let paced = pace.map(|pace| format!("each asks every {} ms; ", pace.as_millis()));
    beside.remark = format!("{}the ratio is that of the p99", paced.unwrap_or_default());
    [alone, beside]
}
