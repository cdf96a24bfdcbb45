//! Notes of support.

use serde_json::json;

use crate::support::{Answer, Person, TestApp, fresh_email};

async fn note(app: &TestApp, by: &Person, on: &Person, text: &str, is_flagged: bool) -> Answer {
    let path = format!("/v1/admin/users/{}/notes", on.id);
    by.send_json(app, "POST", &path, &json!({"note": text, "isFlagged": is_flagged})).await
}

#[tokio::test]
async fn support_writes_lists_flags_and_unflags_and_each_change_is_audited() {
    let app = TestApp::start().await;
    let support = app.person_of_role("support").await;
    let (ada, bob) = (app.person().await, app.person().await);
    let first = note(&app, &support, &ada, "called twice,\nabout the invoice", false).await.expect(201);
    let second = note(&app, &support, &bob, "is owed an answer", true).await.expect(201);
    assert_eq!((first.str("/userId"), first.str("/adminId")), (&*ada.id, &*support.id));
    assert_eq!(first.str("/note"), "called twice,\nabout the invoice");
    let listed = async |path: &str| {
        let list = support.send(&app, "GET", path).await.expect(200);
        let items = list.body["items"].as_array().unwrap();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (one, two) = (first.str("/id"), second.str("/id"));
    assert_eq!(listed("/v1/admin/notes").await, [two, one]);
    assert_eq!(listed("/v1/admin/notes?flagged=true").await, [two]);
    assert_eq!(listed("/v1/admin/notes?flagged=false").await, [one]);
    assert_eq!(listed(&format!("/v1/admin/users/{}/notes", ada.id)).await, [one]);
    let flag = async |id: &str, is_flagged: bool| {
        let path = format!("/v1/admin/notes/{id}");
        support.send_json(&app, "PATCH", &path, &json!({"isFlagged": is_flagged})).await.expect(200)
    };
    assert_eq!(flag(one, true).await.body["isFlagged"], true);
    assert_eq!(flag(two, false).await.body["isFlagged"], false);
    assert_eq!(flag(two, false).await.body["isFlagged"], false);
    assert_eq!(listed("/v1/admin/notes?flagged=true").await, [one]);
    let trail = "SELECT string_agg(action, ' ' ORDER BY created_at, id) FROM audit_logs";
    assert_eq!(app.value(trail).await, "note.create note.create note.update note.update");
    assert_eq!(app.value("SELECT count(*) FROM audit_logs WHERE details::text LIKE '%invoice%'").await, "0");
}

#[tokio::test]
async fn a_note_on_nobody_and_an_unknown_note_are_not_found() {
    let app = TestApp::start().await;
    let support = app.person_of_role("support").await;
    let gone = Person { id: "nobody".to_owned(), ..support.clone() };
    note(&app, &support, &gone, "x", false).await.expect_problem(404, "not-found");
    support.send(&app, "GET", "/v1/admin/users/nobody/notes").await.expect_problem(404, "not-found");
    let unknown =
        support.send_json(&app, "PATCH", "/v1/admin/notes/nothing", &json!({"isFlagged": true})).await;
    unknown.expect_problem(404, "not-found");
    let query = support.send(&app, "GET", "/v1/admin/notes?flagged=perhaps").await;
    assert_eq!(
        query.expect_problem(422, "invalid-request").str("/errors/0/message"),
        "must be true or false"
    );
}

#[tokio::test]
async fn a_note_is_written_once_under_its_key_and_goes_with_the_person() {
    let app = TestApp::start().await;
    let admin = app.person_of_role("admin").await;
    let ada = app.person().await;
    let (path, key) = (format!("/v1/admin/users/{}/notes", ada.id), fresh_email());
    let write = || {
        let request = app.request("POST", &path).bearer_auth(&admin.access).header("idempotency-key", &key);
        Answer::of(request.json(&json!({"note": "only once"})))
    };
    let answers = futures_util::future::join_all((0..20).map(|_| write())).await;
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.text == answers[0].text));
    assert_eq!(app.value("SELECT count(*) FROM admin_notes").await, "1");
    assert_eq!(app.value("SELECT count(*) FROM idempotency_keys WHERE answer LIKE '%only once%'").await, "0");
    ada.send(&app, "DELETE", "/v1/me").await.expect(204);
    assert_eq!(app.value("SELECT count(*) FROM admin_notes").await, "0");
    admin.send(&app, "GET", &path).await.expect_problem(404, "not-found");
    write().await.expect_problem(404, "not-found");
}
