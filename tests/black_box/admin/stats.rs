use serde_json::json;

use crate::support::{TestApp, eventually};

#[tokio::test]
async fn the_figures_count_who_is_there_and_what_they_did_today() {
    let app = TestApp::start().await;
    let grace = app.person_of_role("admin").await;
    let (ada, gone) = (app.person().await, app.person().await);
    let _quiet = app.person().await;
    let activity = "SELECT count(*) FROM user_activity";
    eventually("the sign-ups' rows", async || app.value(activity).await == "4").await;
    app.sql(&format!(
        "DELETE FROM user_activity WHERE user_id <> '{ada}';
         UPDATE user_activity SET created_at = date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
         INSERT INTO user_activity (user_id, action) VALUES ('{ada}', 'seen'), ('{ada}', 'seen');
         INSERT INTO user_activity (user_id, action, created_at) VALUES ('{grace}', 'seen', now() - interval '1 day');
         INSERT INTO user_usage_metrics (user_id) VALUES ('{ada}'), ('{ada}'), ('{gone}');
         UPDATE users SET created_at = now() - interval '8 days' WHERE id = '{grace}';
         UPDATE users SET created_at = now() - interval '1 day' WHERE id = '{ada}';",
        ada = ada.id,
        grace = grace.id,
        gone = gone.id
    ))
    .await;
    gone.send(&app, "DELETE", "/v1/me").await.expect(204);
    let stats = grace.send(&app, "GET", "/v1/admin/stats").await.expect(200);
    let expected = json!({
        "totalUsers": 3,
        "activeUsersToday": 1,
        "newUsersThisWeek": 2,
        "newUsersToday": 1,
        "totalUsageMetrics": 3,
    });
    assert_eq!(stats.body, expected);
}
