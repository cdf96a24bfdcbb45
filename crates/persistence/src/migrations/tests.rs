use diesel::result::DatabaseErrorKind;

use super::*;

/// Tries a migration that fails so many times with this message.
fn tries(failures: u32, message: &str) -> (u32, Result<(), MigrateError>) {
    let mut tries = 0;
    let outcome = patiently(Duration::ZERO, || {
        tries += 1;
        if tries > failures {
            return Ok(());
        }
        let error = Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()));
        Err(StatementFailed { migration: "m".into(), statement: "ALTER".into(), error }.into())
    });
    (tries, outcome)
}

#[test]
fn a_migration_that_does_not_get_its_locks_is_tried_again_but_not_for_ever() {
    let timeout = "canceling statement due to lock timeout";
    assert!(matches!(tries(3, timeout), (4, Ok(()))));
    assert!(matches!(tries(3, "deadlock detected"), (4, Ok(()))));
    assert!(matches!(tries(u32::MAX, timeout), (TRIES, Err(MigrateError::Statement { .. }))));
}

#[test]
fn a_migration_that_is_wrong_is_tried_once() {
    let (tries, outcome) = tries(3, "relation \"x\" does not exist");
    assert_eq!(tries, 1);
    let said = outcome.unwrap_err().to_string();
    assert_eq!(said, "migration m failed at `ALTER`: relation \"x\" does not exist");
}
