//! `POST /v1/auth/login`: as many sign-ins as the cores have time to verify passwords.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::fill::{PASSWORD, address};
use crate::measure::{Plan, measure};
use crate::people::SignsIn;
use crate::progress::note;
use crate::reference::between;
use crate::row::Row;
use crate::stage::Stage;
use crate::trouble::{Outcome, Trouble};

/// DESIGN, section 8.
const SHARE: f64 = 0.9;
/// How long one core verifies passwords for the reference.
const LOOK: Duration = Duration::from_secs(2);

pub(crate) fn run(stage: &Stage, plan: Plan) -> Outcome<Row> {
    let reference = || {
        note("login: one core's bcrypt");
        verifications(stage.wanted.cost)
    };
    let what = "cores ÷ time of one verification";
    let callers = callers(stage, plan.connections);
    let (measured, reference) =
        between(
            what,
            reference,
            || Ok(measure(stage, "login: POST /v1/auth/login", callers, None, plan)?.0),
        )?;
    Ok(Row::rate("login", "/s", 1.0, measured).against(reference, Some(SHARE)))
}

/// So many who sign in somebody else each time.
pub(crate) fn callers(stage: &Stage, count: u16) -> Vec<SignsIn> {
    let users = stage.wanted.size.users;
    let (count, step) = (u64::from(count), usize::from(count.max(1)));
    let caller = |first| SignsIn::all((first..=users).step_by(step).cycle().map(address));
    (1..=count.min(users)).map(caller).collect()
}

/// How many passwords all cores verify in a second, if each does what one does alone.
fn verifications(cost: u32) -> Outcome<f64> {
    let trouble = || Trouble::when("hash a password");
    let hash = bcrypt::hash(PASSWORD, cost).map_err(trouble())?;
    let (begun, mut count) = (Instant::now(), 0_u32);
    while begun.elapsed() < LOOK {
        black_box(bcrypt::verify(PASSWORD, &hash).map_err(trouble())?);
        count += 1;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let each = begun.elapsed().as_secs_f64() / f64::from(count);
    Ok(f64::from(u32::try_from(cores).unwrap()) / each)
}
