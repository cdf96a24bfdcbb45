//! `GET /v1/admin/users`: pages of people with the counts of what they have.

use crate::measure::{Plan, measure};
use crate::requests::get;
use crate::row::Row;
use crate::stage::Stage;
use crate::trouble::Outcome;
use crate::turns::Turns;

/// Pages of the usual size that are asked for by turns.
const PAGES: u64 = 100;
const PAGE_SIZE: u64 = 20;
/// One of so many connections of the plan is used: administrators are few.
const FEWER: u16 = 8;

pub(crate) fn run(stage: &Stage, plan: Plan) -> Outcome<Row> {
    let pages = (stage.wanted.size.users / PAGE_SIZE).clamp(1, PAGES);
    let page = |number| get(&format!("/v1/admin/users?page={number}"), &stage.admin.access);
    let requests: Vec<_> = (1..=pages).map(page).collect();
    let callers = Turns::several(&requests, (plan.connections / FEWER).max(1));
    let (measured, _) = measure(stage, "admin: GET /v1/admin/users", callers, None, plan)?;
    let row = Row::rate("admin", "pages/s", 1.0, measured);
    Ok(Row { remark: format!("pages 1 to {pages} of {PAGE_SIZE}, by turns"), ..row })
}
