//! Sign-in, rotation, and the ends of sessions.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Answer, Person, TestApp, eventually};

#[tokio::test]
async fn unknown_addresses_and_wrong_passwords_are_answered_alike() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let mut wrong =
        app.login(&ada.email, "something else").await.expect_problem(401, "wrong-credentials").body;
    let mut unknown = app.login("nobody@example.com", "something else").await.expect(401).body;
    wrong["requestId"].take();
    unknown["requestId"].take();
    assert_eq!(wrong, unknown);
}

#[tokio::test]
async fn fifty_refreshes_of_one_token_at_once_step_forward_once() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    let body = json!({"refreshToken": ada.refresh});
    let calls = (0..50)
        .map(|number| Answer::of(app.client.post(app.url_of(number % 2, "/v1/auth/refresh")).json(&body)));
    let answers = join_all(calls).await;
    let first = answers[0].str("/refreshToken").to_owned();
    assert_ne!(first, ada.refresh);
    for answer in &answers {
        assert_eq!((answer.status, answer.str("/refreshToken")), (200, first.as_str()), "{}", answer.text);
    }
    assert_eq!(app.value("SELECT generation FROM sessions").await, "1");
    app.refresh(&first).await.expect(200);
}

#[tokio::test]
async fn a_token_replayed_after_the_grace_ends_its_session_for_good() {
    let app = TestApp::builder().set("SUBTLE_REFRESH_GRACE", "0s").start().await;
    let ada = app.person().await;
    let next = Person::of(&app.refresh(&ada.refresh).await.expect(200), Person::PASSWORD);
    app.sql("UPDATE sessions SET last_used_at = last_used_at - interval '1 second'").await;
    app.refresh(&ada.refresh).await.expect_problem(401, "invalid-refresh-token");
    assert_eq!(app.value("SELECT revoked_reason FROM sessions").await, "reuse");
    app.refresh(&next.refresh).await.expect_problem(401, "invalid-refresh-token");
    next.send(&app, "GET", "/v1/me").await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_lost_answer_is_fetched_again_with_the_parent_and_not_with_the_grandparent() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let child = app.refresh(&ada.refresh).await.expect(200).str("/refreshToken").to_owned();
    let again = app.refresh(&ada.refresh).await.expect(200).str("/refreshToken").to_owned();
    assert_eq!(child, again);
    let grandchild = app.refresh(&child).await.expect(200).str("/refreshToken").to_owned();
    app.refresh(&ada.refresh).await.expect(401);
    app.refresh(&grandchild).await.expect(401);
}

#[tokio::test]
async fn idle_and_overdue_sessions_are_refused_and_refreshing_never_moves_the_end() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let before = app.value("SELECT expires_at FROM sessions").await;
    let ada = Person::of(&app.refresh(&ada.refresh).await.expect(200), Person::PASSWORD);
    assert_eq!(app.value("SELECT expires_at FROM sessions").await, before);
    app.sql("UPDATE sessions SET last_used_at = now() - interval '31 days'").await;
    app.refresh(&ada.refresh).await.expect(401);
    app.sql("UPDATE sessions SET last_used_at = now(), created_at = now() - interval '91 days', expires_at = now()").await;
    app.refresh(&ada.refresh).await.expect(401);
}

#[tokio::test]
async fn signing_out_ends_the_session_here_and_on_every_other_server() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    ada.send_to(&app, 1, "GET", "/v1/me").await.expect(200);
    app.post("/v1/auth/logout", &json!({"refreshToken": ada.refresh})).await.expect(204);
    ada.send(&app, "GET", "/v1/me").await.expect_problem(401, "invalid-token");
    app.refresh(&ada.refresh).await.expect(401);
    eventually("the other server refuses the token", async || {
        ada.send_to(&app, 1, "GET", "/v1/me").await.status == 401
    })
    .await;
    app.post("/v1/auth/logout", &json!({"refreshToken": ada.refresh})).await.expect(204);
    app.post("/v1/auth/logout", &json!({"refreshToken": "nonsense"})).await.expect(204);
}

#[tokio::test]
async fn people_list_their_sessions_and_end_them() {
    let app = TestApp::start().await;
    let laptop = app.person().await;
    let phone = laptop.sign_in(&app).await;
    let tablet = laptop.sign_in(&app).await;
    let stranger = app.person().await;
    let list = laptop.send(&app, "GET", "/v1/me/sessions").await.expect(200);
    let items = list.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    let current: Vec<_> =
        items.iter().filter(|item| item["current"] == true).map(|item| &item["id"]).collect();
    assert_eq!(current, [&json!(laptop.session)]);
    assert_eq!(items[0]["ipAddress"], "127.0.0.1");
    let path = format!("/v1/me/sessions/{}", phone.session);
    stranger.send(&app, "DELETE", &path).await.expect_problem(404, "not-found");
    laptop.send(&app, "DELETE", &path).await.expect(204);
    laptop.send(&app, "DELETE", &path).await.expect_problem(404, "not-found");
    phone.send(&app, "GET", "/v1/me").await.expect(401);
    app.refresh(&phone.refresh).await.expect(401);
    laptop.send(&app, "DELETE", "/v1/me/sessions").await.expect(204);
    tablet.send(&app, "GET", "/v1/me").await.expect(401);
    laptop.send(&app, "GET", "/v1/me").await.expect(200);
    stranger.send(&app, "GET", "/v1/me").await.expect(200);
}

#[tokio::test]
async fn a_list_of_sessions_is_paged_by_cursor() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    for _ in 0..4 {
        ada.sign_in(&app).await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/me/sessions?limit=2".to_owned();
    loop {
        let page = ada.send(&app, "GET", &path).await.expect(200);
        seen.extend(page.body["items"].as_array().unwrap().iter().map(|item| item["id"].to_string()));
        match page.body["nextCursor"].as_str() {
            Some(cursor) => path = format!("/v1/me/sessions?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
    for query in ["limit=0", "limit=201", "limit=x", "cursor=x", "nope=1"] {
        ada.send(&app, "GET", &format!("/v1/me/sessions?{query}"))
            .await
            .expect_problem(422, "invalid-request");
    }
}

#[tokio::test]
async fn a_refresh_token_opens_no_route_and_an_access_token_refreshes_nothing() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let swapped = Person { access: ada.refresh.clone(), ..ada.clone() };
    swapped.send(&app, "GET", "/v1/me").await.expect_problem(401, "invalid-token");
    app.refresh(&ada.access).await.expect_problem(401, "invalid-refresh-token");
}

#[tokio::test]
async fn what_people_do_is_left_in_their_timeline() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    app.login(&ada.email, "something else").await.expect(401);
    ada.sign_in(&app).await;
    ada.send_json(&app, "PATCH", "/v1/me", &json!({"fullName": "Augusta"})).await.expect(200);
    let timeline = "SELECT string_agg(action, ' ' ORDER BY created_at, action) FROM user_activity";
    eventually("four rows in the timeline", async || {
        app.value(timeline).await == "sign_up sign_in_refused sign_in profile_changed"
    })
    .await;
    let told = app.value("SELECT data FROM user_activity WHERE action = 'sign_in_refused'").await;
    assert!(told.contains("wrong_password") && told.contains("127.0.0.1"), "{told}");
}

#[tokio::test]
async fn an_account_has_no_more_sessions_than_the_setting_allows() {
    let app = TestApp::builder().set("SUBTLE_SESSIONS_PER_USER", "2").start().await;
    let first = app.person().await;
    let second = first.sign_in(&app).await;
    let third = second.sign_in(&app).await;
    first.send(&app, "GET", "/v1/me").await.expect_problem(401, "invalid-token");
    app.refresh(&first.refresh).await.expect_problem(401, "invalid-refresh-token");
    let list = third.send(&app, "GET", "/v1/me/sessions").await.expect(200);
    let ids: Vec<_> =
        list.body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [third.session.as_str(), second.session.as_str()]);
}

#[tokio::test]
async fn an_administrator_ends_one_session_or_all_everywhere_and_the_trail_tells() {
    let app = TestApp::builder().servers(2).start().await;
    let admin = app.person_of_role("admin").await;
    let ada = app.person().await;
    let (second, third) = (ada.sign_in(&app).await, ada.sign_in(&app).await);
    let path = format!("/v1/admin/users/{}/sessions", ada.id);
    let one = format!("{path}/{}", ada.session);
    admin.send(&app, "DELETE", &one).await.expect(204);
    admin.send(&app, "DELETE", &one).await.expect_problem(404, "not-found");
    ada.send(&app, "GET", "/v1/me").await.expect_problem(401, "invalid-token");
    eventually("the other server knows", async || ada.send_to(&app, 1, "GET", "/v1/me").await.status == 401)
        .await;
    second.send(&app, "GET", "/v1/me").await.expect(200);
    admin.send(&app, "DELETE", &format!("{path}/{}", admin.session)).await.expect_problem(404, "not-found");
    admin.send(&app, "DELETE", &path).await.expect(204);
    admin.send(&app, "DELETE", &path).await.expect(204);
    for person in [&second, &third] {
        person.send(&app, "GET", "/v1/me").await.expect_problem(401, "invalid-token");
        app.refresh(&person.refresh).await.expect_problem(401, "invalid-refresh-token");
    }
    let trail = "SELECT string_agg(details->'about' #>> '{}', ' ' ORDER BY created_at, id) FROM audit_logs WHERE action = 'session.end'";
    let told = app.value(trail).await;
    assert_eq!(told, format!(r#"{{"sessionId": "{}"}} {{"sessions": "2"}}"#, ada.session));
}

#[tokio::test]
async fn devices_have_the_names_that_people_know() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let body = json!({"email": ada.email, "password": ada.password});
    let login = app.request("POST", "/v1/auth/login").header(
        "user-agent",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
    );
    let answer = Answer::of(login.json(&body)).await.expect(200);
    assert_eq!(answer.str("/session/device"), "Safari on iPhone");
}
