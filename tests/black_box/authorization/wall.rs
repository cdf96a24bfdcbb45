//! A wall without a door (row-level security): once the policies show nobody anything, no operation of one person tells or changes
//! anything, so that none can be forgotten that would do without them.

use serde_json::{Value, json};

use super::cast::{Actor, Stage};
use super::rules::{Who, rule};
use crate::support::{Answer, Document, Operation, Person};

/// They look at the password first, which the role may not read: whoever knows it gets further, or as far as the account's lock.
const BESIDE_IT: [&str; 2] = ["POST /v1/auth/reauthenticate", "POST /v1/me/password"];

const CLOSE: &str = "
    DO $$
    DECLARE
        relation REGCLASS;
    BEGIN
        FOR relation IN SELECT polrelid FROM pg_policy WHERE polname = 'own_rows' LOOP
            EXECUTE format('ALTER POLICY own_rows ON %s USING (false)', relation);
        END LOOP;
    END;
    $$";

/// Somebody of whom there is something in every list.
async fn known(stage: &Stage) -> Person {
    let (app, person) = (&stage.app, Person::sign_up(&stage.app).await);
    let program = stage.enter(Actor::Program, &person).await.unwrap();
    let id = &person.id;
    let used = json!({"events": [{"userId": id, "totalTokens": 1, "totalCost": "0.1"}]});
    program.send_json(app, "POST", "/v1/usage/events", &used).await.expect(200);
    let done = json!({"events": [{"userId": id, "action": "export"}]});
    program.send_json(app, "POST", "/v1/activity", &done).await.expect(200);
    let bill = app.request("POST", "/v1/billing").bearer_auth(&program.access);
    let bill = bill.header("idempotency-key", id).json(&json!({"userId": id, "amount": "12.50"}));
    Answer::of(bill).await.expect(201);
    let event = json!({"eventType": "settings.changed", "eventSource": "web"});
    person.send_json(app, "POST", "/v1/sync/events", &event).await.expect(201);
    person
}

/// Whether an answer tells anything of somebody.
fn tells(answer: &Answer) -> bool {
    let is_stream = answer.header("content-type") == "text/event-stream";
    answer.status < 400 && if is_stream { !answer.text.contains("id: 0\n") } else { says(&answer.body) }
}

/// Whether there is an entry or an amount in it.
fn says(body: &Value) -> bool {
    match body {
        Value::Array(entries) => !entries.is_empty(),
        Value::Object(members) => members.contains_key("email") || members.values().any(says),
        Value::Number(amount) => amount.as_f64() != Some(0.0),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

#[tokio::test]
async fn behind_policies_that_show_nobody_anything_no_operation_of_one_person_tells_or_does_anything() {
    let stage = Stage::set().await;
    let owner = known(&stage).await;
    let operations = Document::committed().operations();
    let name = |operation: &Operation| format!("{} {}", operation.method, operation.path);
    let own = |operation: &&Operation| {
        rule(operation) == Who::SignedIn && !BESIDE_IT.contains(&name(operation).as_str())
    };
    let own: Vec<_> = operations.iter().filter(own).collect();
    let call =
        async |operation: &Operation| stage.call(operation, Some(&owner), &owner, &owner.session, None).await;
    for operation in own.iter().filter(|operation| operation.method == "GET") {
        let answer = call(operation).await;
        // Nobody has asked them for a second factor.
        assert!(tells(&answer) || operation.path.ends_with("/second-factor"), "{}", name(operation));
    }
    stage.app.sql(CLOSE).await;
    let before = stage.traces(&owner).await;
    for operation in own {
        let answer = call(operation).await;
        assert!(!tells(&answer), "{} goes around the wall: {}", name(operation), answer.text);
        assert_eq!(stage.traces(&owner).await, before, "{} goes around the wall", name(operation));
    }
}
