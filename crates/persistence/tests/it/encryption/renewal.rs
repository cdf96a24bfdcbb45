//! Values come under another key.

use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use subtle_persistence::{Database, KeyStanding, KeyUse, PgEncryption};

use super::{KEPT, NEW, OLD, add, avatar, bridge, find, found, issue, patch, with};
use crate::support::{Home, user};

#[tokio::test]
async fn plain_and_older_values_come_under_the_newest_key_and_back() {
    let home = Home::new().await;
    home.run(
        "INSERT INTO users (id, email, password_hash, avatar_url, updated_at)
         SELECT 'p' || n, 'p' || n || '@example.com', repeat('x', 60), 'https://example.com/' || n, '2020-01-01'
         FROM generate_series(1, 250) AS n;
         INSERT INTO users (id, email, password_hash) VALUES ('none', 'none@example.com', repeat('x', 60))",
    )
    .await;
    let old = with(&home, &[OLD]);
    add(&old, &user("ada")).await;
    let handed = bridge(r#"{"tab": 1}"#);
    issue(&old, &handed).await;
    let rotating = with(&home, &[NEW, OLD]);
    let encryption = PgEncryption::new(rotating.clone());
    let uses = |column: &str, key: &str, standing, rows| KeyUse {
        column: column.to_owned(),
        key: key.to_owned(),
        standing,
        rows,
    };
    assert_eq!(
        encryption.in_use().await.unwrap(),
        [
            uses("users.avatar_url", "plain", KeyStanding::Older, 250),
            uses("users.avatar_url", OLD, KeyStanding::Older, 1),
            uses("bridge_tokens.session_data", OLD, KeyStanding::Older, 1),
        ]
    );
    for (keys, left) in [(&[NEW, OLD], NEW), (&["plain", NEW], "plain")] {
        let database = with(&home, keys);
        let encryption = PgEncryption::new(database.clone());
        assert_eq!(encryption.renew().await.unwrap(), 0);
        assert_eq!(
            encryption.in_use().await.unwrap(),
            [
                uses("users.avatar_url", left, KeyStanding::Newest, 251),
                uses("bridge_tokens.session_data", left, KeyStanding::Newest, 1),
            ]
        );
        assert_eq!(find(&database, "ada").await.unwrap(), Some(user("ada")));
        let avatar = find(&database, "p250").await.unwrap().unwrap().avatar_url.unwrap();
        assert_eq!(avatar.as_str(), "https://example.com/250");
        assert_eq!(found(&database, &handed).await.unwrap().as_ref(), Some(&handed));
    }
    let untouched = "SELECT count(*) FROM users WHERE updated_at = '2020-01-01'";
    assert_eq!(home.value(untouched).await, "250", "nothing was changed that anybody sees");
    assert_eq!(found(&home.pool(), &handed).await.unwrap(), Some(handed), "no key is needed any more");
}

#[tokio::test]
async fn unknown_keys_are_named_once_and_nothing_of_theirs_is_touched() {
    let home = Home::new().await;
    add(&with(&home, &[OLD]), &user("ada")).await;
    issue(&with(&home, &[OLD]), &bridge("1")).await;
    let kept = home.value(KEPT).await;
    for (database, unknown) in
        [(home.pool(), vec![OLD]), (with(&home, &[NEW]), vec![OLD]), (with(&home, &[NEW, OLD]), vec![])]
    {
        assert_eq!(PgEncryption::new(database).unknown_keys().await.unwrap(), unknown);
    }
    assert_eq!(PgEncryption::new(with(&home, &[NEW])).renew().await.unwrap(), 0);
    assert_eq!(home.value(KEPT).await, kept);
}

#[tokio::test]
async fn nobody_is_waited_for_and_what_is_left_is_told() {
    let home = Home::new().await;
    let old = with(&home, &[OLD]);
    for number in 0..5 {
        add(&old, &user(&format!("u{number}"))).await;
    }
    let mut holder = home.connection().await;
    holder.batch_execute("BEGIN; SELECT FROM users WHERE id = 'u3' FOR UPDATE").await.unwrap();
    let encryption = PgEncryption::new(with(&home, &[NEW, OLD]));
    let under_old = "SELECT string_agg(id, ' ') FROM users WHERE avatar_url LIKE 'enc:v1:00000001:%'";
    assert_eq!(encryption.renew().await.unwrap(), 1);
    assert_eq!(home.value(under_old).await, "u3");
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(encryption.renew().await.unwrap(), 0);
    assert_eq!(home.value(under_old).await, "");
}

#[tokio::test]
async fn of_changes_that_come_between_none_is_lost_however_many_servers_rotate() {
    let home = Home::new().await;
    let rotations = [with(&home, &[NEW, OLD]), with(&home, &[OLD, NEW])];
    for person in 0..4 {
        add(&rotations[0], &user(&format!("u{person}"))).await;
    }
    let patches = (0..4).map(|person| {
        let database = &rotations[person % 2];
        async move {
            for number in 0..60 {
                patch(database, &format!("u{person}"), number).await;
                let seen = find(database, &format!("u{person}")).await.unwrap().unwrap().avatar_url;
                assert_eq!(seen, Some(avatar(number)), "u{person}");
            }
        }
    });
    // Each undoes what the other does, so that there is always something to do.
    let servers = async {
        let rotate = |database: &Database| PgEncryption::new(database.clone());
        let [one, other] = [rotate(&rotations[0]), rotate(&rotations[1])];
        loop {
            let (one, other) = tokio::join!(one.renew(), other.renew());
            one.and(other).unwrap();
        }
    };
    tokio::select! {
        _ = join_all(patches) => {}
        () = servers => {}
    }
    let last = &rotations[0];
    while PgEncryption::new(last.clone()).renew().await.unwrap() > 0 {}
    for person in 0..4 {
        let seen = find(last, &format!("u{person}")).await.unwrap().unwrap().avatar_url;
        assert_eq!(seen, Some(avatar(59)));
    }
    let keys = "SELECT count(*) FROM users WHERE avatar_url LIKE 'enc:v1:00000002:%'";
    assert_eq!(home.value(keys).await, "4");
}

#[tokio::test]
async fn the_keys_in_use_are_found_along_an_index() {
    let home = Home::of_three().await;
    home.run(
        "INSERT INTO users (id, email, password_hash, avatar_url)
         SELECT 'p' || n, 'p' || n || '@example.com', repeat('x', 60), 'enc:v1:0000000' || n % 2 || ':' || n
         FROM generate_series(1, 5000) AS n;
         INSERT INTO bridge_tokens (id, user_id, token, expires_at, session_data)
         SELECT 'b' || n, 'ada', 't' || n, now(), jsonb_build_object('$enc', 'v1:0000000' || n % 3 || ':' || n)
         FROM generate_series(1, 5000) AS n;
         ANALYZE users, bridge_tokens",
    )
    .await;
    let read = "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN ('users', 'bridge_tokens')";
    let before = home.value(read).await;
    let unknown = PgEncryption::new(home.pool_with("connection_limit=1")).unknown_keys().await.unwrap();
    assert_eq!(unknown, ["v1:00000000", "v1:00000001", "v1:00000002"]);
    // One for each key, and one to see that there is no more. Counted when their connection is closed.
    let scans = "SELECT string_agg(idx_scan::text, ' ' ORDER BY indexrelname) FROM pg_stat_user_indexes
                 WHERE indexrelname IN ('idx_users_avatar_url_key', 'idx_bridge_tokens_session_data_key')";
    home.await_value(scans, "4 3").await;
    assert_eq!(home.value(read).await, before);
}
