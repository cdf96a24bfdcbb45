//! Prisma Client, generated from the document's own models, on our databases and beside the service: the checks of `tests/prisma`.
//!
//! They run where Node is installed; elsewhere a line says that they did not.

mod checks;

use checks::Checks;
use serde_json::Value;

use crate::support::TestApp;

/// What Prisma itself gives for these models, and what the document adds by hand.
const PRISMAS: [&str; 2] = [
    include_str!("../../crates/persistence/tests/it/prisma/ddl.sql"),
    include_str!("../../crates/persistence/tests/it/prisma/by_hand.sql"),
];
/// The checks must not depend on where the client runs.
const ZONES: [&str; 2] = ["UTC", "Asia/Tokyo"];
const IN_TOKYO: &str = "
    DO $$
    BEGIN
        EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Asia/Tokyo');
    END;
    $$";

/// An empty database in Tokyo, and no server yet.
async fn in_tokyo() -> TestApp {
    let app = TestApp::builder().on_empty_database().servers(0).start().await;
    app.sql(IN_TOKYO).await;
    app
}

async fn run(app: &TestApp, command: &[&str]) {
    let output = app.run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn prisma_client_works_on_a_migrated_database_and_beside_the_service() {
    let Some(checks) = Checks::ready().await else { return };
    let mut app = in_tokyo().await;
    run(&app, &["migrate"]).await;
    let server = app.add_server();
    for zone in ZONES {
        println!("{}", checks.hold(&app, Some(server), zone, &[]).await);
    }
}

#[tokio::test]
async fn prisma_client_works_on_a_database_of_its_own_that_was_taken_over_with_its_rows() {
    let Some(checks) = Checks::ready().await else { return };
    let mut app = in_tokyo().await;
    for sql in PRISMAS {
        app.sql(sql).await;
    }
    println!("{}", checks.hold(&app, None, "Asia/Tokyo", &["before"]).await);
    run(&app, &["migrate", "--adopt"]).await;
    let server = app.add_server();
    for zone in ZONES {
        println!("{}", checks.hold(&app, Some(server), zone, &["adopted"]).await);
    }
}

/// In a zone other than UTC, Prisma's adapter would take each time for another: a reason why the migrations set it.
#[tokio::test]
async fn the_first_difference_ends_the_checks_and_is_told() {
    let Some(checks) = Checks::ready().await else { return };
    let app = in_tokyo().await;
    run(&app, &["migrate"]).await;
    app.sql(IN_TOKYO).await;
    let (status, told) = checks.run(&app, None, "UTC", &[]).await;
    assert_eq!(status.code(), Some(1), "{told}");
    let (before, difference) = told.split_once("NOT OK  times: a moment comes back as it was").unwrap();
    assert!(before.contains("ok      accounts: a user is made without id and dates"), "{told}");
    assert!(difference.contains("-   '1969-12-31T23:59:59.999Z'"), "{told}");
    assert!(!difference.contains("ok  ") && !difference.contains("NOT OK"), "{told}");
    let (status, told) = checks.run(&app, None, "UTC", &["something else"]).await;
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.contains("something else is not known"), "{told}");
}

#[test]
fn the_lock_file_pins_every_package_by_its_digest_and_names_no_place() {
    let lock: Value = serde_json::from_str(include_str!("../prisma/package-lock.json")).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    assert!(packages.len() > 100);
    for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
        assert!(package["integrity"].as_str().is_some_and(|digest| digest.starts_with("sha512-")), "{name}");
        assert!(package.get("resolved").is_none(), "{name}");
    }
}
