//! Databases that Prisma made, taken over in place.

use subtle_domain::ports::Accounts;
use subtle_persistence::PgAccounts;
use subtle_persistence::migrations::{AdoptError, MigrateError, State, adopt, migrate, revert_last, status};

use crate::migrations::CATALOGUE;
use crate::support::{Home, user_id};

/// What Prisma 7 itself gives for the seed's schema, phase 2 included.
const PRISMA: &str = include_str!("prisma/ddl.sql");
/// What the document adds by hand.
const BY_HAND: &str = include_str!("prisma/by_hand.sql");

/// Rows as Prisma's client writes them: its own ids, times in UTC.
const ROWS: &str = "
    INSERT INTO users (id, email, password_hash, full_name, updated_at, created_at) VALUES
        ('cuser1', 'ada@example.com', repeat('x', 60), 'Ada', '2024-05-01 08:00:00.123', '2024-05-01 08:00:00.123'),
        ('cuser2', 'bob@example.com', repeat('y', 60), NULL, '2024-05-02', '2024-05-02');
    INSERT INTO sessions (id, user_id, refresh_token, expires_at, created_at)
        VALUES ('csess1', 'cuser1', 'a plain token', '2034-06-01', '2024-05-01');
    INSERT INTO user_activity (id, user_id, action, data, created_at)
        VALUES ('cact1', 'cuser1', 'login', '{\"n\": 1}', '2024-05-01 23:30:00');
    INSERT INTO user_usage_metrics (id, user_id, request_count, total_tokens, total_cost, feature_type, created_at)
        VALUES ('cuse1', 'cuser1', 3, 1200, 0.1234, 'chat', '2024-05-01 23:30:00');
    INSERT INTO billing_history (id, user_id, amount, status, created_at)
        VALUES ('cbill1', 'cuser1', 12.50, 'completed', '2024-05-01');
    INSERT INTO admin_notes (id, user_id, admin_id, note) VALUES ('cnote1', 'cuser1', 'cuser2', 'called twice');
    INSERT INTO audit_logs (id, admin_id, user_id, action) VALUES ('caud1', 'cuser2', 'cuser1', 'x');";

/// A database as Prisma leaves it, in Tokyo.
async fn prisma(also: &[&str]) -> Home {
    let home = Home::empty().await;
    home.run(PRISMA).await;
    home.run("CREATE TABLE _prisma_migrations (id TEXT PRIMARY KEY, checksum TEXT NOT NULL)").await;
    for sql in also {
        home.run(sql).await;
    }
    home
}

const WITHOUT_PHASE_2: &str = "DROP TABLE bridge_tokens, sync_logs";

#[tokio::test]
async fn a_database_of_prismas_becomes_as_one_of_ours_whatever_of_the_document_is_there() {
    let ours = Home::empty().await;
    migrate(ours.url()).await.unwrap();
    let expected = ours.value(&without_places(CATALOGUE)).await;
    assert!(expected.contains("users_email_key"));
    let some = "CREATE INDEX idx_users_created_at ON users (created_at);
                CREATE INDEX idx_own ON users (full_name);
                ALTER TABLE users ADD CONSTRAINT valid_password_hash CHECK (LENGTH(password_hash) = 60);";
    let variants: [&[&str]; 5] = [&[], &[BY_HAND], &[some], &[WITHOUT_PHASE_2], &[WITHOUT_PHASE_2, BY_HAND]];
    for also in variants {
        let home = prisma(also).await;
        home.run(ROWS).await;
        let adopted = adopt(home.url()).await.unwrap();
        assert!(adopted.applied.len() > 20);
        home.run("DROP TABLE _prisma_migrations; DROP INDEX IF EXISTS idx_own").await;
        assert_eq!(home.value(&without_places(CATALOGUE)).await, expected, "{also:?}");
        assert!(status(home.url()).await.unwrap().iter().all(|step| step.state == State::Applied));
        assert_eq!(migrate(home.url()).await.unwrap(), [""; 0]);
    }
}

/// Columns that were there in another order are the same columns.
fn without_places(catalogue: &str) -> String {
    catalogue.replace("ordinal_position", "0")
}

#[tokio::test]
async fn its_rows_stay_and_its_times_are_read_as_utc() {
    let home = prisma(&[BY_HAND, ROWS]).await;
    adopt(home.url()).await.unwrap();
    let ada = PgAccounts::new(home.pool()).find(&user_id("cuser1")).await.unwrap().unwrap();
    assert_eq!(ada.created_at.to_rfc3339(), "2024-05-01T08:00:00.123+00:00");
    let rows = "SELECT (SELECT total_cost FROM user_usage_metrics) || ' ' || (SELECT amount FROM billing_history)
        || ' ' || (SELECT created_at AT TIME ZONE 'UTC' FROM user_activity) || ' ' || (SELECT note FROM admin_notes)
        || ' ' || (SELECT day || ' ' || total_tokens FROM usage_daily)";
    assert_eq!(home.value(rows).await, "0.1234000000 12.50 2024-05-01 23:30:00 called twice 2024-05-01 1200");
    assert_ne!(home.value("SELECT refresh_token FROM sessions").await, "a plain token");
}

#[tokio::test]
async fn one_that_differs_is_refused_with_the_differences_and_left_as_it_was() {
    let changes = "
        ALTER TABLE users ADD COLUMN role TEXT;
        ALTER TABLE users ALTER COLUMN full_name TYPE VARCHAR(50);
        ALTER TABLE users ALTER COLUMN created_at DROP NOT NULL;
        ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey;
        ALTER TABLE users ADD CONSTRAINT valid_email CHECK (email LIKE '%@%');
        ALTER TABLE billing_history ADD CONSTRAINT at_most CHECK (amount < 100);
        ALTER TABLE users ENABLE ROW LEVEL SECURITY;
        DROP INDEX users_email_key;
        DROP TABLE admin_notes";
    let home = prisma(&[changes]).await;
    let before = home.value(CATALOGUE).await;
    let Err(AdoptError::Differs(told)) = adopt(home.url()).await else { panic!("it was taken over") };
    assert_eq!(
        told,
        [
            "column users.created_at is `timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP`, and should be \
             `timestamp(3) without time zone NOT NULL DEFAULT CURRENT_TIMESTAMP`",
            "column users.full_name is `character varying(50)`, and should be `text`",
            "constraint sessions_user_id_fkey on sessions is missing: `FOREIGN KEY (user_id) REFERENCES users(id) \
             ON UPDATE CASCADE ON DELETE CASCADE`",
            "constraint valid_email on users is `CHECK ((email ~~ '%@%'::text))`, and should be \
             `CHECK ((email ~* '^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}$'::text))`",
            "table admin_notes is missing",
            "unique index users_email_key on users is missing: `CREATE UNIQUE INDEX users_email_key ON users USING \
             btree (email)`",
            "column users.role is not of the seed: `text`",
            "constraint at_most on billing_history is not of the seed: `CHECK ((amount < (100)::numeric))`",
            "row-level security on users is not of the seed: `on`",
        ]
    );
    assert_eq!(home.value(CATALOGUE).await, before);
}

#[tokio::test]
async fn rows_that_do_not_fit_leave_it_as_it_was_and_name_the_statement() {
    let twins = "INSERT INTO users (id, email, password_hash, updated_at) VALUES
                     ('a', 'Ada@example.com', repeat('x', 60), now()), ('b', 'ada@example.com', repeat('x', 60), now())";
    let home = prisma(&[twins]).await;
    let before = home.value(CATALOGUE).await;
    let refused = adopt(home.url()).await.unwrap_err().to_string();
    assert!(refused.contains("migration 20261123000500_case_insensitive_addresses failed at"), "{refused}");
    assert_eq!(home.value(CATALOGUE).await, before);
    let short = prisma(&[
        "INSERT INTO users (id, email, password_hash, updated_at) VALUES ('a', 'a@b.cd', 'x', now())",
    ]);
    let refused = adopt(short.await.url()).await.unwrap_err().to_string();
    assert!(refused.contains("ADD CONSTRAINT valid_password_hash"), "{refused}");
}

#[tokio::test]
async fn who_migrates_it_without_a_word_is_told_of_the_way() {
    let home = prisma(&[]).await;
    let refused = migrate(home.url()).await;
    assert!(matches!(refused, Err(MigrateError::Foreign)), "{refused:?}");
}

#[tokio::test]
async fn the_way_back_ends_where_it_was_taken_over() {
    let home = prisma(&[]).await;
    adopt(home.url()).await.unwrap();
    let refused = loop {
        if let Err(refused) = revert_last(home.url()).await {
            break refused.to_string();
        }
    };
    assert!(refused.contains("phase_2_tables drops tables that were there before"), "{refused}");
    assert_eq!(home.value("SELECT to_regclass('sync_logs') IS NOT NULL").await, "t");
}

#[tokio::test]
async fn ours_and_an_empty_one_are_not_taken_over() {
    assert!(matches!(adopt(Home::new().await.url()).await, Err(AdoptError::Ours)));
    let empty = Home::empty().await;
    assert!(matches!(adopt(empty.url()).await, Err(AdoptError::Nothing)));
    assert_eq!(
        empty.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").await,
        "0"
    );
}
