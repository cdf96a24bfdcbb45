//! Reading in timelines.

use chrono::TimeDelta;
use subtle_domain::activity::ActivitySummary;
use subtle_domain::ports::Timelines;
use subtle_persistence::PgTimelines;

use crate::support::{Home, start, user, user_id};

/// Ada with five rows, two of them of one moment, and Bob with one.
async fn with_rows() -> (Home, PgTimelines) {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    home.add(&user("bob")).await;
    let at = |days: i64| (start() - TimeDelta::days(days)).to_rfc3339();
    home.run(&format!(
        "INSERT INTO user_activity (id, user_id, action, data, created_at) VALUES
            ('a1', 'ada', 'sign_up', NULL, '{0}'),
            ('a2', 'ada', 'chat', '{{\"n\": 1.50}}', '{1}'),
            ('a3', 'ada', 'chat', '[]', '{1}'),
            ('a4', 'ada', 'sign_in', 'null', '{2}'),
            ('a5', 'ada', 'sign_in', NULL, '{3}'),
            ('b1', 'bob', 'sign_up', NULL, '{3}')",
        at(30),
        at(8),
        at(6),
        at(0)
    ))
    .await;
    let timelines = PgTimelines::new(home.pool());
    (home, timelines)
}

#[tokio::test]
async fn a_timeline_is_walked_page_by_page_newest_first_and_is_nobody_elses() {
    let (_home, timelines) = with_rows().await;
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = timelines.activity(&user_id("ada"), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.at, last.id.clone()));
        seen.extend(page.into_iter().map(|row| row.id));
    }
    assert_eq!(seen, ["a5", "a4", "a3", "a2", "a1"]);
}

#[tokio::test]
async fn data_comes_back_as_the_json_it_is() {
    let (_home, timelines) = with_rows().await;
    let rows = timelines.activity(&user_id("ada"), None, 10).await.unwrap();
    let data: Vec<_> = rows.iter().map(|row| row.data.as_deref()).collect();
    assert_eq!(data, [None, Some("null"), Some("[]"), Some("{\"n\": 1.50}"), None]);
}

#[tokio::test]
async fn the_figures_count_what_is_there_and_break_ties_by_the_alphabet() {
    let (_home, timelines) = with_rows().await;
    let summary = timelines.summary(&user_id("ada"), start()).await.unwrap();
    let expected = ActivitySummary {
        total_actions: 5,
        actions_this_week: 2,
        last_activity: Some(start()),
        most_common_action: Some("chat".to_owned()),
    };
    assert_eq!(summary, expected);
}

#[tokio::test]
async fn an_empty_timeline_has_no_last_and_no_most_common_action() {
    let (_home, timelines) = with_rows().await;
    let summary = timelines.summary(&user_id("nobody"), start()).await.unwrap();
    let expected = ActivitySummary {
        total_actions: 0,
        actions_this_week: 0,
        last_activity: None,
        most_common_action: None,
    };
    assert_eq!(summary, expected);
    assert_eq!(timelines.activity(&user_id("nobody"), None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn the_figures_are_those_of_the_function_in_the_database() {
    let (home, timelines) = with_rows().await;
    home.run("DELETE FROM user_activity WHERE id IN ('a4', 'a5')").await;
    home.run("INSERT INTO user_activity (user_id, action) VALUES ('ada', 'chat')").await;
    let now =
        home.value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')").await;
    let now = chrono::DateTime::parse_from_rfc3339(&now).unwrap().to_utc();
    let summary = timelines.summary(&user_id("ada"), now).await.unwrap();
    let told = home
        .value("SELECT concat_ws(' ', total_actions, actions_this_week, most_common_action) FROM get_user_activity_summary('ada')")
        .await;
    let ours = format!(
        "{} {} {}",
        summary.total_actions,
        summary.actions_this_week,
        summary.most_common_action.unwrap_or_default()
    );
    assert_eq!(ours, told);
}
