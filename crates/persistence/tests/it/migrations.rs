//! Migrations.

use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use subtle_domain::ports::Accounts;
use subtle_persistence::PgAccounts;
use subtle_persistence::migrations::{
    MigrateError, State, migrate, revert_last, revert_last_with_its_rows, status,
};

use crate::support::{Home, user, user_id};

/// Everything that migrations make, as text.
pub(crate) const CATALOGUE: &str = "
SELECT string_agg(item, E'\\n' ORDER BY item) FROM (
    SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, column_default, is_nullable)
        || format(' %s %s %s %s', ordinal_position, datetime_precision, numeric_precision, numeric_scale) AS item
        FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) || conname
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index
        WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    UNION ALL SELECT pg_get_functiondef(p.oid) FROM pg_proc p
        WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
    UNION ALL SELECT format('%s %s', relkind, relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT extname FROM pg_extension
) AS items";

async fn revert_all(home: &Home) -> Vec<String> {
    let mut reverted = Vec::new();
    while let Some(name) = revert_last(home.url()).await.unwrap() {
        reverted.push(name);
    }
    reverted
}

#[tokio::test]
async fn five_that_start_together_on_an_empty_database_all_come_up() {
    let home = Home::empty().await;
    let outcomes = join_all((0..5).map(|_| migrate(home.url()))).await;
    let mut applied: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    applied.sort_by_key(Vec::len);
    assert!(applied[..4].iter().all(Vec::is_empty));
    assert!(applied[4].len() >= 12, "{applied:?}");
    assert!(applied[4].is_sorted());
}

#[tokio::test]
async fn all_the_way_down_and_up_again_gives_the_same_catalogue() {
    let home = Home::empty().await;
    let applied = migrate(home.url()).await.unwrap();
    let first = home.value(CATALOGUE).await;
    assert!(first.contains("users_email_key") && first.contains("cuid()"), "{first}");
    let mut reverted = revert_all(&home).await;
    reverted.reverse();
    assert_eq!(reverted, applied);
    let left = "SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'";
    assert_eq!(home.value(left).await, "__diesel_schema_migrations");
    assert_eq!(migrate(home.url()).await.unwrap(), applied);
    assert_eq!(home.value(CATALOGUE).await, first);
}

#[tokio::test]
async fn the_status_tells_what_is_there_what_is_to_come_and_what_is_foreign() {
    let home = Home::empty().await;
    let states =
        async || status(home.url()).await.unwrap().into_iter().map(|step| step.state).collect::<Vec<_>>();
    assert!(states().await.iter().all(|state| *state == State::Pending));
    assert_eq!(home.value("SELECT to_regclass('__diesel_schema_migrations') IS NULL").await, "t");
    migrate(home.url()).await.unwrap();
    assert!(states().await.iter().all(|state| *state == State::Applied));
    revert_last(home.url()).await.unwrap();
    assert_eq!(states().await.last(), Some(&State::Pending));
    home.run("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')").await;
    let last = status(home.url()).await.unwrap().pop().unwrap();
    assert_eq!((last.name.as_str(), last.state), ("99990101000000", State::Unknown));
}

#[tokio::test]
async fn a_migration_of_a_newer_version_is_left_to_that_version() {
    let home = Home::new().await;
    home.run("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')").await;
    assert_eq!(migrate(home.url()).await.unwrap(), Vec::<String>::new());
    let revert = revert_last(home.url()).await;
    assert!(
        matches!(&revert, Err(MigrateError::Unknown(version)) if version == "99990101000000"),
        "{revert:?}"
    );
}

#[tokio::test]
async fn a_migration_that_fails_names_its_statement_and_leaves_everything_as_it_was() {
    let home = Home::new().await;
    while !revert_last(home.url()).await.unwrap().unwrap().contains("case_insensitive") {}
    home.run(
        "INSERT INTO users (id, email, password_hash) VALUES
             ('a', 'A@example.com', repeat('*', 60)), ('b', 'a@example.com', repeat('*', 60))",
    )
    .await;
    let before = home.value(CATALOGUE).await;
    let failed = migrate(home.url()).await.unwrap_err();
    let MigrateError::Statement { migration, statement, message } = &failed else { panic!("{failed:?}") };
    assert!(migration.ends_with("case_insensitive_addresses"), "{migration}");
    assert!(statement.starts_with("DO $$ BEGIN") || statement.starts_with("DO $$ DECLARE"), "{statement}");
    assert!(message.contains("a@example.com"), "{message}");
    assert!(failed.to_string().contains(migration) && failed.to_string().contains(statement));
    assert_eq!(home.value(CATALOGUE).await, before);
    home.run("DELETE FROM users WHERE id = 'b'").await;
    assert_eq!(migrate(home.url()).await.unwrap().first(), Some(migration));
}

#[tokio::test]
async fn a_migration_waits_for_those_who_use_its_tables() {
    let home = Home::new().await;
    let name = revert_last(home.url()).await.unwrap().unwrap();
    let mut holder = home.connection().await;
    holder.batch_execute("BEGIN; LOCK TABLE __diesel_schema_migrations").await.unwrap();
    let migration = migrate(home.url());
    let release = async {
        home.await_waiting(1).await;
        holder.batch_execute("ROLLBACK").await.unwrap();
    };
    let (applied, ()) = tokio::join!(migration, release);
    assert_eq!(applied.unwrap(), [name]);
}

#[tokio::test]
async fn what_cannot_be_reached_or_read_is_told_apart() {
    assert!(matches!(migrate("mysql://x").await, Err(MigrateError::Url(_))));
    assert!(matches!(migrate("postgres://u@127.0.0.1:1/db").await, Err(MigrateError::Connect(_))));
}

#[tokio::test]
async fn rows_live_through_the_way_down_and_up() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    for _ in 0..2 {
        revert_last(home.url()).await.unwrap();
    }
    migrate(home.url()).await.unwrap();
    assert_eq!(home.value("SELECT email FROM users").await, "ada@example.com");
}

#[tokio::test]
async fn tables_with_rows_go_only_by_force() {
    let home = Home::of_three().await;
    home.run(
        "INSERT INTO imported_identities (user_id, provider, provider_id) VALUES ('ada', 'google', '1')",
    )
    .await;
    let told = loop {
        if let Err(refused) = revert_last(home.url()).await {
            break refused.to_string();
        }
    };
    assert!(told.contains("imported_accounts drops imported_identities with all rows: `--force`"), "{told}");
    assert_eq!(home.value("SELECT count(*) FROM imported_identities").await, "1");
    assert!(revert_last_with_its_rows(home.url()).await.unwrap().unwrap().ends_with("imported_accounts"));
    assert_eq!(home.value("SELECT to_regclass('imported_identities') IS NULL").await, "t");
}

#[tokio::test]
async fn the_schema_that_the_url_names_is_where_the_tables_are() {
    let home = Home::empty().await;
    home.run("CREATE SCHEMA \"Our-own\"").await;
    migrate(&home.url_with("schema=Our-own")).await.unwrap();
    let place = "SELECT relnamespace::regnamespace FROM pg_class WHERE relname = 'users'";
    assert_eq!(home.first_column(place).await, ["\"Our-own\""]);
    let accounts = PgAccounts::new(home.pool_with("schema=Our-own"));
    assert_eq!(accounts.find(&user_id("ada")).await.unwrap(), None);
}
