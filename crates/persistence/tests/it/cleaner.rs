//! What is long dead goes, and nothing else.

use chrono::TimeDelta;
use diesel_async::SimpleAsyncConnection;
use subtle_persistence::PgCleaner;

use crate::support::{Home, start};

/// Rows that ended so many days before the start, each named after its table and that number.
async fn with_dead() -> Home {
    let home = Home::of_three().await;
    let at = |days: i64| (start() - TimeDelta::days(days)).to_rfc3339();
    for days in [-30, 1, 6, 8, 34, 36] {
        let end = at(days);
        home.run(&format!(
            "INSERT INTO sessions (id, user_id, refresh_token, created_at, expires_at)
                VALUES ('expired {days}', 'ada', 'e{days}', '{end}'::timestamptz - interval '1 day', '{end}');
             INSERT INTO sessions (id, user_id, refresh_token, created_at, expires_at, revoked_at, revoked_reason)
                VALUES ('ended {days}', 'ada', 'r{days}', '{end}'::timestamptz - interval '1 day', '2100-01-01', '{end}', 'user');
             INSERT INTO bridge_tokens (id, user_id, token, expires_at) VALUES ('bridge {days}', 'ada', 'b{days}', '{end}');
             INSERT INTO imported_refresh_tokens (user_id, digest, session_id, created_at, expires_at)
                VALUES ('ada', 'imported {days}', 's', '{end}', '{end}');
             INSERT INTO idempotency_keys (caller, key, fingerprint, created_at, answer)
                VALUES ('key:k', 'key {days}', '', '{end}', 'x');
             INSERT INTO usage_reservations (user_id, id, request_count, total_tokens, total_cost, created_at, expires_at)
                VALUES ('ada', 'hold {days}', 1, 1, 1, '{end}'::timestamptz - interval '1 hour', '{end}')"
        ))
        .await;
    }
    home.run(&format!(
        "INSERT INTO second_factors (user_id, sealed, created_at, confirmed_at) VALUES
            ('ada', '', '{0}', NULL), ('bob', '', '{0}', '{0}'), ('eve', '', '{1}', NULL)",
        at(2),
        at(0)
    ))
    .await;
    home
}

const LEFT: &str = "
    SELECT string_agg(id, ', ' ORDER BY id COLLATE \"C\") FROM (
        SELECT id FROM sessions UNION ALL SELECT key FROM idempotency_keys UNION ALL SELECT id FROM usage_reservations
        UNION ALL SELECT id FROM bridge_tokens UNION ALL SELECT 'factor ' || user_id FROM second_factors
        UNION ALL SELECT digest FROM imported_refresh_tokens
    ) AS rows";

#[tokio::test]
async fn what_ended_long_ago_is_taken_away() {
    let home = with_dead().await;
    assert_eq!(PgCleaner::new(home.pool(), None).clean(start()).await.unwrap(), 3 + 3 + 3 + 4 + 1 + 5 + 1);
    assert_eq!(
        home.value(LEFT).await,
        "bridge -30, ended -30, ended 1, ended 6, expired -30, expired 1, expired 6, \
         factor bob, factor eve, hold -30, hold 1, hold 34, hold 6, hold 8, imported -30, imported 1, imported 6, key -30, key 1"
    );
    assert_eq!(PgCleaner::new(home.pool(), None).clean(start()).await.unwrap(), 0);
}

#[tokio::test]
async fn days_that_are_over_go_and_ranges_that_are_large_are_cut() {
    let home = Home::of_three().await;
    home.run(
        "INSERT INTO users (id, email, password_hash, updated_at)
         SELECT 'n' || n, n || '@example.com', repeat('x', 60), now() FROM generate_series(1, 700) AS n",
    )
    .await;
    for days in [0, 2, 4] {
        let at = (start() - TimeDelta::days(days)).to_rfc3339();
        home.run(&format!(
            "INSERT INTO user_activity (user_id, action, created_at) VALUES ('ada', 'x', '{at}')"
        ))
        .await;
    }
    assert_eq!(PgCleaner::new(home.pool(), None).clean(start()).await.unwrap(), 2);
    for (left, many) in [("active_users", "2"), ("active_user_counts", "2"), ("user_ranges", "9")] {
        assert_eq!(home.value(&format!("SELECT count(*) FROM {left}")).await, many, "{left}");
    }
}

#[tokio::test]
async fn many_go_in_batches_over_several_servers_and_nobody_waits() {
    let home = Home::of_three().await;
    home.run(
        "INSERT INTO sessions (id, user_id, refresh_token, created_at, expires_at)
         SELECT 's' || n, 'ada', 't' || n, '2020-01-01', '2020-01-02' FROM generate_series(1, 2500) AS n",
    )
    .await;
    let mut holder = home.connection().await;
    holder.batch_execute("BEGIN; SELECT FROM sessions WHERE id = 's7' FOR UPDATE").await.unwrap();
    let clean = || async { PgCleaner::new(home.pool(), None).clean(start()).await.unwrap() };
    let (one, other) = tokio::join!(clean(), clean());
    assert_eq!(one + other, 2_499);
    assert_eq!(home.first_column("SELECT id FROM sessions").await, ["s7"]);
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(clean().await, 1);
}

#[tokio::test]
async fn events_go_when_they_are_older_than_they_are_kept_and_places_go_on() {
    let home = Home::of_three().await;
    let old = |days: i64| (start() - TimeDelta::days(days)).to_rfc3339();
    home.run(&format!(
        "INSERT INTO sync_logs (id, user_id, event_type, event_source, place, created_at) VALUES
            ('e1', 'ada', 'x', 'x', 1, '{}'), ('e2', 'ada', 'x', 'x', 2, '{}'), ('foreign', 'ada', 'x', 'x', NULL, '{}');
         INSERT INTO sync_places (user_id, last) VALUES ('ada', 2)",
        old(31),
        old(29),
        old(31)
    ))
    .await;
    assert_eq!(PgCleaner::new(home.pool(), None).clean(start()).await.unwrap(), 0);
    let cleaner = PgCleaner::new(home.pool(), Some(TimeDelta::days(30)));
    assert_eq!(cleaner.clean(start()).await.unwrap(), 2);
    assert_eq!(home.first_column("SELECT id FROM sync_logs").await, ["e2"]);
    assert_eq!(home.value("SELECT last FROM sync_places").await, "2");
}
