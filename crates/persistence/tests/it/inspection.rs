//! What the database tells of itself.

use chrono::TimeDelta;
use diesel_async::SimpleAsyncConnection;
use subtle_domain::Timestamp;
use subtle_domain::inspection::{DatabaseReport, FindingKind};
use subtle_domain::ports::Inspection;
use subtle_persistence::{Database, PgInspection, PoolOptions};

use crate::support::Home;

/// The time by the database's clock.
async fn now(home: &Home) -> Timestamp {
    let milliseconds = home.value("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint").await;
    Timestamp::from_timestamp_millis(milliseconds.parse().unwrap()).unwrap()
}

async fn look(home: &Home) -> DatabaseReport {
    PgInspection::new(home.pool()).look(now(home).await).await.unwrap()
}

#[tokio::test]
async fn tables_indexes_columns_and_settings_are_told() {
    let home = Home::of_three().await;
    home.run("ANALYZE users").await;
    let report = look(&home).await;
    assert!(report.bytes > 1_000_000 && report.most_connections > 0 && !report.version.is_empty());
    assert!(report.clock_skew_ms.abs() < 1_000);
    let users = report.tables.iter().find(|table| table.name == "users").unwrap();
    assert!(users.bytes > users.index_bytes && users.index_bytes > 0);
    assert!(report.tables.is_sorted_by(|one, other| one.bytes >= other.bytes));
    let key = report.indexes.iter().find(|index| index.name == "users_email_key").unwrap();
    assert!((key.table.as_str(), key.is_unique, key.is_valid) == ("users", true, true));
    assert!(
        report
            .columns
            .iter()
            .any(|column| (column.table.as_str(), column.name.as_str()) == ("users", "email"))
    );
    assert!(report.settings.iter().any(|(name, value)| name == "fsync" && !value.is_empty()));
}

#[tokio::test]
async fn who_holds_whom_up_and_what_is_there_twice_is_found() {
    let home = Home::of_three().await;
    home.run("CREATE INDEX twin ON sessions (user_id, created_at); CREATE INDEX twin2 ON sessions (user_id, created_at)")
        .await;
    let (mut holder, mut waiter) = (home.connection().await, home.connection().await);
    holder.batch_execute("BEGIN; LOCK TABLE users").await.unwrap();
    let waiting =
        tokio::spawn(async move { waiter.batch_execute("BEGIN; LOCK TABLE users; ROLLBACK").await });
    let held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    home.await_value(held, 1).await;
    let report = look(&home).await;
    let blocked = report.connections.iter().find(|connection| !connection.waits_for.is_empty()).unwrap();
    let holding =
        report.connections.iter().find(|connection| blocked.waits_for.contains(&connection.pid)).unwrap();
    assert_eq!(holding.state, "idle in transaction");
    assert!(holding.transaction_ms.is_some_and(|ms| (0..60_000).contains(&ms)));
    let found = report.findings();
    assert!(found.iter().any(|finding| finding.kind == FindingKind::WaitingForLock));
    assert!(
        found
            .iter()
            .any(|finding| finding.kind == FindingKind::DuplicateIndex && finding.seen.contains("twin2"))
    );
    holder.batch_execute("ROLLBACK").await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn of_twins_the_operators_is_to_go() {
    let home = Home::of_three().await;
    // The first of two by its name, and the larger one.
    home.run("CREATE INDEX a_twin ON sessions (expires_at) WITH (fillfactor = 50)").await;
    home.run(
        "INSERT INTO sessions (id, user_id, refresh_token, expires_at)
        SELECT n::text, 'ada', n::text, now() + interval '1 day' FROM generate_series(1, 5000) n",
    )
    .await;
    let report = look(&home).await;
    let bytes = |name| report.indexes.iter().find(|index| index.name == name).unwrap().bytes;
    // Nobody has vacuumed.
    assert!(bytes("idx_sessions_expires_at") > 16_384, "{}", bytes("idx_sessions_expires_at"));
    assert!(bytes("a_twin") > 0);
    let found =
        report.findings().into_iter().find(|finding| finding.kind == FindingKind::DuplicateIndex).unwrap();
    assert_eq!(found.remedy, "DROP INDEX CONCURRENTLY a_twin");
}

#[tokio::test]
async fn an_index_that_somebody_has_locked_is_told_without_a_wait() {
    let home = Home::of_three().await;
    let mut holder = home.connection().await;
    holder.batch_execute("BEGIN; DROP INDEX idx_sessions_expires_at").await.unwrap();
    let report = look(&home).await;
    assert!(report.indexes.iter().any(|index| index.name == "idx_sessions_expires_at"));
    holder.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn what_is_not_shown_to_a_role_is_told_and_pg_monitor_shows_it_also_without_inheritance() {
    const BLIND: &str = "subtle_it_blind";
    const WATCHER: &str = "subtle_it_watcher";
    let home = Home::of_three().await;
    for role in [BLIND, WATCHER] {
        subtle_persistence::migrations::grant_to(home.url(), role).await.unwrap();
    }
    home.run(&format!("GRANT pg_monitor TO {WATCHER}")).await;
    let _idle = home.connection().await;
    let look_as = async |role: &str| {
        let url = home.url().replacen("postgres://postgres@/", &format!("postgres://{role}@/"), 1);
        let pool = Database::new(PoolOptions::from_url(&url).unwrap()).unwrap();
        let report = PgInspection::new(pool).look(now(&home).await).await.unwrap();
        let hidden = report.connections.iter().filter(|connection| connection.state == "hidden").count();
        let found =
            report.findings().into_iter().filter(|finding| finding.kind == FindingKind::HiddenFromRole);
        (hidden, found.map(|finding| finding.remedy).collect::<Vec<_>>())
    };
    let (hidden, found) = look_as(BLIND).await;
    assert!(
        hidden > 0 && found.len() == 2 && found[0].starts_with("GRANT pg_monitor TO subtle_it_blind"),
        "{found:?}"
    );
    let (hidden, found) = look_as(WATCHER).await;
    assert!(hidden == 0 && found.len() == 1 && found[0].contains("as the owner"), "{hidden} {found:?}");
}

#[tokio::test]
async fn our_own_schema_has_nothing_twice() {
    let report = look(&Home::new().await).await;
    let twins: Vec<_> =
        report.findings().into_iter().filter(|finding| finding.kind == FindingKind::DuplicateIndex).collect();
    assert_eq!(twins, []);
}

/// Our own sessions are in UTC in any case; it is about those of others.
#[tokio::test]
async fn a_zone_of_the_database_that_is_not_utc_is_told() {
    let home = Home::of_three().await;
    let unsafe_settings = async || {
        let found = look(&home).await.findings().into_iter();
        found
            .filter(|finding| finding.seen.starts_with("TimeZone is"))
            .map(|finding| finding.seen)
            .collect::<Vec<_>>()
    };
    let set = |zone: &str| {
        format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), '{zone}'); END $$"
        )
    };
    home.run(&set("Asia/Tokyo")).await;
    assert_eq!(
        unsafe_settings().await,
        ["TimeZone is Asia/Tokyo: Prisma Client takes each time for another one"]
    );
    home.run(&set("UTC")).await;
    assert_eq!(unsafe_settings().await, [""; 0]);
}

#[tokio::test]
async fn clocks_that_differ_are_told() {
    let home = Home::of_three().await;
    let early = now(&home).await - TimeDelta::minutes(1);
    let report = PgInspection::new(home.pool()).look(early).await.unwrap();
    assert!((59_000..65_000).contains(&report.clock_skew_ms), "{}", report.clock_skew_ms);
}
