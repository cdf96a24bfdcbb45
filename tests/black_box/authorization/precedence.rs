//! Who may not do a thing learns nothing of what they asked, not even that it was asked wrongly.

use serde_json::json;

use super::cast::Stage;
use super::rules::{Who, rule};
use crate::support::{Answer, Document, Operation};

async fn ask_wrongly(stage: &Stage, operation: &Operation, token: Option<&str>) -> Answer {
    let path = operation.path.replace("{id}", "%00");
    let mut request = stage.app.request(&operation.method, &format!("{path}?nope=1"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if operation.takes_body() {
        request = request.json(&json!({"nope": 1}));
    }
    Answer::of(request).await
}

#[tokio::test]
async fn a_wrong_request_of_who_may_not_make_it_is_refused_for_that_alone() {
    let stage = Stage::set().await;
    let ada = stage.app.person().await;
    for operation in Document::committed().operations() {
        let who = rule(&operation);
        if who != Who::Anybody {
            ask_wrongly(&stage, &operation, None).await.expect_problem(401, "authentication-required");
            ask_wrongly(&stage, &operation, Some("x")).await.expect_problem(401, "invalid-token");
        }
        if matches!(who, Who::Staff | Who::Administrators | Who::Billers) {
            ask_wrongly(&stage, &operation, Some(&ada.access)).await.expect_problem(403, "forbidden");
        }
    }
}
