//! Values that are kept encrypted: written, read, refused.

mod renewal;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use subtle_domain::bridge::{Bridge, LIFE};
use subtle_domain::directory::{PageStart, UserQuery, UserSort, UserSortKey};
use subtle_domain::encryption::{Ciphertext, KeyId, NotEncrypted, Place, Undecipherable};
use subtle_domain::ids::BridgeId;
use subtle_domain::ports::{Accounts, Bridges, Directory, FieldCipher, Sessions, Store, StoreError};
use subtle_domain::text::AvatarUrl;
use subtle_domain::token::TokenDigest;
use subtle_domain::user::{ProfileChange, User};
use subtle_persistence::{Database, PgAccounts, PgBridges, PgDirectory, PgEncryption, PgSessions};

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
