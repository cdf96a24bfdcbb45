//! Closing and deleting accounts, seen on two servers.

use crate::support::{Person, TestApp, eventually};

/// The identifiers of the audit trail's actions, oldest first.
async fn actions(app: &TestApp) -> String {
    app.value("SELECT string_agg(action, ' ' ORDER BY created_at, id) FROM audit_logs").await
}

/// Checks that nothing that a person held is good for anything: refreshing at once, the access token on each server soon.
async fn is_out(app: &TestApp, person: &Person) {
    app.refresh(&person.refresh).await.expect_problem(401, "invalid-refresh-token");
    person.send_to(app, 0, "GET", "/v1/me").await.expect_problem(401, "invalid-token");
    let elsewhere = async || person.send_to(app, 1, "GET", "/v1/me/sessions").await.status == 401;
    eventually("the other server refuses the access token", elsewhere).await;
}

#[tokio::test]
async fn a_disabled_account_is_out_on_every_server_until_it_is_enabled() {
    let app = TestApp::builder().servers(2).start().await;
    let grace = app.person_of_role("admin").await;
    let ada = app.person().await;
    let phone = ada.sign_in(&app).await;
    let path = format!("/v1/admin/users/{}", ada.id);
    for server in [0, 1] {
        phone.send_to(&app, server, "GET", "/v1/me").await.expect(200);
    }
    let closed = grace.send(&app, "POST", &format!("{path}/disable")).await.expect(200);
    let since = closed.str("/disabledAt").to_owned();
    for person in [&ada, &phone] {
        is_out(&app, person).await;
    }
    app.login(&ada.email, &ada.password).await.expect_problem(403, "account-disabled");
    app.login(&ada.email, "something else").await.expect_problem(401, "wrong-credentials");
    let again = grace.send(&app, "POST", &format!("{path}/disable")).await.expect(200);
    assert_eq!(again.str("/disabledAt"), since, "once closed it stays so");

    let open = grace.send(&app, "POST", &format!("{path}/enable")).await.expect(200);
    assert!(open.body["disabledAt"].is_null());
    is_out(&app, &ada).await;
    let back = ada.sign_in(&app).await;
    for server in [0, 1] {
        back.send_to(&app, server, "GET", "/v1/me").await.expect(200);
    }
    assert_eq!(actions(&app).await, "user.disable user.enable");
}

#[tokio::test]
async fn a_deleted_account_is_out_on_every_server_for_good() {
    let app = TestApp::builder().servers(2).start().await;
    let (grace, ada) = (app.person_of_role("admin").await, app.person().await);
    let path = format!("/v1/admin/users/{}", ada.id);
    ada.send_to(&app, 1, "GET", "/v1/me/sessions").await.expect(200);
    grace.send(&app, "DELETE", &path).await.expect(204);
    is_out(&app, &ada).await;
    app.login(&ada.email, &ada.password).await.expect_problem(401, "wrong-credentials");
    grace.send(&app, "DELETE", &path).await.expect_problem(404, "not-found");
    let row = app.value(&format!("SELECT to_jsonb(u) FROM users u WHERE id = '{}'", ada.id)).await;
    assert!(!row.contains(&ada.email) && !row.contains("Lovelace") && !row.contains("$2b$"), "{row}");
    let told = app.value("SELECT jsonb_agg(to_jsonb(a)) FROM audit_logs a").await;
    assert!(told.contains("user.delete") && told.contains(&ada.id) && !told.contains(&ada.email), "{told}");
}

#[tokio::test]
async fn a_disabled_administrator_may_nothing_on_any_server() {
    let app = TestApp::builder().servers(2).start().await;
    let (grace, former) = (app.person_of_role("admin").await, app.person_of_role("admin").await);
    former.send_to(&app, 1, "GET", "/v1/admin/users").await.expect(200);
    let path = format!("/v1/admin/users/{}/disable", former.id);
    grace.send(&app, "POST", &path).await.expect(200);
    // The privilege is asked of the database, so it is gone at once, before the other server has heard of anything.
    former.send_to(&app, 1, "GET", "/v1/admin/users").await.expect_problem(401, "invalid-token");
}
