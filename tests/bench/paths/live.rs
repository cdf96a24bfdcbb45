//! `GET /health/live`: nothing but the server's and the load tool's own work.

use crate::measure::{Plan, measure};
use crate::requests::get;
use crate::row::Row;
use crate::stage::Stage;
use crate::trouble::Outcome;
use crate::turns::Turns;

pub(crate) fn run(stage: &Stage, plan: Plan) -> Outcome<Row> {
    let callers = Turns::several(&[get("/health/live", "")], plan.connections);
    let (measured, _) = measure(stage, "live: GET /health/live", callers, None, plan)?;
    let load_tool = measured.cost.map(|cost| cost.load_tool);
    let remark = load_tool.map(|micros| format!("the load tool itself takes {micros:.1} µs a request"));
    Ok(Row { remark: remark.unwrap_or_default(), ..Row::rate("live", "/s", 1.0, measured) })
}
