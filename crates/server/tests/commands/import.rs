//! A move from Supabase, from its database to people who are still signed in.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::process::{Command, Stdio};

use futures_util::future::join_all;
use serde_json::{Value, json};
use subtle_local_postgres::testing::{self, TestDatabase};

use crate::subtle::{Folder, Server, lines, migrated, printed, refusal, sql, value};

const LAYOUT: &str = include_str!("../../../persistence/tests/it/supabase/gotrue.sql");
const PEOPLE: &str = include_str!("../../../persistence/tests/it/supabase/people.sql");

fn project() -> TestDatabase {
    let database = testing::empty_database();
    sql(&database, LAYOUT);
    sql(&database, PEOPLE);
    database
}

/// A project of so many people, who have nothing but an address.
fn crowd(many: usize) -> TestDatabase {
    let database = testing::empty_database();
    sql(&database, LAYOUT);
    sql(
        &database,
        &format!(
            "INSERT INTO auth.users (id, email, email_confirmed_at, created_at)
             SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'p' || n || '@example.com', now(), now()
             FROM generate_series(1, {many}) AS n"
        ),
    );
    database
}

fn import(folder: &Folder, to: &TestDatabase, from: &TestDatabase, flags: &[&str]) -> Command {
    let mut command = folder.on(to.url(), &[&["import", "supabase"], flags].concat());
    command.env("SUBTLE_IMPORT_FROM", from.url());
    command
}

fn report(folder: &Folder, to: &TestDatabase, from: &TestDatabase, flags: &[&str]) -> Value {
    let told = printed(import(folder, to, from, &[flags, &["--json"]].concat()));
    serde_json::from_str(&told).unwrap()
}

fn accounts(database: &TestDatabase) -> String {
    value(database, "SELECT count(*)::text FROM users")
}

/// Posts to a server, so many times at once; the statuses and bodies of the answers.
fn posts(address: &str, path: &str, body: &Value, times: usize) -> Vec<(u16, Value)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::new();
        let post = || async {
            let answer = client.post(format!("http://{address}/v1/{path}")).json(body).send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap_or_default())
        };
        join_all((0..times).map(|_| post())).await
    })
}

fn post(address: &str, path: &str, body: &Value) -> (u16, Value) {
    posts(address, path, body, 1).remove(0)
}

fn refresh(address: &str, token: &str) -> (u16, Value) {
    post(address, "auth/refresh", &json!({ "refreshToken": token }))
}

fn sign_in(address: &str, name: &str) -> (u16, Value) {
    let body = json!({ "email": format!("{name}@example.com"), "password": "tr0ub4d8" });
    post(address, "auth/login", &body)
}

#[test]
fn people_are_taken_over_and_each_that_is_not_is_told_of() {
    let (folder, to, from) = (Folder::new(), migrated(), project());
    let told = report(&folder, &to, &from, &[]);
    let one =
        |number: &str| json!({ "count": 1, "ids": [format!("00000000-0000-4000-8000-0000000000{number}")] });
    assert_eq!(
        (&told["found"], &told["taken"], &told["alreadyHere"], &told["dryRun"]),
        (&json!(13), &json!(9), &json!(0), &json!(false))
    );
    assert_eq!(
        told["refused"],
        json!({ "deleted": one("04"), "anonymous": one("05"), "phone_only": one("06"), "address_taken": one("08") })
    );
    assert_eq!(
        told["changed"],
        json!({
            "ban_without_end": one("03"), "password_left_out": one("07"), "phone_left_out": one("07"),
            "single_sign_on_left_out": one("09"), "factors_left_out": one("10"), "closed_without_factor": one("11"),
            "rights_left_out": one("12"), "name_left_out": one("12"), "picture_left_out": one("12"),
            "beginning_unknown": one("13"),
        })
    );
    assert_eq!(
        (&told["sessions"], &told["identities"], &told["secondFactors"]),
        (&json!(4), &json!(2), &json!(1))
    );
    assert_eq!(
        told["sessionsLost"],
        json!({ "account_closed": 2, "over": 3, "programs": 1, "unreadable": 1, "without_factor": 1 })
    );
    let ada =
        "SELECT concat_ws(' ', full_name, avatar_url, role, email_verified, created_at AT TIME ZONE 'UTC')
        FROM users WHERE email = 'ada@example.com'";
    assert_eq!(value(&to, ada), "Ada Lovelace https://example.com/ada.png user t 2024-02-29 12:00:00.123");
    let audited =
        "SELECT concat_ws(' ', action, details -> 'about' ->> 'accounts', details ->> 'via') FROM audit_logs";
    assert_eq!(value(&to, audited), "user.import 9 command_line");
    let privileged = "SELECT count(*)::text FROM users WHERE role <> 'user'";
    assert_eq!(value(&to, privileged), "0");
    // And again: nothing is new.
    let again = report(&folder, &to, &from, &[]);
    assert_eq!(
        (&again["taken"], &again["alreadyHere"], &again["sessions"]),
        (&json!(0), &json!(9), &json!(0))
    );
    assert_eq!(
        (accounts(&to), value(&to, "SELECT count(*)::text FROM audit_logs")),
        ("9".to_owned(), "1".to_owned())
    );
}

#[test]
fn nobody_has_to_sign_in_again_and_who_wants_to_uses_their_password() {
    let (folder, to, from) = (Folder::new(), migrated(), project());
    printed(import(&folder, &to, &from, &[]));
    let mut server = Server::start(folder.on(to.url(), &["serve"]));
    let address = server.ready();
    // Fifty tabs wake up with one token, and with its parent.
    let old = json!({ "refreshToken": "adaactive001" });
    let answers = posts(&address, "auth/refresh", &old, 50);
    let (_, first) = &answers[0];
    assert_eq!(first["user"]["email"], "ada@example.com");
    for (status, body) in &answers {
        assert_eq!((*status, &body["refreshToken"]), (200, &first["refreshToken"]), "{body}");
    }
    assert_eq!(refresh(&address, "adaparent001").1["refreshToken"], first["refreshToken"]);
    assert_eq!(refresh(&address, "adagrandpa01").0, 401);
    assert_eq!(value(&to, "SELECT count(*)::text FROM sessions"), "1");
    // From here on it is one of ours, and the token of then a spent one.
    let (status, _) = refresh(&address, first["refreshToken"].as_str().unwrap());
    assert_eq!(status, 200);
    assert_eq!(refresh(&address, "adaactive001").0, 401);
    let ended = "SELECT revoked_reason FROM sessions WHERE id = '00000000-0000-0001-8000-000000000001'";
    assert_eq!(value(&to, ended), "reuse");
    // Tokens of the other two forms.
    assert_eq!(refresh(&address, "Zm9vYmFyLWZvb2Jhci1mb2").0, 200);
    assert_eq!(refresh(&address, "AG8cSlKdPktgjzsLj0oPihGAAddyOCjCYFOp7IGetKlDSQ5C3G9h").0, 200);
    let (status, bob) = sign_in(&address, "bob");
    assert_eq!((status, &bob["user"]["emailVerified"]), (200, &json!(false)));
    assert_eq!(sign_in(&address, "ada").0, 200);
    // A second factor is still asked for, and the session that had shown one goes on.
    let (status, jon) = sign_in(&address, "jon");
    assert_eq!((status, &jon["type"]), (403, &json!("urn:subtle:problem:second-factor-required")));
    assert_eq!(refresh(&address, "jonactive002").0, 200);
    assert_eq!(refresh(&address, "jonactive001").0, 401);
    // Who is banned, or whose second factor could not come, stays out.
    for (name, token) in [("cat", "catactive001"), ("kim", "kimactive001")] {
        assert_eq!((sign_in(&address, name).0, refresh(&address, token).0), (403, 401), "{name}");
    }
    for token in ["miaactive001", "miaactive002", "miaactive003", "miarevoked04", "neverseen001"] {
        assert_eq!(refresh(&address, token).0, 401, "{token}");
    }
    // There is no password that opens an account whose hash did not come.
    assert_eq!(sign_in(&address, "gus").0, 401);
    assert_eq!(post(&address, "auth/password-reset", &json!({ "email": "gus@example.com" })).0, 202);
    assert!(server.stop().success());
}

#[test]
fn a_new_password_ends_the_sessions_that_still_wait() {
    let (folder, to, from) = (Folder::new(), migrated(), project());
    printed(import(&folder, &to, &from, &[]));
    let mut server = Server::start(folder.on(to.url(), &["serve"]));
    let address = server.ready();
    let (_, ada) = sign_in(&address, "ada");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let changed = runtime.block_on(async {
        let body = json!({ "currentPassword": "tr0ub4d8", "newPassword": "another secret 9" });
        let url = format!("http://{address}/v1/me/password");
        let access = ada["accessToken"].as_str().unwrap();
        reqwest::Client::new().post(url).bearer_auth(access).json(&body).send().await.unwrap().status()
    });
    assert_eq!(changed.as_u16(), 204);
    assert_eq!(refresh(&address, "adaactive001").0, 401);
    assert_eq!(post(&address, "auth/logout", &json!({ "refreshToken": "jonactive002" })).0, 204);
    assert_eq!(refresh(&address, "jonactive002").0, 401);
}

#[test]
fn a_dry_run_tells_what_would_be_and_writes_nothing() {
    let (folder, to, from) = (Folder::new(), migrated(), project());
    let told = report(&folder, &to, &from, &["--dry-run"]);
    assert_eq!(told["dryRun"], true);
    // A database has the begin of each order of the user list from its migrations.
    let everything =
        "SELECT sum((xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I', table_name),
            false, true, '')))[1]::text::bigint)::text
        FROM information_schema.tables
        WHERE table_schema = 'public' AND table_name NOT IN ('__diesel_schema_migrations', 'user_ranges')";
    assert_eq!(value(&to, everything), "0");
    let mut expected = report(&folder, &to, &from, &[]);
    expected["dryRun"] = true.into();
    assert_eq!(told, expected);
    let empty = testing::empty_database();
    let refused = refusal(import(&folder, &empty, &from, &["--dry-run"]), 1);
    assert!(refused.contains("`subtle migrate`"), "{refused}");
}

#[test]
fn killed_in_the_middle_and_run_again_it_gives_the_same_in_the_end() {
    let (folder, to, from) = (Folder::new(), migrated(), crowd(1_700));
    // Somebody holds an address of the third batch, and is not done.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (client, connection) =
        runtime.block_on(tokio_postgres::connect(to.url(), tokio_postgres::NoTls)).unwrap();
    let connection = runtime.spawn(connection);
    let hold = "BEGIN; INSERT INTO users (id, email, password_hash) VALUES ('x', 'p1234@example.com', repeat('x', 60))";
    runtime.block_on(client.batch_execute(hold)).unwrap();
    let mut child = import(&folder, &to, &from, &[]).stdout(Stdio::null()).spawn().unwrap();
    let told = lines(child.stderr.take().unwrap());
    assert!(told.recv().unwrap().starts_with("500 of 1700 accounts after "));
    let waits = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while value(&to, waits) != "1" {
        assert_eq!(child.try_wait().unwrap(), None, "it did not wait");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(client);
    runtime.block_on(connection).unwrap().unwrap();
    let entries =
        "SELECT string_agg(details -> 'about' ->> 'accounts', ' ' ORDER BY created_at, id) FROM audit_logs";
    assert_eq!((accounts(&to), value(&to, entries)), ("1000".to_owned(), "500 500".to_owned()));
    let again = report(&folder, &to, &from, &[]);
    assert_eq!((&again["taken"], &again["alreadyHere"]), (&json!(700), &json!(1000)));
    assert_eq!((accounts(&to), value(&to, entries)), ("1700".to_owned(), "500 500 500 200".to_owned()));
}

#[test]
fn what_cannot_be_imported_from_is_refused_in_a_line_that_shows_no_password() {
    let (folder, to) = (Folder::new(), migrated());
    let refused = |flags: &[&str], code| {
        let line = refusal(folder.on(to.url(), &[&["import", "supabase"], flags].concat()), code);
        assert!(!line.contains("hunter2"), "{line}");
        line
    };
    assert!(refused(&[], 2).contains("needs --from URL"));
    assert!(refused(&["--from", "mysql://u:hunter2@127.0.0.1/x"], 2).contains("must begin with postgres://"));
    assert!(refused(&["--from", "postgres://u:hunter2@127.0.0.1:1/x"], 1).contains("cannot connect"));
    assert!(refused(&["--from", to.url()], 1).contains("there is no table auth.users"));
    assert_eq!(accounts(&to), "0");
}
