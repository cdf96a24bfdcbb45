//! Times, wherever the database believes it is, and however old or late they are.

use serde_json::json;

use crate::support::{Answer, TestApp};

/// Two accounts of yesterday and today in UTC, who are of one day in Tokyo; and two of the ends of time.
const ACCOUNTS: &str = "
    INSERT INTO users (id, email, password_hash, created_at, updated_at) VALUES
        ('first', 'first@example.com', repeat('*', 60), '1970-01-01T00:00:00.001Z', '1999-12-31T23:59:59.999Z'),
        ('last', 'last@example.com', repeat('*', 60), '9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'),
        ('yesterday', 'y@example.com', repeat('*', 60),
            date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '1 ms', now()),
        ('today', 't@example.com', repeat('*', 60), date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', now());
    INSERT INTO user_activity (user_id, action, created_at)
        SELECT id, 'seen', created_at FROM users WHERE id IN ('yesterday', 'today');";

async fn in_zone(zone: &str) -> (Vec<Answer>, TestApp) {
    // The first server only makes the database. The setting holds for connections that are made after it.
    let database = TestApp::start().await;
    let name = database.value("SELECT current_database()").await;
    database.sql(&format!("ALTER DATABASE \"{name}\" SET timezone = '{zone}'")).await;
    let app = TestApp::builder().on(database.database_url().to_owned()).start().await;
    assert_eq!(app.value("SELECT current_setting('TimeZone')").await, zone);
    app.sql(ACCOUNTS).await;
    let grace = app.person_of_role("admin").await;
    let mut answers = Vec::new();
    for path in ["stats", "users/first", "users/last", "users/yesterday", "users/today"] {
        answers.push(grace.send(&app, "GET", &format!("/v1/admin/{path}")).await.expect(200));
    }
    let change = json!({"subscriptionTier": "pro"});
    grace.send_json(&app, "PATCH", "/v1/admin/users/first", &change).await.expect(200);
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/admin/users?sort=createdAt&pageSize=1{cursor}");
        answers.push(grace.send(&app, "GET", &path).await.expect(200));
        assert!(answers.len() <= 20, "the walk goes in circles");
        match answers.last().unwrap().body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    (answers, app)
}

/// The times of an answer about a user, as far as they do not depend on when it is asked.
fn created(answer: &Answer) -> &str {
    answer.str("/createdAt")
}

#[tokio::test]
async fn times_are_told_alike_in_utc_and_in_tokyo_and_a_day_is_a_day_in_utc() {
    let (utc, tokyo) = (in_zone("UTC").await, in_zone("Asia/Tokyo").await);
    for (answers, app) in [&utc, &tokyo] {
        let stats = &answers[0].body;
        // Grace and the one of midnight; the end of time is after today's midnight too.
        assert_eq!((&stats["newUsersToday"], &stats["totalUsers"]), (&json!(3), &json!(5)), "{stats}");
        assert_eq!(stats["newUsersThisWeek"], 4, "{stats}");
        assert_eq!(created(&answers[1]), "1970-01-01T00:00:00.001Z");
        assert_eq!(answers[1].str("/updatedAt"), "1999-12-31T23:59:59.999Z");
        assert_eq!(created(&answers[2]), "9999-12-31T23:59:59.999Z");
        assert!(created(&answers[3]).ends_with("T23:59:59.999Z"), "{}", answers[3].text);
        assert!(created(&answers[4]).ends_with("T00:00:00.000Z"), "{}", answers[4].text);
        let listed: Vec<_> =
            answers[5..].iter().map(|page| page.body["users"][0]["email"].as_str().unwrap()).collect();
        let oldest_first = ["first@example.com", "y@example.com", "t@example.com"];
        assert_eq!((&listed[..3], listed.len(), listed[4]), (&oldest_first[..], 5, "last@example.com"));
        let said = app.value("SELECT abs(extract(epoch FROM now() - created_at)) < 60 FROM audit_logs").await;
        assert_eq!(said, "true");
    }
    assert_eq!(created(&utc.0[3]), created(&tokyo.0[3]));
    assert_eq!(created(&utc.0[4]), created(&tokyo.0[4]));
}

#[tokio::test]
async fn sessions_live_alike_in_tokyo() {
    let (_, app) = in_zone("Asia/Tokyo").await;
    let ada = app.person().await;
    let renewed = app.refresh(&ada.refresh).await.expect(200);
    let (begun, ends) = (renewed.str("/session/createdAt"), renewed.str("/session/expiresAt"));
    let days = format!("SELECT timestamptz '{ends}' - timestamptz '{begun}'");
    assert_eq!(app.value(&days).await, "90 days");
    let listed = ada.send(&app, "GET", "/v1/me/sessions").await.expect(200);
    assert_eq!((listed.str("/items/0/createdAt"), listed.str("/items/0/expiresAt")), (begun, ends));
    app.sql("UPDATE sessions SET last_used_at = now() - interval '29 days 23 hours'").await;
    let again = app.refresh(renewed.str("/refreshToken")).await.expect(200);
    app.sql("UPDATE sessions SET last_used_at = now() - interval '30 days 1 second'").await;
    app.refresh(again.str("/refreshToken")).await.expect(401);
}
