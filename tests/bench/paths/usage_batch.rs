//! `POST /v1/usage/events` with a thousand events a request.

use super::usage::Teller;
use crate::copy::{Parts, make_table, rate};
use crate::measure::{Plan, measure};
use crate::reference::between;
use crate::row::Row;
use crate::stage::Stage;
use crate::trouble::Outcome;

/// DESIGN, section 8.
const SHARE: f64 = 0.35;
const EVENTS: u64 = 1_000;
/// One of so many connections of the plan is used: those who send batches are few.
const FEWER: u64 = 8;
/// Batches that are copied for a second of the plan.
const BATCHES: u64 = 20;

/// Two rows: against COPY of batches over as many connections, which the budget is for, and of all rows in one stream.
pub(crate) fn run(stage: &Stage, plan: Plan) -> Outcome<[Row; 2]> {
    make_table(stage)?;
    let connections = (u64::from(plan.connections) / FEWER).max(1);
    let batches = BATCHES * plan.length.as_secs().max(1);
    let stream = rate(stage, Parts::Whole, batches, 1)?;
    let callers = Teller::several(stage, connections, EVENTS)?;
    let copy = || rate(stage, Parts::Batches, batches, connections);
    let what = "COPY of such rows, a thousand a transaction, over as many connections, into a table like it";
    let what_is_told = "usage-batch: POST /v1/usage/events, 1,000 each";
    let (measured, reference) =
        between(what, copy, || Ok(measure(stage, what_is_told, callers, None, plan)?.0))?;
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let row = Row::rate("usage-batch", "events/s", EVENTS as f64, measured);
    let figure = row.figure;
    let after = rate(stage, Parts::Whole, batches, 1)?;
    let whole = crate::reference::Reference {
        what: "COPY of such rows, all in one transaction, over one connection".to_owned(),
        before: stream,
        after,
    };
    let ours = row.ours.clone();
    let second = Row { path: "… one stream".to_owned(), ours, figure, ..Row::default() };
    Ok([row.against(reference, Some(SHARE)), second.against(whole, None)])
}
