#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use subtle_local_postgres::testing::TestDatabase;

use crate::subtle::{Folder, Server, migrated, printed, refusal, run_with, sql, text};

const KEY: &str = "a key of the tests with 32 bytes or more";
const OTHER: &str = "another key of the tests with 32 bytes or more";

/// With the pictures of three people, as another program wrote them.
fn with_pictures() -> TestDatabase {
    let database = migrated();
    sql(
        &database,
        "INSERT INTO users (id, email, password_hash, avatar_url)
         SELECT id, id || '@example.com', repeat('x', 60), 'https://example.com/' || id
         FROM unnest(ARRAY['ada', 'bob', 'eve']) AS id",
    );
    database
}

fn serve(folder: &Folder, database: &TestDatabase, keys: &str) -> Server {
    let mut command = folder.on(database.url(), &[]);
    command.env("SUBTLE_ENCRYPTION_KEYS", keys);
    Server::start(command)
}

/// What `subtle encryption --json` prints, and how it ends.
fn counted(folder: &Folder, database: &TestDatabase, keys: &str) -> (Vec<serde_json::Value>, Option<i32>) {
    let mut command = folder.on(database.url(), &["encryption", "--json"]);
    command.env("SUBTLE_ENCRYPTION_KEYS", keys);
    let output = run_with(command, "");
    let lines = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, output.status.code())
}

#[test]
fn values_are_encrypted_rotated_and_made_plain_again_and_the_command_tells_when_it_is_done() {
    let (folder, database) = (Folder::new(), with_pictures());
    let (lines, code) = counted(&folder, &database, KEY);
    assert_eq!(
        (lines[0]["key"].as_str(), lines[0]["values"].as_i64(), code),
        (Some("plain"), Some(3), Some(3))
    );
    let mut names = Vec::new();
    for keys in [KEY.to_owned(), format!("{OTHER},{KEY}"), format!("plain,{OTHER}")] {
        let mut server = serve(&folder, &database, &keys);
        let line = server.await_line("brought values under the newest key");
        assert!(line.contains("avatar_url") && line.contains('3'), "{line}");
        assert!(server.stop().success());
        let (lines, code) = counted(&folder, &database, &keys);
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(
            (line["column"].as_str(), line["standing"].as_str()),
            (Some("users.avatar_url"), Some("newest"))
        );
        assert_eq!((line["values"].as_i64(), code), (Some(3), Some(0)));
        names.push(line["key"].as_str().unwrap().to_owned());
    }
    assert!(names[0] != names[1] && names[2] == "plain", "{names:?}");
    let mut server = Server::start(folder.on(database.url(), &[]));
    server.ready();
    assert!(server.stop().success());
    let told = printed(folder.on(database.url(), &["encryption"]));
    assert!(told.contains("users.avatar_url") && told.contains("no other is needed"), "{told}");
}

#[test]
fn values_under_a_key_that_is_missing_stop_the_start_with_its_name() {
    let (folder, database) = (Folder::new(), with_pictures());
    sql(&database, "UPDATE users SET avatar_url = 'enc:v1:0badc0de:AAAA' WHERE id <> 'eve'");
    for keys in [None, Some(KEY)] {
        for arguments in [&[][..], &["serve"]] {
            let mut command = folder.on(database.url(), arguments);
            command.envs(keys.map(|keys| ("SUBTLE_ENCRYPTION_KEYS", keys)));
            assert_eq!(
                refusal(command, 1),
                "subtle: values of the database are encrypted under keys that encryption_keys does not have: v1:0badc0de; \
                 put those keys behind the newest (`subtle encryption` counts the values)"
            );
        }
    }
    let (lines, code) = counted(&folder, &database, KEY);
    let standings: Vec<_> = lines.iter().map(|line| line["standing"].as_str().unwrap()).collect();
    assert_eq!((standings, code), (vec!["older", "unknown"], Some(1)));
}

#[test]
fn a_short_key_stops_the_start_and_is_not_repeated() {
    let folder = Folder::new();
    let mut command = folder.subtle(&[]);
    command.env("SUBTLE_ENCRYPTION_KEYS", format!("{KEY},hunter2"));
    let reason = refusal(command, 2);
    assert!(
        reason.contains("key 2 has 7 bytes; it needs at least 32") && !reason.contains("hunter2"),
        "{reason}"
    );
    let flag = refusal(folder.subtle(&["--encryption-keys", KEY]), 2);
    assert!(!flag.contains(KEY), "{flag}");
}
