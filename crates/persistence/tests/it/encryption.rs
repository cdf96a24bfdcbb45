//! Values that are kept encrypted: written, read, refused, and brought under another key.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use subtle_domain::bridge::{Bridge, LIFE};
use subtle_domain::directory::{PageStart, UserQuery, UserSort, UserSortKey};
use subtle_domain::encryption::{Ciphertext, KeyId, NotEncrypted, Place, Undecipherable};
use subtle_domain::ids::BridgeId;
use subtle_domain::ports::{Accounts, Bridges, Directory, FieldCipher, Sessions, Store, StoreError};
use subtle_domain::text::AvatarUrl;
use subtle_domain::token::TokenDigest;
use subtle_domain::user::{ProfileChange, User};
use subtle_persistence::{
    Database, KeyStanding, KeyUse, PgAccounts, PgBridges, PgDirectory, PgEncryption, PgSessions,
};

use crate::support::{Home, email, later, session, start, store, user, user_id};

const OLD: &str = "v1:00000001";
const NEW: &str = "v1:00000002";

/// Tells apart keys and places; nobody attacks it.
struct TestCipher {
    newest: Option<KeyId>,
    known: Vec<KeyId>,
}

/// With these keys, newest first; `plain` in front encrypts no more.
fn by(keys: &[&str]) -> Arc<TestCipher> {
    let known: Vec<_> = keys.iter().filter_map(|key| KeyId::parse(key)).collect();
    let newest = known.first().filter(|_| keys.first() != Some(&"plain")).cloned();
    Arc::new(TestCipher { newest, known })
}

/// The text, and a sum of it, the key and the place.
fn written(place: Place<'_>, key: &KeyId, value: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (key, place.table, place.column, place.row, value).hash(&mut hasher);
    let sum = format!("{:016x}", hasher.finish());
    let text: Vec<_> = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{}{sum}", text.concat())
}

fn value(body: &str) -> Option<String> {
    let text = body.get(..body.len().checked_sub(16)?)?;
    let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    String::from_utf8((0..text.len()).step_by(2).map(byte).collect::<Option<_>>()?).ok()
}

impl FieldCipher for TestCipher {
    fn newest(&self) -> Option<&KeyId> {
        self.newest.as_ref()
    }

    fn knows(&self, key: &KeyId) -> bool {
        self.known.contains(key)
    }

    fn encrypt(&self, place: Place<'_>, value: &str) -> Result<Option<Ciphertext>, NotEncrypted> {
        let Some(key) = &self.newest else { return Ok(None) };
        Ok(Ciphertext::new(key.clone(), &written(place, key, value)))
    }

    fn decrypt(&self, place: Place<'_>, ciphertext: &Ciphertext) -> Result<String, Undecipherable> {
        if !self.knows(ciphertext.key()) {
            return Err(Undecipherable::UnknownKey);
        }
        let value = value(ciphertext.body());
        let authentic = |value: &String| written(place, ciphertext.key(), value) == ciphertext.body();
        value.filter(authentic).ok_or(Undecipherable::NotAuthentic)
    }
}

fn with(home: &Home, keys: &[&str]) -> Database {
    home.pool().with_cipher(by(keys))
}

async fn add(database: &Database, user: &User) {
    let mut unit = store(database.clone()).begin().await.unwrap();
    let new = subtle_domain::ports::NewUser { user: user.clone(), hash: crate::support::hash('a') };
    assert!(unit.users().add(&new).await.unwrap());
    unit.commit().await.unwrap();
}

fn avatar(number: usize) -> AvatarUrl {
    AvatarUrl::parse(&format!("https://example.com/{number}.png")).unwrap()
}

async fn patch(database: &Database, id: &str, number: usize) {
    let change = ProfileChange { avatar_url: Some(Some(avatar(number))), ..ProfileChange::default() };
    let changed = PgAccounts::new(database.clone()).change_profile(&user_id(id), &change, later(2)).await;
    assert_eq!(changed.unwrap().unwrap().avatar_url, Some(avatar(number)));
}

fn bridge(data: &str) -> Bridge {
    Bridge {
        id: BridgeId::parse("b1").unwrap(),
        user_id: user_id("ada"),
        session_id: None,
        digest: TokenDigest::new("digest of b1"),
        challenge: None,
        data: Some(data.to_owned()),
        client: session("s1", "ada").client,
        created_at: start(),
        expires_at: start() + LIFE,
        used_at: None,
    }
}

async fn issue(database: &Database, bridge: &Bridge) {
    let mut unit = store(database.clone()).begin().await.unwrap();
    unit.bridges().add(bridge).await.unwrap();
    unit.commit().await.unwrap();
}

async fn found(database: &Database, bridge: &Bridge) -> Result<Option<Bridge>, StoreError> {
    PgBridges::new(database.clone()).find(&bridge.user_id, &bridge.digest).await
}

async fn find(database: &Database, id: &str) -> Result<Option<User>, StoreError> {
    PgAccounts::new(database.clone()).find(&user_id(id)).await
}

fn is_corrupt<T>(outcome: &Result<T, StoreError>, wanted: &str) -> bool {
    matches!(outcome, Err(StoreError::Corrupt { column, .. }) if *column == wanted)
}

const KEPT: &str = "SELECT avatar_url FROM users WHERE id = 'ada'";

#[tokio::test]
async fn every_way_to_an_account_reads_what_the_column_does_not_show() {
    let home = Home::new().await;
    let database = with(&home, &[NEW]);
    let ada = user("ada");
    add(&database, &ada).await;
    home.add_session(&session("s1", "ada")).await;
    let kept = home.value(KEPT).await;
    assert!(kept.starts_with("enc:v1:00000002:") && !kept.contains("example"), "{kept}");
    let accounts = PgAccounts::new(database.clone());
    assert_eq!(accounts.find(&ada.id).await.unwrap().as_ref(), Some(&ada));
    assert_eq!(accounts.credentials(&ada.id).await.unwrap().unwrap().user, ada);
    assert_eq!(accounts.credentials_of_address(&ada.email).await.unwrap().unwrap().user, ada);
    let sessions = PgSessions::new(database.clone());
    let (_, found) = sessions.find(&ada.id, &session("s1", "ada").id).await.unwrap().unwrap();
    assert_eq!(found, ada);
    let directory = PgDirectory::new(database.clone());
    assert_eq!(directory.row(&ada.id).await.unwrap().unwrap().user, ada);
    let query = UserQuery {
        start: PageStart::Number(1),
        page_size: 10,
        search: None,
        tier: None,
        role: None,
        sort: UserSort { key: UserSortKey::Email, descending: false },
    };
    assert_eq!(directory.page(&query).await.unwrap().users[0].user, ada);
    let mut unit = store(database).begin().await.unwrap();
    assert_eq!(unit.users().lock(&ada.id).await.unwrap().as_ref(), Some(&ada));
    assert_eq!(unit.users().lock_address(&ada.email).await.unwrap(), Some(ada));
}

#[tokio::test]
async fn every_way_to_write_an_account_keeps_what_the_column_does_not_show() {
    let home = Home::new().await;
    let database = with(&home, &[NEW]);
    add(&database, &user("ada")).await;
    patch(&database, "ada", 7).await;
    let mut kept = vec![home.value(KEPT).await];
    for moves in [false, true] {
        let mut unit = store(database.clone()).begin().await.unwrap();
        let mut ada = unit.users().lock(&user_id("ada")).await.unwrap().unwrap();
        ada.avatar_url = Some(avatar(8));
        if moves {
            ada.move_to(email("moved@example.com"), later(3));
            assert!(unit.users().move_to(&ada).await.unwrap());
        } else {
            unit.users().save(&ada).await.unwrap();
        }
        unit.commit().await.unwrap();
        kept.push(home.value(KEPT).await);
    }
    assert!(kept.iter().all(|kept| kept.starts_with("enc:") && !kept.contains("example")), "{kept:?}");
    assert_eq!(find(&database, "ada").await.unwrap().unwrap().avatar_url, Some(avatar(8)));
    let none = ProfileChange { avatar_url: Some(None), ..ProfileChange::default() };
    PgAccounts::new(database).change_profile(&user_id("ada"), &none, later(4)).await.unwrap();
    assert_eq!(home.value("SELECT avatar_url IS NULL FROM users").await, "t");
}

#[tokio::test]
async fn what_is_handed_over_is_kept_encrypted_and_forgotten_like_anything() {
    let home = Home::of_three().await;
    let database = with(&home, &[NEW]);
    let handed = bridge(r#"{"n": 12345678901234567890.10, "tab": "secret"}"#);
    issue(&database, &handed).await;
    let kept = home.value("SELECT session_data FROM bridge_tokens").await;
    assert!(kept.starts_with("{\"$enc\": \"v1:00000002:") && !kept.contains("secret"), "{kept}");
    assert_eq!(found(&database, &handed).await.unwrap().as_ref(), Some(&handed));
    assert!(is_corrupt(&found(&home.pool(), &handed).await, "session_data"));
    let mut unit = store(database).begin().await.unwrap();
    assert!(unit.bridges().spend(&handed, later(1)).await.unwrap());
    unit.commit().await.unwrap();
    assert_eq!(home.value("SELECT session_data IS NULL FROM bridge_tokens").await, "t");
}

#[tokio::test]
async fn a_document_that_looks_encrypted_comes_back_as_it_was_with_keys_and_without() {
    let home = Home::of_three().await;
    for (number, data) in [
        r#"{"$enc": "v1:00000002:aa"}"#,
        r#"{"$enc": {"plain": {"$enc": {"plain": 1}}}}"#,
        r#"{"a": {"$enc": "v1:00000002:aa"}}"#,
        r#"{"$enc": {"plain": 1}, "other": {"b": {}}}"#,
        "null",
    ]
    .into_iter()
    .enumerate()
    {
        for (kind, database) in [("plain", home.pool()), ("encrypted", with(&home, &[NEW]))] {
            let id = format!("{kind}{number}");
            let digest = TokenDigest::new(id.clone());
            let handed = Bridge { id: BridgeId::parse(&id).unwrap(), digest, ..bridge(data) };
            issue(&database, &handed).await;
            assert_eq!(found(&database, &handed).await.unwrap(), Some(handed), "{id}");
        }
    }
    let plain = "SELECT count(*) FROM bridge_tokens WHERE id LIKE 'plain%'";
    assert_eq!(home.value(plain).await, "5");
    assert_eq!(
        PgEncryption::new(home.pool()).unknown_keys().await.unwrap(),
        [NEW],
        "of those that are encrypted"
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_stays_as_it_is() {
    let home = Home::new().await;
    let database = with(&home, &[NEW]);
    add(&database, &user("ada")).await;
    add(&database, &user("bob")).await;
    let kept = home.value(KEPT).await;
    for (what, other) in [("no key", home.pool()), ("another key", with(&home, &[OLD]))] {
        assert!(is_corrupt(&find(&other, "ada").await, "avatar_url"), "{what}");
        let mut unit = store(other).begin().await.unwrap();
        assert!(is_corrupt(&unit.users().lock(&user_id("ada")).await, "avatar_url"), "{what}");
    }
    home.run(&format!("UPDATE users SET avatar_url = '{kept}' WHERE id = 'bob'")).await;
    assert!(is_corrupt(&find(&database, "bob").await, "avatar_url"), "moved");
    home.run("UPDATE users SET avatar_url = avatar_url || '0' WHERE id = 'ada'").await;
    assert!(is_corrupt(&find(&database, "ada").await, "avatar_url"), "changed");
    let before = home.first_column("SELECT avatar_url FROM users ORDER BY id").await;
    let rotated = PgEncryption::new(with(&home, &["v1:00000003", NEW]));
    assert_eq!(rotated.renew().await.unwrap(), 0);
    assert_eq!(home.first_column("SELECT avatar_url FROM users ORDER BY id").await, before);
    home.run("UPDATE users SET avatar_url = 'enc:my own' WHERE id = 'bob'").await;
    let foreign = find(&database, "bob").await.unwrap().unwrap().avatar_url.unwrap();
    assert_eq!(foreign.as_str(), "enc:my own", "another program's, not encrypted");
}

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
