//! The audit trail.

mod sealing;
mod trail;

use subtle_domain::audit::{AuditAction, AuditEntry, FieldChange, Origin};
use subtle_domain::ids::AuditId;
use subtle_domain::ports::{Store, StoreError};

use crate::support::{Home, start, store, user, user_id};

fn entry(id: &str, origin: Origin) -> AuditEntry {
    AuditEntry {
        id: AuditId::parse(id).unwrap(),
        actor: user_id("root"),
        subject: Some(user_id("ada")),
        action: AuditAction::UserUpdated,
        changes: vec![
            FieldChange { field: "role", before: Some("user".into()), after: Some("admin".into()) },
            FieldChange { field: "fullName", before: None, after: None },
        ],
        facts: Vec::new(),
        origin,
        at: start(),
    }
}

async fn home() -> Home {
    let home = Home::new().await;
    home.add(&user("root")).await;
    home.add(&user("ada")).await;
    home
}

#[tokio::test]
async fn an_entry_says_who_did_what_to_whom_and_from_where() {
    let home = home().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    let address = "192.0.2.7".parse().ok();
    unit.audit().append(&entry("a1", Origin::Http(address))).await.unwrap();
    unit.audit().append(&AuditEntry { subject: None, ..entry("a2", Origin::CommandLine) }).await.unwrap();
    unit.commit().await.unwrap();
    let row = "SELECT concat_ws('|', admin_id, user_id, action, ip_address, created_at AT TIME ZONE 'UTC') FROM audit_logs";
    assert_eq!(
        home.first_column(&format!("{row} ORDER BY id")).await,
        [
            "root|ada|user.update|192.0.2.7|2023-11-14 22:13:20.123",
            "root|user.update|2023-11-14 22:13:20.123"
        ]
    );
    let changes =
        r#"{"role": {"after": "admin", "before": "user"}, "fullName": {"after": null, "before": null}}"#;
    assert_eq!(
        home.first_column("SELECT details FROM audit_logs ORDER BY id").await,
        [
            format!(r#"{{"via": "http", "changes": {changes}}}"#),
            format!(r#"{{"via": "command_line", "changes": {changes}}}"#)
        ]
    );
}

#[tokio::test]
async fn an_entry_that_cannot_be_written_undoes_the_change_it_is_about() {
    let home = home().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.users().set_hash(&user_id("ada"), &crate::support::hash('z')).await.unwrap();
    let nobody = AuditEntry { actor: user_id("nobody"), ..entry("a1", Origin::CommandLine) };
    assert!(matches!(unit.audit().append(&nobody).await, Err(StoreError::Conflict(_))));
    assert!(unit.commit().await.is_err());
    assert_eq!(home.value("SELECT count(*) FROM users WHERE password_hash LIKE '%z'").await, "0");
}
