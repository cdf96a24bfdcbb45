//! What an account's row holds, and what it costs to count it.

use subtle_domain::directory::UserQuery;
use subtle_domain::ports::Directory;

use super::{all, directory, inhabitant, page, town};
use crate::support::{Home, user, user_id};

/// So many rows of activity and usage for an account.
async fn busy(home: &Home, user: &str, activity: u32, usage: u32) {
    home.run(&format!(
        "INSERT INTO user_activity (user_id, action) SELECT '{user}', 'sign_in' FROM generate_series(1, {activity});
         INSERT INTO user_usage_metrics (user_id) SELECT '{user}' FROM generate_series(1, {usage})"
    ))
    .await;
}

#[tokio::test]
async fn a_page_counts_activity_and_usage_of_its_accounts() {
    let home = town(6).await;
    let (first, second) = (inhabitant(1).id, inhabitant(2).id);
    busy(&home, first.as_str(), 3, 0).await;
    busy(&home, second.as_str(), 2, 5).await;
    let page = page(&directory(&home), &all()).await;
    for row in page.users {
        let expected = if row.user.id == first {
            (3, 0)
        } else if row.user.id == second {
            (2, 5)
        } else {
            (0, 0)
        };
        assert_eq!((row.activity, row.usage), expected, "{}", row.user.id);
    }
}

#[tokio::test]
async fn an_account_is_read_whole_with_its_counts() {
    let home = Home::new().await;
    home.add(&user("ada")).await;
    busy(&home, "ada", 2, 1).await;
    let row = directory(&home).row(&user_id("ada")).await.unwrap().unwrap();
    assert_eq!((row.user, row.activity, row.usage), (user("ada"), 2, 1));
}

#[tokio::test]
async fn an_account_that_is_unknown_or_erased_is_not_found() {
    let home = town(1).await;
    let directory = directory(&home);
    assert_eq!(directory.row(&user_id("nobody")).await.unwrap(), None);
    assert_eq!(directory.row(&inhabitant(200).id).await.unwrap(), None);
}

/// The server's own count of reads tells what was really run, whatever the plan: it is complete once the connections are closed.
#[tokio::test]
async fn counting_reads_the_growing_tables_by_their_indexes_only() {
    let home = Home::new().await;
    home.run(
        "INSERT INTO users (id, email, password_hash)
         SELECT 'u' || n, n || '@example.com', repeat('x', 60) FROM generate_series(1, 2000) AS n;
         INSERT INTO user_activity (user_id, action) SELECT 'u' || n % 2000 + 1, 'x' FROM generate_series(1, 20000) AS n;
         INSERT INTO user_usage_metrics (user_id) SELECT 'u' || n % 2000 + 1 FROM generate_series(1, 20000) AS n",
    )
    .await;
    home.run("ANALYZE").await;
    let growing = "FROM pg_stat_user_tables WHERE relname IN ('user_activity', 'user_usage_metrics')";
    let scans = format!("SELECT sum(seq_scan) {growing}");
    let (before, directory) = (home.value(&scans).await, directory(&home));
    // Often enough for PostgreSQL to settle for a plan that is the same for all parameters.
    for _ in 0..10 {
        let page = page(&directory, &UserQuery { page_size: 20, ..all() }).await;
        assert!(page.users.iter().all(|row| (row.activity, row.usage) == (10, 10)));
    }
    drop(directory);
    home.await_value(&format!("SELECT min(idx_scan) >= 10 {growing}"), "t").await;
    assert_eq!(home.value(&scans).await, before);
}

/// An account that has most of the tables is where reading them from end to end looks cheaper.
#[tokio::test]
async fn counting_what_the_busiest_account_has_reads_no_others_rows() {
    let home = Home::new().await;
    home.run(
        "INSERT INTO users (id, email, password_hash)
         SELECT id, id || '@example.com', repeat('x', 60) FROM unnest(ARRAY['ada', 'bob']) AS id;
         INSERT INTO user_activity (user_id, action)
         SELECT CASE WHEN n % 10 = 0 THEN 'bob' ELSE 'ada' END, 'x' FROM generate_series(1, 20000) AS n;
         INSERT INTO user_usage_metrics (user_id)
         SELECT CASE WHEN n % 10 = 0 THEN 'bob' ELSE 'ada' END FROM generate_series(1, 20000) AS n",
    )
    .await;
    home.run("ANALYZE").await;
    let growing = "FROM pg_stat_user_tables WHERE relname IN ('user_activity', 'user_usage_metrics')";
    let scans = format!("SELECT sum(seq_scan) {growing}");
    let (before, directory) = (home.value(&scans).await, directory(&home));
    for _ in 0..10 {
        let row = directory.row(&user_id("ada")).await.unwrap().unwrap();
        assert_eq!((row.activity, row.usage), (18_000, 18_000));
    }
    drop(directory);
    home.await_value(&format!("SELECT min(idx_scan) >= 10 {growing}"), "t").await;
    assert_eq!(home.value(&scans).await, before);
}

#[tokio::test]
async fn pages_are_read_from_the_index_of_their_order() {
    let home = Home::new().await;
    home.run(
        "INSERT INTO users (id, email, full_name, password_hash, created_at)
         SELECT 'u' || n, n || '@example.com', md5(n::text), repeat('x', 60), now() - n * interval '1 minute'
         FROM generate_series(1, 5000) AS n",
    )
    .await;
    home.run("ANALYZE").await;
    for sort in super::every_sort() {
        let directory = directory(&home);
        let first = page(&directory, &UserQuery { page_size: 5, sort, ..all() }).await;
        let start = subtle_domain::directory::PageStart::After(first.next.unwrap());
        page(&directory, &UserQuery { page_size: 5, sort, start, ..all() }).await;
    }
    let uses = "SELECT count(*) FROM pg_stat_user_indexes WHERE idx_scan >= 4 AND indexrelname IN
                ('idx_users_created_at', 'users_email_lower_key', 'idx_users_full_name')";
    home.await_value(uses, 3).await;
}
