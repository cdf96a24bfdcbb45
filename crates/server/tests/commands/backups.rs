#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use subtle_local_postgres::testing::{self, TestDatabase};
use subtle_persistence::PoolOptions;
use subtle_persistence::backup::Siblings;

use crate::subtle::{Folder, PATIENCE, Server, migrated, printed, refusal, request, sql, text, value};

const PASSWORD: &str = "tr0ub4dor&3";
const SOME_MONEY: &str = "
    INSERT INTO users (id, email, password_hash)
        SELECT name, name || '@example.com', '$2b$04$' || repeat('a', 53) FROM unnest(ARRAY['ada', 'bob']) AS name;
    INSERT INTO sessions (id, user_id, refresh_token, expires_at) VALUES ('s1', 'ada', 't1', now() + interval '1 day');
    INSERT INTO one_time_tokens (user_id, purpose, id, digest, salt, email, created_at, expires_at)
        VALUES ('ada', 'reset_password', 'o1', 'd', '', 'ada@example.com', now(), now() + interval '1 hour');
    INSERT INTO bridge_tokens (id, user_id, token, expires_at) VALUES ('b1', 'ada', 'd', now() + interval '1 minute');
    INSERT INTO billing_history (id, user_id, amount, status) VALUES ('1', 'ada', 12.34, 'completed'), ('2', 'bob', 0.01, 'pending');
    INSERT INTO user_usage_metrics (id, user_id, total_tokens, total_cost) VALUES ('1', 'ada', 7, 0.0000000001);
    INSERT INTO service_keys (id, name, digest, scopes, created_by, created_at) VALUES ('k1', 'k', 'd', '{usage:write}', 'ada', now())";

fn backup(folder: &Folder, database: &TestDatabase, output: &Path, more: &[&str]) -> String {
    let output = output.to_str().unwrap();
    printed(folder.on(database.url(), &[&["backup", "--output", output], more].concat()))
}

fn restore(folder: &Folder, database: &TestDatabase, arguments: &[&str]) -> String {
    printed(folder.on(database.url(), &[&["restore"], arguments].concat()))
}

/// How many databases there are beside this one that a backup or a restore has made.
fn siblings(database: &TestDatabase) -> String {
    let options = PoolOptions::from_url(database.url()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let beginning = runtime.block_on(async { Siblings::of(&options).await.unwrap().named("") });
    let query = format!("SELECT count(*)::text FROM pg_database WHERE starts_with(datname, '{beginning}')");
    value(database, &query)
}

/// A database with something in it, and its backup.
fn backed_up(folder: &Folder) -> (TestDatabase, PathBuf) {
    let (database, file) = (migrated(), folder.path().join("one.backup"));
    sql(&database, SOME_MONEY);
    backup(folder, &database, &file, &[]);
    (database, file)
}

#[test]
fn a_backup_holds_everything_and_tells_what() {
    let folder = Folder::new();
    let (database, file) = (migrated(), folder.path().join("one.backup"));
    sql(&database, SOME_MONEY);
    let told = backup(&folder, &database, &file, &["--verify", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let figures = &told["manifest"]["figures"];
    assert_eq!(told["verified"], true);
    assert_eq!(figures["rows of users"], "2");
    assert_eq!(figures["ledger, completed USD"], "1 records, 12.34");
    assert_eq!(figures["usage"], "0 requests, 7 tokens, cost 0.0000000001");
    assert_eq!(siblings(&database), "0");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing lies about");
}

#[test]
fn what_lost_its_rows_gets_them_back_but_nobody_is_let_in_again() {
    let folder = Folder::new();
    let (database, file) = backed_up(&folder);
    sql(
        &database,
        "DELETE FROM billing_history; UPDATE users SET full_name = 'Eve'; UPDATE users SET disabled_at = now() WHERE id = 'bob';
         UPDATE service_keys SET revoked_at = now()",
    );
    let told = restore(&folder, &database, &[file.to_str().unwrap(), "--force"]);
    assert_eq!(siblings(&database), "1", "the one that was there");
    for part in ["ended 1 sessions", "service key k1 was revoked", "account bob was disabled", "is kept as"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let found = |query: &str| value(&database, query);
    assert_eq!(found("SELECT sum(amount)::text FROM billing_history"), "12.35");
    assert_eq!(found("SELECT count(full_name)::text FROM users"), "0");
    assert_eq!(found("SELECT revoked_reason FROM sessions"), "admin");
    assert_eq!(found("SELECT count(*)::text FROM one_time_tokens, bridge_tokens"), "0");
    assert_eq!(found("SELECT (revoked_at IS NOT NULL)::text FROM service_keys"), "true");
    assert_eq!(found("SELECT current_setting('timezone')"), "UTC");
    // As a restore leaves it that is killed.
    let name = told.split_once("is kept as ").unwrap().1.split_once("_before_").unwrap().0;
    sql(&database, &format!("CREATE DATABASE \"{name}_restoring_20261125T000000000Z\""));
    let dropped = restore(&folder, &database, &["--drop-kept"]);
    assert_eq!(dropped.lines().count(), 2);
    assert!(dropped.contains("_before_") && dropped.contains("_restoring_"), "{dropped}");
    assert_eq!(restore(&folder, &database, &["--drop-kept"]), "nothing is kept\n");
}

#[test]
fn who_came_in_since_the_backup_is_out_again_also_for_servers_that_start_later() {
    let folder = Folder::new();
    let database = migrated();
    let start = || {
        let mut server = Server::start(folder.on(database.url(), &[]));
        let at = format!("http://{}/v1", server.ready());
        (server, at)
    };
    let (server, at) = start();
    let credentials = json!({"email": "ada@example.com", "password": PASSWORD});
    request("POST", &format!("{at}/auth/register"), "", &credentials);
    let file = folder.path().join("one.backup");
    backup(&folder, &database, &file, &[]);
    let (_signed_in, session) = request("POST", &format!("{at}/auth/login"), "", &credentials);
    let access = session["accessToken"].as_str().unwrap();
    assert_eq!(request("GET", &format!("{at}/me"), access, &json!({})).0, 200);
    assert!(server.stop().success());
    restore(&folder, &database, &[file.to_str().unwrap(), "--force"]);
    let (server, at) = start();
    assert_eq!(request("GET", &format!("{at}/me"), access, &json!({})).0, 401);
    assert!(server.stop().success());
    restore(&folder, &database, &["--drop-kept"]);
}

#[test]
fn what_was_granted_is_granted_again_and_a_backup_is_for_its_owners_eyes() {
    let folder = Folder::new();
    let database = migrated();
    printed(folder.on(database.url(), &["migrate", "--grant-to", "subtle_backups"]));
    let file = folder.path().join("one.backup");
    backup(&folder, &database, &file, &[]);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    restore(&folder, &database, &[file.to_str().unwrap()]);
    let may = "SELECT has_table_privilege('subtle_backups', 'users', 'UPDATE')::text
        || has_table_privilege('subtle_backups', 'audit_logs', 'UPDATE')::text
        || has_column_privilege('subtle_user', 'users', 'email', 'SELECT')::text
        || has_column_privilege('subtle_user', 'users', 'password_hash', 'SELECT')::text";
    assert_eq!(value(&database, may), "truefalsetruefalse");
    restore(&folder, &database, &["--drop-kept"]);
}

#[test]
fn sessions_stay_where_that_is_wanted() {
    let folder = Folder::new();
    let (_of_which, file) = backed_up(&folder);
    let database = testing::empty_database();
    // An empty database needs no force.
    let told = restore(&folder, &database, &[file.to_str().unwrap(), "--keep-sessions"]);
    assert!(told.contains("sessions are those of the backup"), "{told}");
    assert!(
        told.lines().next().unwrap().contains(&format!(" to {} as it was at ", database.name())),
        "{told}"
    );
    assert_eq!(value(&database, "SELECT count(*)::text FROM sessions WHERE revoked_at IS NULL"), "1");
    assert_eq!(value(&database, "SELECT count(*)::text FROM one_time_tokens"), "1");
    restore(&folder, &database, &["--drop-kept"]);
}

#[test]
fn who_lost_their_role_does_not_get_it_back_and_passwords_that_come_back_are_counted() {
    let folder = Folder::new();
    let database = migrated();
    sql(&database, SOME_MONEY);
    sql(&database, "UPDATE users SET role = CASE id WHEN 'ada' THEN 'admin' ELSE 'support' END");
    let file = folder.path().join("one.backup");
    backup(&folder, &database, &file, &[]);
    sql(
        &database,
        "UPDATE users SET role = CASE id WHEN 'ada' THEN 'user' ELSE 'admin' END;
         UPDATE users SET password_hash = '$2b$04$' || repeat('b', 53) WHERE id = 'bob'",
    );
    let told = restore(&folder, &database, &[file.to_str().unwrap(), "--force"]);
    for part in [
        "account ada lost its role since the backup, and is without it again",
        "1 accounts have the password again that they had at the backup",
        "1 accounts have the role again that they had at the backup",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let roles = "SELECT string_agg(role, ' ' ORDER BY id) FROM users";
    assert_eq!(value(&database, roles), "user support");
    restore(&folder, &database, &["--drop-kept"]);
}

#[test]
fn sessions_that_were_ended_since_stay_ended_also_where_others_are_kept() {
    let folder = Folder::new();
    let (database, file) = (migrated(), folder.path().join("one.backup"));
    sql(&database, SOME_MONEY);
    let another = "INSERT INTO sessions (id, user_id, refresh_token, expires_at)
        VALUES ('s2', 'bob', 't2', now() + interval '1 day')";
    sql(&database, another);
    backup(&folder, &database, &file, &[]);
    sql(&database, "UPDATE sessions SET revoked_at = now(), revoked_reason = 'admin' WHERE id = 's1'");
    let told = restore(&folder, &database, &[file.to_str().unwrap(), "--force", "--keep-sessions"]);
    assert!(told.contains("but for 1 that were ended since"), "{told}");
    assert_eq!(value(&database, "SELECT string_agg(id, ' ') FROM sessions WHERE revoked_at IS NULL"), "s2");
    restore(&folder, &database, &["--drop-kept"]);
}

#[test]
fn a_damaged_backup_is_refused_and_the_live_database_is_not_touched() {
    let folder = Folder::new();
    let (database, file) = backed_up(&folder);
    let state = "SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::text
        || (SELECT count(*) FROM sessions WHERE revoked_at IS NULL) || (SELECT sum(amount) FROM billing_history)";
    let before = value(&database, state);
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 3] ^= 0x10;
    let damaged = folder.path().join("damaged.backup");
    for (bytes, why) in [
        (&whole[..whole.len() / 2], "its end is missing"),
        (&whole[..whole.len() - 2], "its last line is cut"),
        (&flipped[..], "its checksum is wrong"),
        (b"", "its end is missing"),
    ] {
        fs::write(&damaged, bytes).unwrap();
        let told = refusal(folder.on(database.url(), &["restore", damaged.to_str().unwrap(), "--force"]), 1);
        assert!(told.contains(why) && told.contains("nothing was restored"), "{told}");
    }
    let told = refusal(folder.on(database.url(), &["restore", "not-there", "--force"]), 1);
    assert!(told.contains("cannot read not-there"), "{told}");
    assert_eq!(value(&database, state), before);
    assert_eq!(siblings(&database), "0");
}

#[test]
fn a_database_with_accounts_is_given_up_by_force_alone() {
    let folder = Folder::new();
    let (database, file) = backed_up(&folder);
    let told = refusal(folder.on(database.url(), &["restore", file.to_str().unwrap()]), 1);
    assert!(told.contains("holds 2 accounts: --force"), "{told}");
}

#[test]
fn a_backup_of_a_newer_version_is_refused() {
    let (folder, database) = (Folder::new(), migrated());
    sql(&database, "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')");
    let file = folder.path().join("new.backup");
    backup(&folder, &database, &file, &[]);
    let told = refusal(folder.on(database.url(), &["restore", file.to_str().unwrap()]), 1);
    assert!(told.contains("29990101000000"), "{told}");
}

#[test]
fn a_backup_of_an_older_version_is_brought_up_to_date() {
    let (folder, database) = (Folder::new(), migrated());
    let reverted = printed(folder.on(database.url(), &["migrate", "--revert"]));
    let file = folder.path().join("old.backup");
    backup(&folder, &database, &file, &[]);
    let told = restore(&folder, &database, &[file.to_str().unwrap()]);
    assert!(told.contains(&reverted.replace("reverted", "applied")), "{told}");
    restore(&folder, &database, &["--drop-kept"]);
}

#[test]
fn nothing_is_written_over_and_of_a_folders_backups_the_newest_stay() {
    let folder = Folder::new();
    let (database, file) = backed_up(&folder);
    let file = file.to_str().unwrap();
    let told = refusal(folder.on(database.url(), &["backup", "--output", file]), 1);
    assert!(told.contains("is there already"), "{told}");
    fs::write(folder.path().join("two.partial"), "another's").unwrap();
    let told = refusal(folder.on(database.url(), &["backup", "--output", "two"]), 1);
    assert!(told.contains("two.partial is there already"), "{told}");
    assert_eq!(fs::read_to_string(folder.path().join("two.partial")).unwrap(), "another's");
    let told = refusal(folder.on(database.url(), &["backup", "--output", file, "--keep", "1"]), 1);
    assert!(told.contains("--keep goes with a folder"), "{told}");
    // A folder, though it is not there yet.
    let kept = folder.path().join("kept");
    for removed in [0, 0, 1] {
        let told = backup(&folder, &database, &kept, &["--keep", "2"]);
        assert_eq!(told.lines().count(), 1 + removed, "{told}");
    }
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 2);
}

#[test]
fn a_backup_and_a_restore_under_a_running_server() {
    let (folder, database) = (Folder::new(), migrated());
    let mut server = Server::start(folder.on(database.url(), &[]));
    let at = format!("http://{}/v1", server.ready());
    let credentials = json!({"email": "ada@example.com", "password": PASSWORD});
    let (_created, session) = request("POST", &format!("{at}/auth/register"), "", &credentials);
    let access = session["accessToken"].as_str().unwrap();
    let is_done = AtomicBool::new(false);
    let file = folder.path().join("load.backup");
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                let event = json!({"eventType": "note.saved", "eventSource": "web"});
                assert_eq!(request("POST", &format!("{at}/sync/events"), access, &event).0, 201);
            }
        });
        backup(&folder, &database, &file, &["--verify"]);
        is_done.store(true, Ordering::Relaxed);
    });
    restore(&folder, &database, &[file.to_str().unwrap(), "--force"]);
    // The server goes on with what was put in its database's place, and whose session it was has to sign in again.
    let begun = Instant::now();
    let status = || request("GET", &format!("{at}/me"), access, &json!({})).0;
    let seen: Vec<u16> = std::iter::repeat_with(status)
        .take_while(|status| *status != 401 && begun.elapsed() < PATIENCE)
        .collect();
    assert!(seen.iter().all(|status| [200, 503].contains(status)), "{seen:?}");
    assert_eq!(status(), 401);
    assert_eq!(request("POST", &format!("{at}/auth/login"), "", &credentials).0, 200);
    assert!(
        printed(folder.on(database.url(), &["migrate", "--status"]))
            .lines()
            .all(|line| line.starts_with("applied "))
    );
    assert!(server.stop().success());
    restore(&folder, &database, &["--drop-kept"]);
}

#[test]
fn without_pg_dump_one_line_says_what_to_install() {
    let (folder, database) = (Folder::new(), migrated());
    let mut command = folder.on(database.url(), &["backup", "--output", "x"]);
    command.env("PATH", "/nonexistent").env("PG_BINDIR", folder.path());
    let output = command.output().unwrap();
    let told = text(&output.stderr);
    assert!(!output.status.success() && told.contains("pg_dump is not installed"), "{told}");
    assert!(!folder.path().join("x").exists() && !folder.path().join("x.partial").exists());
}
