//! Reading in the trail.

use subtle_domain::audit::{AuditAction, AuditEntry, AuditQuery, Origin};
use subtle_domain::ports::{AuditTrail, Store};
use subtle_domain::text::Label;
use subtle_persistence::PgAuditTrail;

use super::{entry, home};
use crate::support::{Home, later, store, user_id};

/// Rows `a1` to `a4`, a second apart but for the last two, which are of one moment; the last is by Ada and on nobody.
async fn with_rows() -> (Home, PgAuditTrail) {
    let home = home().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    for (id, at) in [("a1", 1), ("a2", 2), ("a3", 3)] {
        unit.audit().append(&AuditEntry { at: later(at), ..entry(id, Origin::Http(None)) }).await.unwrap();
    }
    let other = AuditEntry {
        at: later(3),
        actor: user_id("ada"),
        subject: None,
        action: AuditAction::ServiceKeyCreated,
        ..entry("a4", Origin::CommandLine)
    };
    unit.audit().append(&other).await.unwrap();
    unit.commit().await.unwrap();
    let trail = PgAuditTrail::new(home.pool());
    (home, trail)
}

#[tokio::test]
async fn the_trail_is_walked_page_by_page_newest_first() {
    let (_home, trail) = with_rows().await;
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = trail.page(&AuditQuery::default(), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.at, last.id.clone()));
        seen.extend(page.into_iter().map(|row| row.id));
    }
    assert_eq!(seen, ["a4", "a3", "a2", "a1"]);
}

#[tokio::test]
async fn what_is_asked_for_is_found_and_nothing_else() {
    let (_home, trail) = with_rows().await;
    let all = AuditQuery::default;
    for (query, wanted) in [
        (AuditQuery { action: Label::parse("service_key.create").ok(), ..all() }, vec!["a4"]),
        (AuditQuery { action: Label::parse("nothing.like.it").ok(), ..all() }, vec![]),
        (AuditQuery { subject: Some(user_id("ada")), ..all() }, vec!["a3", "a2", "a1"]),
        (AuditQuery { subject: Some(user_id("root")), ..all() }, vec![]),
        (AuditQuery { actor: Some(user_id("ada")), ..all() }, vec!["a4"]),
        (AuditQuery { from: Some(later(3)), ..all() }, vec!["a4", "a3"]),
        (AuditQuery { to: Some(later(3)), ..all() }, vec!["a2", "a1"]),
        (
            AuditQuery { from: Some(later(2)), to: Some(later(3)), actor: Some(user_id("root")), ..all() },
            vec!["a2"],
        ),
    ] {
        let rows = trail.page(&query, None, 10).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), wanted, "{query:?}");
    }
}

#[tokio::test]
async fn who_it_was_about_is_told_when_the_account_is_gone() {
    let home = home().await;
    home.add(&crate::support::user("bob")).await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    let about_bob = AuditEntry { subject: Some(user_id("bob")), ..entry("a1", Origin::Http(None)) };
    unit.audit().append(&about_bob).await.unwrap();
    unit.audit().append(&AuditEntry { subject: None, ..entry("a4", Origin::CommandLine) }).await.unwrap();
    unit.commit().await.unwrap();
    home.run(
        "DELETE FROM users WHERE id = 'bob';
         INSERT INTO audit_logs (id, admin_id, user_id, action) VALUES ('p1', 'root', 'root', 'by.another.program')",
    )
    .await;
    let trail = PgAuditTrail::new(home.pool());
    let rows = trail.page(&AuditQuery::default(), None, 10).await.unwrap();
    let of = |id: &str| rows.iter().find(|row| row.id == id).unwrap();
    assert_eq!(of("a1").subject.as_deref(), Some("bob"));
    let on_bob = AuditQuery { subject: Some(user_id("bob")), ..AuditQuery::default() };
    assert_eq!(trail.page(&on_bob, None, 10).await.unwrap(), std::slice::from_ref(of("a1")));
    assert_eq!((of("p1").subject.as_deref(), of("p1").details.as_deref()), (Some("root"), None));
    assert_eq!(of("a4").subject, None);
    assert!(of("a1").details.as_deref().unwrap().contains(r#""role": {"after": "admin", "before": "user"}"#));
}
