//! Whether what was filled in is what the service would have written: asked of the service, held against the rows.

use serde_json::{Value, json};

use crate::black_box::sums::UNRECONCILED;
use crate::fill::{BUSIEST, person};
use crate::plain::{expect, get};
use crate::progress::note;
use crate::stage::Stage;
use crate::trouble::Outcome;

/// Rows up to which sums are compared with all of them.
const FEW: u64 = 3_000_000;

/// What does not agree.
pub(crate) fn disagreements(stage: &Stage) -> Outcome<Vec<String>> {
    note("figures are compared with the rows");
    let mut disagreements = Vec::new();
    let mut ask = |path: &str| {
        let answer = expect(get(stage.server.address(), path, &stage.admin.access), 200, path);
        answer.unwrap_or_else(|trouble| {
            disagreements.push(trouble.to_string());
            Value::Null
        })
    };
    let (stats, list) = (ask("/v1/admin/stats"), ask("/v1/admin/users"));
    let busiest = person(BUSIEST);
    let person = ask(&format!("/v1/admin/users/{busiest}"));
    let of_busiest = |table: &str| format!("count(*) FROM {table} WHERE user_id = '{busiest}'");
    let mut told = vec![
        ("total users", &stats["totalUsers"], "count(*) FROM users WHERE deleted_at IS NULL".to_owned()),
        ("people in the list", &list["total"], "count(*) FROM users WHERE deleted_at IS NULL".to_owned()),
        ("usage", &stats["totalUsageMetrics"], "count(*) FROM user_usage_metrics".to_owned()),
        (
            "people who were active today",
            &stats["activeUsersToday"],
            "count(DISTINCT user_id) FROM user_activity WHERE created_at >= date_trunc('day', now(), 'UTC')"
                .to_owned(),
        ),
        ("usage of the busiest", &person["counts"]["usage"], of_busiest("user_usage_metrics")),
        ("activity of the busiest", &person["counts"]["activity"], of_busiest("user_activity")),
    ];
    let none = json!(0);
    if stage.wanted.size.rows <= FEW {
        let query = UNRECONCILED.trim().trim_start_matches("SELECT").to_owned();
        told.push(("daily sums that are not those of their rows", &none, query));
    }
    for (what, told, query) in told {
        let counted = stage.database.number(&query)?;
        if !told.is_null() && *told != counted {
            disagreements.push(format!("{what}: told {told}, counted {counted}"));
        }
    }
    Ok(disagreements)
}
