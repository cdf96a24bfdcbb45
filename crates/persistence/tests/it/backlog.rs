//! What waits to be done.

use subtle_persistence::{Backlog, PgBacklog};

use crate::support::{Home, later};

const NOTHING: Backlog =
    Backlog { letters: 0, requests: 0, oldest_due_at: None, unsealed: 0, sealed_at: None };

#[tokio::test]
async fn an_empty_database_waits_for_nothing() {
    let home = Home::new().await;
    assert_eq!(PgBacklog::new(home.pool()).look().await.unwrap(), NOTHING);
}

#[tokio::test]
async fn what_waits_is_counted_and_what_was_given_up_is_not() {
    let home = Home::of_three().await;
    let (early, late) = (later(1).to_rfc3339(), later(2).to_rfc3339());
    home.run(&format!(
        "INSERT INTO mail_outbox (id, user_id, kind, recipient, state, due_at) VALUES
            ('m1', 'ada', 'new_device', 'ada@example.com', 'waiting', '{late}'),
            ('m2', 'bob', 'new_device', 'bob@example.com', 'waiting', '{early}'),
            ('m3', 'bob', 'new_device', NULL, 'failed', '1970-01-01 00:00Z');
        INSERT INTO mail_requests (id, purpose, email) VALUES ('r1', 'reset_password', 'bob@example.com');
        INSERT INTO audit_unsealed (audit_id) SELECT generate_series(1, 10001);
        INSERT INTO audit_seals (number, sealed_at, row_ids, rows_hash, previous, signature)
            SELECT n, timestamptz '{early}' + (n - 1) * (timestamptz '{late}' - timestamptz '{early}'), '{{}}', '', '', ''
            FROM generate_series(1, 2) AS n"
    ))
    .await;
    let seen = PgBacklog::new(home.pool()).look().await.unwrap();
    let oldest_due_at = Some(later(1));
    let wanted =
        Backlog { letters: 2, requests: 1, oldest_due_at, unsealed: 10_000, sealed_at: Some(later(2)) };
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn a_database_that_is_away_tells_nothing() {
    let home = Home::new().await;
    let pool = home.pool_with("connection_limit=1&pool_timeout=1");
    home.run("DROP TABLE audit_seals").await;
    assert!(PgBacklog::new(pool).look().await.is_err());
}
