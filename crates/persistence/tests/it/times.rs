//! Times, in a database whose zone is Asia/Tokyo.

use chrono::{DateTime, TimeDelta};
use subtle_domain::Timestamp;
use subtle_domain::ports::{Accounts, Sessions};
use subtle_domain::session::Session;
use subtle_domain::user::User;
use subtle_persistence::{PgAccounts, PgSessions};

use crate::support::{Home, session, session_id, user, user_id};

fn time(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

#[tokio::test]
async fn the_tests_run_in_tokyo() {
    let home = Home::new().await;
    assert_eq!(home.value("SHOW timezone").await, "Asia/Tokyo");
}

#[tokio::test]
async fn times_of_all_years_come_back_to_the_millisecond() {
    let home = Home::new().await;
    let accounts = PgAccounts::new(home.pool());
    let sessions = PgSessions::new(home.pool());
    for (number, text) in [
        "1970-01-01T00:00:00.000Z",
        "1999-12-31T23:59:59.999Z",
        "2000-02-29T12:00:00.001Z",
        "2024-03-31T01:30:00.500Z",
        "2038-01-19T03:14:08.000Z",
        "9999-12-31T23:59:58.999Z",
    ]
    .into_iter()
    .enumerate()
    {
        let (at, id) = (time(text), format!("u{number}"));
        let (created_at, updated_at) = (at, at);
        let made = User { created_at, updated_at, disabled_at: Some(at), ..user(&id) };
        home.add(&made).await;
        assert_eq!(accounts.find(&user_id(&id)).await.unwrap(), Some(made.clone()), "{text}");
        let begun = Session {
            created_at,
            last_used_at: at,
            expires_at: at + TimeDelta::milliseconds(1_000),
            ..session(&id, &id)
        };
        home.add_session(&begun).await;
        let found = sessions.find(&user_id(&id), &session_id(&id)).await.unwrap();
        assert_eq!(found, Some((begun, made)), "{text}");
        let stored = "SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";
        assert_eq!(home.value(&format!("{stored} FROM users WHERE id = '{id}'")).await, text);
    }
}
