//! The counts that triggers keep, and pages that are found by them.

use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;

use super::*;

/// What triggers have counted beside what there is: nothing where the two agree.
const DIFFERENCES: &str = "
    SELECT format('%s %s %s: %s', day, subscription_tier, role, sum(n)) FROM (
        SELECT (created_at AT TIME ZONE 'UTC')::date AS day, subscription_tier, role, 1 AS n FROM users WHERE deleted_at IS NULL
        UNION ALL SELECT day, subscription_tier, role, -accounts FROM user_counts
    ) AS both_sides GROUP BY day, subscription_tier, role HAVING sum(n) <> 0
    UNION ALL
    SELECT 'usage' WHERE (SELECT count(*) FROM user_usage_metrics) <> (SELECT coalesce(sum(events), 0) FROM usage_counts)";

/// Accounts over ten days, a hundred a day, some of them of one moment; every seventh erased.
const PEOPLE: &str = "
    INSERT INTO users (id, email, password_hash, created_at, updated_at, subscription_tier, role, deleted_at)
    SELECT 'p' || n, n || '@example.com', repeat('x', 60),
        TIMESTAMPTZ '2026-01-01 23:00Z' + n % 10 * INTERVAL '1 day' + n % 3 * INTERVAL '1 hour', now(),
        (ARRAY['free', 'pro', 'enterprise'])[1 + n % 3], (ARRAY['user', 'support'])[1 + n % 2],
        CASE WHEN n % 7 = 0 THEN now() END
    FROM generate_series(1, 1000) AS n";

const USAGE: &str = "
    INSERT INTO user_usage_metrics (id, user_id) SELECT 'm' || id || n, id FROM users, generate_series(1, 3) AS n";

async fn differences(home: &Home) -> Vec<String> {
    home.first_column(DIFFERENCES).await
}

#[tokio::test]
async fn counts_keep_step_with_the_rows_whoever_writes() {
    let home = Home::new().await;
    for sql in [
        PEOPLE,
        USAGE,
        "UPDATE users SET subscription_tier = 'enterprise', role = 'admin' WHERE id LIKE 'p1%'",
        "UPDATE users SET deleted_at = now() WHERE id LIKE 'p2%'",
        "UPDATE users SET deleted_at = NULL WHERE id LIKE 'p27%'",
        "UPDATE users SET created_at = created_at - INTERVAL '90 days', full_name = 'x' WHERE id LIKE 'p3%'",
        "UPDATE users SET full_name = 'y'",
        "DELETE FROM users WHERE id LIKE 'p4%'",
        "DELETE FROM user_usage_metrics WHERE id LIKE 'mp5%'",
        "INSERT INTO users (id, email, password_hash, updated_at) VALUES ('p5', 'else@example.com', repeat('x', 60), now())
            ON CONFLICT DO NOTHING",
        "BEGIN; DELETE FROM users; ROLLBACK",
        "SELECT fold_user_counts(), fold_usage_counts()",
        "TRUNCATE user_usage_metrics",
    ] {
        home.run(sql).await;
        assert_eq!(differences(&home).await, Vec::<String>::new(), "{sql}");
    }
}

#[tokio::test]
async fn what_was_there_is_counted_beside_what_comes_meanwhile() {
    let home = Home::new().await;
    home.run(include_str!("../../../../../migrations/20261128001000_kept_counts/down.sql")).await;
    home.run(PEOPLE).await;
    home.run(USAGE).await;
    home.run(include_str!("../../../../../migrations/20261128001000_kept_counts/up.sql")).await;
    home.run("DELETE FROM users WHERE id LIKE 'p6%'").await;
    home.run("INSERT INTO user_usage_metrics (id, user_id) VALUES ('late', 'p1')").await;
    assert_ne!(differences(&home).await, Vec::<String>::new());
    home.run(include_str!("../../../../../migrations/20261128001100_counts_of_what_was_there/up.sql")).await;
    assert_eq!(differences(&home).await, Vec::<String>::new());
}

#[tokio::test]
async fn many_writers_leave_few_counts_and_wait_for_nobody() {
    let home = Home::of_three().await;
    let mut holder = home.connection().await;
    let one = |id: &str| format!("INSERT INTO user_usage_metrics (id, user_id) VALUES ('{id}', 'ada')");
    // Its count is neither seen nor waited for until it is committed.
    holder.batch_execute(&format!("BEGIN; {}", one("held"))).await.unwrap();
    let writers = join_all((0..4).map(|writer| {
        let home = &home;
        async move {
            let many: Vec<String> = (0..500).map(|n| one(&format!("{writer}-{n}"))).collect();
            home.run(&many.join(";")).await;
            for sql in &many {
                let other = sql.replace("VALUES ('", "VALUES ('again-");
                home.run(&other).await;
            }
        }
    }));
    writers.await;
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(differences(&home).await, Vec::<String>::new());
    let counts: u32 = home.value("SELECT count(*) FROM usage_counts").await.parse().unwrap();
    assert!(counts < 1500, "{counts}");
}

#[tokio::test]
async fn a_page_far_behind_the_first_is_the_same_as_one_that_is_counted_up_to() {
    let home = Home::new().await;
    home.run(PEOPLE).await;
    let directory = directory(&home);
    let filters = [(None, None), (SubscriptionTier::ALL.first(), None), (None, Role::ALL.first())];
    for (tier, role) in filters.map(|(tier, role)| (tier.copied(), role.copied())) {
        for descending in [false, true] {
            let direction = if descending { "DESC" } else { "ASC" };
            let wanted = home
                .first_column(&format!(
                    "SELECT id FROM users WHERE deleted_at IS NULL AND ({}) AND ({})
                     ORDER BY created_at {direction}, id {direction}",
                    tier.map_or("true".to_owned(), |tier| format!("subscription_tier = '{}'", tier.as_str())),
                    role.map_or("true".to_owned(), |role| format!("role = '{}'", role.as_str())),
                ))
                .await;
            let sort = UserSort { key: UserSortKey::CreatedAt, descending };
            let mut walked = Vec::new();
            for number in 1.. {
                let start = PageStart::Number(number);
                let page =
                    page(&directory, &UserQuery { start, page_size: 7, tier, role, sort, ..all() }).await;
                assert_eq!(page.total, i64::try_from(wanted.len()).unwrap());
                if page.users.is_empty() {
                    break;
                }
                walked.extend(ids(&page.users));
            }
            assert!(wanted.len() > 200);
            assert_eq!(walked, wanted);
        }
    }
}
