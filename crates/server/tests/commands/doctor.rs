use crate::subtle::{Folder, migrated, printed, sql};

#[test]
fn the_doctor_tells_what_it_sees_and_what_to_do() {
    let (folder, database) = (Folder::new(), migrated());
    sql(&database, "CREATE INDEX twin ON users (subscription_tier)");
    let told = printed(folder.on(database.url(), &["doctor"]));
    for part in ["database ", "connections: ", "users", "_pkey", "slowest statements"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.contains("remedy: DROP INDEX CONCURRENTLY "), "{told}");
    let json = printed(folder.on(database.url(), &["doctor", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let kinds: Vec<_> =
        json["findings"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"duplicate_index"), "{kinds:?}");
    assert!(json["tables"].as_array().unwrap().len() > 10);
}
