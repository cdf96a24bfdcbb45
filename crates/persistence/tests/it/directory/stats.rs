//! The figures over all accounts.

use chrono::{DateTime, TimeDelta};
use subtle_domain::Timestamp;
use subtle_domain::directory::UserStats;
use subtle_domain::ports::Directory;
use subtle_domain::user::User;

use super::directory;
use crate::support::{Home, user};

fn time(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

async fn active(home: &Home, user: &str, at: Timestamp) {
    home.run(&format!(
        "INSERT INTO user_activity (user_id, action, created_at) VALUES ('{user}', 'x', '{at}')"
    ))
    .await;
    home.run(&format!("INSERT INTO user_usage_metrics (user_id) VALUES ('{user}')")).await;
}

/// People who came on either side of the midnights that matter at `now`, and one who is erased.
async fn town_at(now: Timestamp) -> Home {
    let home = Home::new().await;
    let midnight = now.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    let moment = TimeDelta::milliseconds(1);
    let (today, week) = (midnight, midnight - TimeDelta::days(7));
    for (id, came) in [("u1", today), ("u2", today - moment), ("u3", week), ("u4", week - moment)] {
        home.add(&User { created_at: came, ..user(id) }).await;
    }
    home.add(&User { created_at: today, deleted_at: Some(today), ..user("erased") }).await;
    active(&home, "u1", today).await;
    active(&home, "u1", today).await;
    active(&home, "u4", today).await;
    active(&home, "u2", today - moment).await;
    active(&home, "erased", today).await;
    home
}

const EXPECTED: UserStats = UserStats {
    total_users: 4,
    active_users_today: 2,
    new_users_this_week: 3,
    total_usage_metrics: 5,
    new_users_today: 1,
};

#[tokio::test]
async fn days_are_those_of_the_given_time_in_utc() {
    let day = "2024-05-05";
    let home = town_at(time("2024-05-05T12:00:00Z")).await;
    let directory = directory(&home);
    for hour in ["00:00:00.000", "14:59:59.999", "15:00:00.000", "23:59:59.999"] {
        let now = time(&format!("{day}T{hour}Z"));
        assert_eq!(directory.stats(now).await.unwrap(), EXPECTED, "{hour}");
    }
    let tomorrow = directory.stats(time("2024-05-06T00:00:00Z")).await.unwrap();
    assert_eq!(
        (tomorrow.active_users_today, tomorrow.new_users_today, tomorrow.new_users_this_week),
        (0, 0, 2)
    );
}

#[tokio::test]
async fn the_figures_are_those_of_the_sql_function() {
    let now = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";
    let home = town_at(time(&Home::empty().await.value(now).await)).await;
    let figures = "SELECT row(total_users, active_users_today, new_users_this_week, total_usage_metrics, new_users_today)
                   FROM get_user_stats()";
    // Asked again if a midnight came in between.
    let (stats, told) = loop {
        let (before, told, after) = (home.value(now).await, home.value(figures).await, home.value(now).await);
        if before.get(..10) == after.get(..10) {
            break (directory(&home).stats(time(&after)).await.unwrap(), told);
        }
    };
    let UserStats {
        total_users,
        active_users_today,
        new_users_this_week,
        total_usage_metrics,
        new_users_today,
    } = stats;
    let ours = [total_users, active_users_today, new_users_this_week, total_usage_metrics, new_users_today];
    assert_eq!(format!("({})", ours.map(|figure| figure.to_string()).join(",")), told);
    assert_eq!((total_users, total_usage_metrics), (4, 5));
}

#[tokio::test]
async fn an_empty_database_has_figures_too() {
    let home = Home::new().await;
    let none = UserStats {
        total_users: 0,
        active_users_today: 0,
        new_users_this_week: 0,
        total_usage_metrics: 0,
        new_users_today: 0,
    };
    assert_eq!(directory(&home).stats(time("2024-05-05T12:00:00Z")).await.unwrap(), none);
}
