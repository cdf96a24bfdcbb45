//! Who may do what: every operation of the document by everybody, so that a new route cannot be forgotten.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};

use crate::support::{Answer, Document, Operation, Person};

mod cast;
mod precedence;
mod rules;
mod wall;

use cast::{Actor, Stage};
use rules::{Who, rule};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    TokenNeeded,
    TokenRefused,
    Forbidden,
    NotFound,
    /// An administrator's own account is not theirs to delete: there must be one left.
    OwnAccount,
}

fn expected(operation: &Operation, actor: Actor) -> Outcome {
    let named = operation.path.contains("{id}");
    match (rule(operation), actor) {
        // The identifier in the path is always one of the owner's: to everybody else it does not exist.
        (Who::Anybody, _)
        | (Who::SignedIn, Actor::Owner)
        | (Who::Programs | Who::Billers, Actor::Program) => Outcome::Done,
        (_, Actor::Anonymous) => Outcome::TokenNeeded,
        (Who::Programs, _) | (_, Actor::Disabled | Actor::Program) => Outcome::TokenRefused,
        (Who::SignedIn, Actor::Admin) if operation.is("DELETE", "/v1/me") => Outcome::OwnAccount,
        (Who::SignedIn, _) if named => Outcome::NotFound,
        (Who::SignedIn, _)
        | (Who::Staff, Actor::Support | Actor::Admin)
        | (Who::Administrators | Who::Billers, Actor::Admin) => Outcome::Done,
        (Who::Staff | Who::Administrators | Who::Billers, _) => Outcome::Forbidden,
    }
}

/// Checks what became of a request.
#[track_caller]
fn check(answer: Answer, outcome: Outcome, what: &str) -> Answer {
    let ok = (200..300).contains(&answer.status);
    let challenge = answer.header("www-authenticate").to_owned();
    let (status, problem) = match outcome {
        Outcome::Done => {
            assert!(ok, "{what}: {} {}", answer.status, answer.text);
            return answer;
        }
        Outcome::TokenNeeded => (401, "authentication-required"),
        Outcome::TokenRefused => (401, "invalid-token"),
        Outcome::Forbidden => (403, "forbidden"),
        Outcome::NotFound => (404, "not-found"),
        Outcome::OwnAccount => (409, "own-account"),
    };
    assert_eq!(answer.status, status, "{what}: {}", answer.text);
    let expected = match outcome {
        Outcome::TokenNeeded => "Bearer",
        Outcome::TokenRefused => "Bearer error=\"invalid_token\"",
        _ => "",
    };
    assert_eq!(challenge, expected, "{what}");
    answer.expect_problem(status, problem)
}

/// One operation by one actor, on the things of an owner who was not there before.
async fn act(stage: &Stage, operation: &Operation, actor: Actor) -> Answer {
    let what = format!("{} {} by {actor:?}", operation.method, operation.path);
    let owner = Person::sign_up(&stage.app).await;
    let caller = stage.enter(actor, &owner).await;
    let factor = stage.factor_for(operation, caller.as_ref(), &owner).await;
    let factor = factor.as_ref();
    let before = stage.traces(&owner).await;
    let outcome = expected(operation, actor);
    let id = stage.id_in(operation, &owner).await;
    let answer = stage.call(operation, caller.as_ref(), &owner, &id, factor).await;
    let answer = check(answer, outcome, &what);
    if outcome != Outcome::Done {
        assert_eq!(stage.traces(&owner).await, before, "{what} was refused and changed something");
    }
    if outcome == Outcome::NotFound {
        let missing =
            stage.call(operation, caller.as_ref(), &owner, "nobodyhasthisidentifier01", factor).await;
        assert_eq!(without_id(&missing), without_id(&answer), "{what}");
        assert_eq!(names(&missing), names(&answer), "{what}");
    }
    answer
}

fn without_id(answer: &Answer) -> (u16, Value) {
    let mut body = answer.body.clone();
    body["requestId"].take();
    (answer.status, body)
}

fn names(answer: &Answer) -> BTreeSet<&str> {
    answer.headers.keys().map(reqwest::header::HeaderName::as_str).collect()
}

#[tokio::test]
async fn every_operation_does_for_everybody_what_its_rule_says_and_shows_what_the_document_names() {
    let stage = Stage::set().await;
    let document = Document::committed();
    let operations = document.operations();
    assert!(operations.len() >= 21, "{}", operations.len());
    let scenes = operations.iter().flat_map(|operation| Actor::ALL.map(|actor| (operation, actor)));
    let scenes = scenes.map(|(operation, actor)| {
        let (stage, document) = (&stage, &document);
        async move {
            let answer = act(stage, operation, actor).await;
            document.check(operation, &answer);
            answer.text
        }
    });
    let told: Vec<String> = stream::iter(scenes).buffer_unordered(4).collect().await;
    let secrets = stage.secrets().await;
    assert!(secrets.len() > 100, "{}", secrets.len());
    for text in told {
        let looks_hashed = looks_hashed(&text);
        assert!(!looks_hashed && !secrets.iter().any(|secret| text.contains(secret)), "{text}");
    }
}

/// Whether there is a bcrypt hash or a digest in it, in hexadecimal or base64.
fn looks_hashed(text: &str) -> bool {
    let digits = |run: &str| run.len() >= 32 && run.bytes().all(|b| b.is_ascii_hexdigit());
    ["$2a$", "$2b$", "$2y$", "$argon2"].iter().any(|prefix| text.contains(prefix))
        || text.split(|c: char| !c.is_ascii_alphanumeric()).any(digits)
}

#[test]
fn the_document_guards_what_the_rules_guard() {
    for operation in Document::committed().operations() {
        assert_eq!(operation.is_guarded(), rule(&operation) != Who::Anybody, "{operation:?}");
    }
}

#[test]
#[should_panic(expected = "has no rule")]
fn an_operation_without_a_rule_fails_the_walk() {
    rule(&Operation::invented("GET", "/v1/invented"));
}

#[test]
fn a_hash_in_an_answer_would_be_seen() {
    assert!(looks_hashed(r#"{"a":"$2b$10$abc"}"#) && looks_hashed(&format!("x:\"{}\"", "0a".repeat(32))));
    assert!(!looks_hashed(r#"{"id":"cmb3x0f5e0000abcd1234efgh"}"#));
}

#[tokio::test]
async fn a_demotion_counts_at_once_and_so_does_a_promotion() {
    let stage = Stage::set().await;
    let app = &stage.app;
    let grace = stage.person_with("role = 'admin'").await;
    let ada = app.person().await;
    let path = format!("/v1/admin/users/{}", grace.id);
    stage.admin().send_json(app, "PATCH", &path, &json!({"role": "support"})).await.expect(200);
    grace.send(app, "GET", "/v1/admin/users").await.expect_problem(403, "forbidden");
    let path = format!("/v1/admin/users/{}", ada.id);
    ada.send(app, "GET", &path).await.expect_problem(403, "forbidden");
    stage.admin().send_json(app, "PATCH", &path, &json!({"role": "admin"})).await.expect(200);
    ada.send(app, "GET", &path).await.expect(200);
}
