//! The counts that triggers keep, and pages that are found by them.

use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use subtle_persistence::migrations::grant_to;

use super::*;

/// What triggers have counted beside what there is: nothing where the two agree.
const DIFFERENCES: &str = "
    SELECT format('%s %s %s: %s', day, subscription_tier, role, sum(n)) FROM (
        SELECT (created_at AT TIME ZONE 'UTC')::date AS day, subscription_tier, role, 1 AS n FROM users WHERE deleted_at IS NULL
        UNION ALL SELECT day, subscription_tier, role, -accounts FROM user_counts
    ) AS both_sides GROUP BY day, subscription_tier, role HAVING sum(n) <> 0
    UNION ALL
    SELECT format('%s %s %s: %s', range, subscription_tier, role, sum(n)) FROM (
        SELECT ROW(sort, low_time, low_text, low_id) AS range, grain.subscription_tier, grain.role, 1 AS n
        FROM (
            SELECT *, split_part(sort, '/', 1) AS list, lead(ROW(low_time, low_text, low_id)) OVER (PARTITION BY sort ORDER BY low_time, low_text, low_id) AS high
            FROM user_ranges
        ) AS range
        CROSS JOIN users
        CROSS JOIN LATERAL (VALUES
            (users.subscription_tier, users.role), (users.subscription_tier, ''), ('', users.role), ('', '')
        ) AS grain (subscription_tier, role)
        CROSS JOIN LATERAL (SELECT
            CASE list WHEN 'createdAt' THEN created_at ELSE '-infinity' END AS time,
            CASE list WHEN 'email' THEN lower(email) WHEN 'fullName' THEN left(coalesce(lower(full_name), ''), 200) ELSE '' END AS text
        ) AS place
        WHERE deleted_at IS NULL AND (low_time, low_text, low_id) <= (time, text, users.id)
            AND (high IS NULL OR ROW(time, text, users.id) < high)
        UNION ALL SELECT ROW(sort, low_time, low_text, low_id), subscription_tier, role, -accounts FROM user_range_counts
    ) AS both_sides GROUP BY range, subscription_tier, role HAVING sum(n) <> 0
    UNION ALL
    SELECT format('%s begins where no narrow range does', wide) FROM user_ranges AS wide
    WHERE sort LIKE '%/wide' AND NOT EXISTS (
        SELECT FROM user_ranges AS narrow WHERE narrow.sort = split_part(wide.sort, '/', 1)
            AND (narrow.low_time, narrow.low_text, narrow.low_id) = (wide.low_time, wide.low_text, wide.low_id))
    UNION ALL
    SELECT format('active on %s: %s by account, %s by count', day, sum(n), sum(counted)) FROM (
        SELECT DISTINCT (user_activity.created_at AT TIME ZONE 'UTC')::date AS day, user_id, 1 AS n, 1 AS counted
        FROM user_activity JOIN users ON users.id = user_id WHERE deleted_at IS NULL
        UNION ALL SELECT day, account, -1, 0 FROM active_users
        UNION ALL SELECT day, '', 0, -accounts FROM active_user_counts
    ) AS both_sides GROUP BY day HAVING sum(n) <> 0 OR sum(counted) <> 0
    UNION ALL
    SELECT 'usage' WHERE (SELECT count(*) FROM user_usage_metrics) <> (SELECT coalesce(sum(events), 0) FROM usage_counts)";

/// Accounts over ten days, a hundred a day, some of them of one moment; a third of one name and a third without; every seventh erased.
const PEOPLE: &str = "
    INSERT INTO users (id, email, full_name, password_hash, created_at, updated_at, subscription_tier, role, deleted_at)
    SELECT 'p' || n, n || '@example.com', (ARRAY['Ada', NULL, 'Number ' || n])[1 + n / 3 % 3], repeat('x', 60),
        TIMESTAMPTZ '2026-01-01 23:00Z' + n % 10 * INTERVAL '1 day' + n % 3 * INTERVAL '1 hour', now(),
        (ARRAY['free', 'pro', 'enterprise'])[1 + n % 3], (ARRAY['user', 'support'])[1 + n % 2],
        CASE WHEN n % 7 = 0 THEN now() END
    FROM generate_series(1, 1000) AS n";

const USAGE: &str = "
    INSERT INTO user_usage_metrics (id, user_id) SELECT 'm' || id || n, id FROM users, generate_series(1, 3) AS n";

/// On three days, two of each an account.
const ACTIVITY: &str = "
    INSERT INTO user_activity (id, user_id, action, created_at)
    SELECT 'a' || users.id || n, users.id, 'x', TIMESTAMPTZ '2026-01-01 23:59Z' + n % 3 * INTERVAL '1 day'
    FROM users, generate_series(1, 6) AS n";

async fn differences(home: &Home) -> Vec<String> {
    home.first_column(DIFFERENCES).await
}

/// Cuts as the service does, but smaller, and with four narrow ranges in a wide one.
async fn cut(home: &Home, size: u32) {
    while home.value(&format!("SELECT cut_user_range({size}, 4)")).await == "t" {}
}

#[tokio::test]
async fn counts_keep_step_with_the_rows_whoever_writes() {
    let home = Home::new().await;
    for sql in [
        PEOPLE,
        USAGE,
        ACTIVITY,
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
        "SELECT fold_user_counts(), fold_usage_counts(), fold_active_user_counts()",
        "SELECT fold_user_range_counts(array_agg(range)) FROM user_ranges AS range",
        "TRUNCATE user_usage_metrics",
        "DELETE FROM user_activity WHERE id LIKE 'ap1%1' OR id LIKE 'ap3%'",
        "UPDATE user_activity SET created_at = created_at - INTERVAL '1 minute' - INTERVAL '1 day'",
        "UPDATE user_activity SET user_id = 'p51' WHERE user_id = 'p50'",
        "UPDATE user_activity SET action = 'y'",
        "INSERT INTO user_activity (id, user_id, action) VALUES ('now', 'p50', 'x'), ('again', 'p50', 'x')",
        "UPDATE users SET email = 'x' || email, id = 'x' || id WHERE id LIKE 'p1%'",
        "TRUNCATE user_activity",
        "INSERT INTO users (id, email, full_name, password_hash, updated_at)
            SELECT 'q' || n, 'Q' || n || '@example.com', 'Zoë ' || md5(n::text), repeat('x', 60), now() FROM generate_series(1, 300) AS n",
    ] {
        home.run(sql).await;
        assert_eq!(differences(&home).await, Vec::<String>::new(), "{sql}");
        cut(&home, 40).await;
        assert_eq!(differences(&home).await, Vec::<String>::new(), "cut after {sql}");
    }
    for (sorts, least) in [("NOT LIKE", 10), ("LIKE", 4)] {
        let fewest = format!(
            "SELECT min(n) FROM (SELECT count(*) AS n FROM user_ranges WHERE sort {sorts} '%/wide' GROUP BY sort) AS r"
        );
        let ranges: u32 = home.value(&fewest).await.parse().unwrap();
        assert!(ranges > least, "{sorts} wide: {ranges}");
    }
    let large = "
        SELECT count(*) FROM (
            SELECT FROM user_range_counts WHERE subscription_tier = '' AND role = '' GROUP BY sort, low_time, low_text, low_id
            HAVING sum(accounts) > CASE WHEN sort LIKE '%/wide' THEN 320 ELSE 80 END
        ) AS large";
    assert_eq!(home.value(large).await, "0");
}

#[tokio::test]
async fn ranges_begin_with_nobodys_address() {
    let home = Home::new().await;
    home.run(PEOPLE).await;
    cut(&home, 40).await;
    let texts =
        home.first_column("SELECT low_text FROM user_ranges WHERE sort = 'email' AND low_text <> ''").await;
    assert!(texts.len() > 10, "{texts:?}");
    assert!(
        texts.iter().all(|text| text.len() < "100@example.com".len() && !text.contains('@')),
        "{texts:?}"
    );
    // A name stands there only where neighbours share it.
    let names = "SELECT DISTINCT low_text FROM user_ranges JOIN users ON lower(full_name) = low_text WHERE sort = 'fullName'";
    assert_eq!(home.first_column(names).await, ["ada"]);
}

#[tokio::test]
async fn ranges_are_not_cut_while_somebody_writes_accounts() {
    let home = Home::new().await;
    home.run(PEOPLE).await;
    let mut writer = home.connection().await;
    writer.batch_execute("BEGIN; UPDATE users SET full_name = 'Grace' WHERE id = 'p1'").await.unwrap();
    assert_eq!(home.value("SELECT coalesce(cut_user_range(40, 4)::text, 'busy')").await, "busy");
    writer.batch_execute("COMMIT").await.unwrap();
    cut(&home, 40).await;
    assert_eq!(differences(&home).await, Vec::<String>::new());
    home.run("SELECT recount_user_ranges()").await;
    assert_eq!(home.value("SELECT count(*) FROM user_ranges").await, "6");
    assert_eq!(differences(&home).await, Vec::<String>::new());
}

#[tokio::test]
async fn ranges_are_cut_while_many_write_accounts() {
    let home = Home::new().await;
    home.run(PEOPLE).await;
    let writers = join_all((0..4).map(|writer| {
        let home = &home;
        async move {
            for n in 0..100 {
                home.run(&format!(
                    "INSERT INTO users (id, email, full_name, password_hash, updated_at)
                        VALUES ('w{writer}-{n}', 'w{n}-{writer}@example.com', 'Writer {n}', repeat('x', 60), now());
                     UPDATE users SET full_name = 'Renamed {writer}' WHERE id = 'p{n}'"
                ))
                .await;
            }
        }
    }));
    let cutters = join_all((0..2).map(|_| async {
        for _ in 0..200 {
            home.value("SELECT coalesce(cut_user_range(30, 4)::text, 'busy')").await;
        }
    }));
    tokio::join!(writers, cutters);
    assert_eq!(differences(&home).await, Vec::<String>::new());
    assert_ne!(home.value("SELECT count(*) FROM user_ranges").await, "6");
}

#[tokio::test]
async fn who_sees_ranges_as_they_were_before_a_cut_does_not_count_by_them() {
    let home = Home::new().await;
    home.run(PEOPLE).await;
    let rename = "UPDATE users SET full_name = 'Grace' WHERE id = 'p1'";
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM users";
    let mut writer = home.connection().await;
    writer.batch_execute(begin).await.unwrap();
    cut(&home, 40).await;
    let refused = writer.batch_execute(rename).await.unwrap_err().to_string();
    assert!(refused.contains("could not serialize access"), "{refused}");
    for sql in ["ROLLBACK", begin, rename, "COMMIT"] {
        writer.batch_execute(sql).await.unwrap();
    }
    assert_eq!(home.value("SELECT full_name FROM users WHERE id = 'p1'").await, "Grace");
    assert_eq!(differences(&home).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_was_there_is_counted_beside_what_comes_meanwhile() {
    let home = Home::new().await;
    let active = |id: &str| format!("INSERT INTO user_activity (user_id, action) VALUES ('{id}', 'x')");
    for step in [
        include_str!("../../../../../migrations/20261129000200_active_users/down.sql"),
        include_str!("../../../../../migrations/20261130000100_landmarks_from_the_begin/down.sql"),
        include_str!("../../../../../migrations/20261130000050_counts_of_ranges_corrected/down.sql"),
        include_str!("../../../../../migrations/20261130000000_wide_user_ranges/down.sql"),
        include_str!("../../../../../migrations/20261129000000_user_ranges/down.sql"),
        include_str!("../../../../../migrations/20261128001000_kept_counts/down.sql"),
        PEOPLE,
        USAGE,
        &active("p1"),
        &active("p2"),
        include_str!("../../../../../migrations/20261128001000_kept_counts/up.sql"),
        include_str!("../../../../../migrations/20261129000000_user_ranges/up.sql"),
        include_str!("../../../../../migrations/20261129000200_active_users/up.sql"),
        &active("p2"),
        &active("p3"),
    ] {
        home.run(step).await;
    }
    home.run("DELETE FROM users WHERE id LIKE 'p6%'").await;
    home.run("INSERT INTO user_usage_metrics (id, user_id) VALUES ('late', 'p1')").await;
    assert_ne!(differences(&home).await, Vec::<String>::new());
    for step in [
        include_str!("../../../../../migrations/20261128001100_counts_of_what_was_there/up.sql"),
        include_str!("../../../../../migrations/20261129000100_ranges_of_what_was_there/up.sql"),
        include_str!("../../../../../migrations/20261129000300_active_users_of_today/up.sql"),
        include_str!("../../../../../migrations/20261130000000_wide_user_ranges/up.sql"),
        include_str!("../../../../../migrations/20261130000050_counts_of_ranges_corrected/up.sql"),
        include_str!("../../../../../migrations/20261130000100_landmarks_from_the_begin/up.sql"),
    ] {
        home.run(step).await;
    }
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
async fn a_landmark_is_no_further_away_than_a_range_is_wide() {
    let home = Home::new().await;
    home.run(&PEOPLE.replace("1000", "6000")).await;
    cut(&home, 100).await;
    let astray = "
        SELECT format('%s %s %s %s: %s', list, descending, tier, skip, mark)
        FROM unnest(ARRAY['createdAt', 'email', 'fullName']) AS list, unnest(ARRAY[true, false]) AS descending,
            unnest(ARRAY['', 'pro']) AS tier, generate_series(0, 1600, 37) AS skip,
            user_landmark(list, descending, tier, '', skip) AS mark
        WHERE skipped IS NULL OR skip - skipped NOT BETWEEN 0 AND 200";
    assert_eq!(home.first_column(astray).await, Vec::<String>::new());
    let beyond =
        "SELECT total || coalesce(skipped::text, '') FROM user_landmark('email', true, '', '', 10000)";
    assert_eq!(home.value(beyond).await, "5143");
}

#[tokio::test]
async fn what_has_piled_up_is_folded_when_there_is_nothing_to_cut() {
    let home = Home::new().await;
    home.run(PEOPLE).await;
    cut(&home, 40).await;
    // In READ COMMITTED some of it would be folded by the way, now and then.
    home.run(
        "BEGIN ISOLATION LEVEL REPEATABLE READ;
        DO $$ BEGIN FOR n IN 1..300 LOOP
            UPDATE users SET role = CASE role WHEN 'user' THEN 'support' ELSE 'user' END WHERE id = 'p1';
        END LOOP; END $$;
        COMMIT",
    )
    .await;
    let most = "SELECT max(n) FROM (SELECT count(*) AS n FROM user_range_counts GROUP BY sort, low_time, low_text, low_id) AS r";
    assert!(home.value(most).await.parse::<u32>().unwrap() > 500);
    cut(&home, 40).await;
    assert!(home.value(most).await.parse::<u32>().unwrap() <= 16);
    assert_eq!(differences(&home).await, Vec::<String>::new());
}

#[tokio::test]
async fn who_may_run_the_service_may_cut_ranges_and_look_for_landmarks() {
    let home = Home::new().await;
    grant_to(home.url(), "subtle_it").await.unwrap();
    home.run(PEOPLE).await;
    let mut service = home.connection().await;
    for sql in ["SET ROLE subtle_it", "SELECT cut_user_range(40, 4)", "SELECT cut_user_range(10000)"] {
        service.batch_execute(sql).await.unwrap();
    }
    service.batch_execute("SELECT user_landmark('fullName', true, '', '', 300)").await.unwrap();
    assert_eq!(home.value("SELECT count(*) > 10 FROM user_ranges").await, "t");
}

#[tokio::test]
async fn a_page_far_behind_the_first_is_the_same_as_one_that_is_counted_up_to() {
    let home = Home::new().await;
    home.run(&PEOPLE.replace("1000", "6000")).await;
    all_pages_follow_each_other(&home, "nothing is cut").await;
    for size in [1_500, 100] {
        cut(&home, size).await;
        all_pages_follow_each_other(&home, &format!("cut to {size}")).await;
    }
}

async fn all_pages_follow_each_other(home: &Home, state: &str) {
    let directory = directory(home);
    let filters = [(None, None), (SubscriptionTier::ALL.first(), None), (None, Role::ALL.first())];
    let sorts = [
        (UserSortKey::CreatedAt, "created_at"),
        (UserSortKey::Email, "lower(email)"),
        (UserSortKey::FullName, "left(coalesce(lower(full_name), ''), 200)"),
    ];
    for (tier, role) in filters.map(|(tier, role)| (tier.copied(), role.copied())) {
        for ((key, order), descending) in sorts.iter().flat_map(|sort| [(sort, false), (sort, true)]) {
            let direction = if descending { "DESC" } else { "ASC" };
            let wanted = home
                .first_column(&format!(
                    "SELECT id FROM users WHERE deleted_at IS NULL AND ({}) AND ({})
                     ORDER BY {order} {direction}, id {direction}",
                    tier.map_or("true".to_owned(), |tier| format!("subscription_tier = '{}'", tier.as_str())),
                    role.map_or("true".to_owned(), |role| format!("role = '{}'", role.as_str())),
                ))
                .await;
            let sort = UserSort { key: *key, descending };
            let mut walked = Vec::new();
            for number in 1.. {
                let start = PageStart::Number(number);
                let query = UserQuery { start, page_size: 97, tier, role, sort, ..all() };
                let page = page(&directory, &query).await;
                assert_eq!(page.total, i64::try_from(wanted.len()).unwrap());
                if page.users.is_empty() {
                    break;
                }
                walked.extend(ids(&page.users));
            }
            assert!(wanted.len() > 1_500);
            assert_eq!(walked, wanted, "by {order} {direction}, {state}");
        }
    }
}
