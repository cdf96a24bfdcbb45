//! Seals over the trail, and who finds out what was done to it.

use subtle_domain::audit::{AuditEntry, Origin};
use subtle_domain::ports::Store;
use subtle_domain::seal::{AuditBreach, SealedHead};
use subtle_persistence::{AuditVerdict, PgAuditSealer, PgAuditVerifier, Unsealable};

use super::{entry, home};
use crate::support::{Home, later, start, store, store_by};

/// Lets SQL past the triggers that refuse it.
const AS_ATTACKER: &str = "SET session_replication_role = replica; ";

async fn append(home: &Home, ids: &[&str]) {
    let mut unit = store(home.pool()).begin().await.unwrap();
    for id in ids {
        unit.audit().append(&entry(id, Origin::CommandLine)).await.unwrap();
    }
    unit.commit().await.unwrap();
}

async fn seal(home: &Home) -> usize {
    PgAuditSealer::new(store(home.pool())).seal(later(1)).await.unwrap().unwrap()
}

/// Rows `a1` and `a2` in one seal, `b1` in the next, `c1` in none.
async fn sealed() -> Home {
    let home = home().await;
    append(&home, &["a1", "a2"]).await;
    assert_eq!(seal(&home).await, 2);
    append(&home, &["b1"]).await;
    assert_eq!(seal(&home).await, 1);
    append(&home, &["c1"]).await;
    home
}

async fn verify(home: &Home, head: Option<&SealedHead>) -> AuditVerdict {
    PgAuditVerifier::new(store(home.pool())).verify(head, &mut |_| ()).await.unwrap()
}

async fn head(home: &Home) -> SealedHead {
    PgAuditSealer::new(store(home.pool())).head().await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn an_untouched_trail_is_intact_whatever_is_sealed_yet() {
    let home = sealed().await;
    // The very first seal is empty.
    let intact = AuditVerdict { rows: 4, seals: 3, unsealed: 1, ..AuditVerdict::default() };
    assert_eq!(verify(&home, None).await, intact);
    assert_eq!(seal(&home).await, 1);
    assert_eq!(seal(&home).await, 0);
    assert_eq!(verify(&home, None).await, AuditVerdict { seals: 4, unsealed: 0, ..intact });
    assert_eq!(home.value("SELECT count(*) FROM audit_unsealed").await, "0");
}

#[tokio::test]
async fn an_empty_trail_is_intact_before_and_after_its_first_seal() {
    let home = home().await;
    let intact = AuditVerdict::default();
    assert_eq!(verify(&home, None).await, intact);
    assert_eq!(seal(&home).await, 0);
    assert_eq!(verify(&home, None).await, AuditVerdict { seals: 1, ..intact });
}

#[tokio::test]
async fn what_was_done_to_the_trail_is_found_and_named() {
    let row = str::to_owned;
    let copy = "INSERT INTO audit_logs (id, admin_id, user_id, subject_id, action, details, created_at, mac)
                SELECT 'z9', admin_id, user_id, subject_id, action, details, created_at, mac FROM audit_logs WHERE id = 'a1'";
    let queued = format!("{copy}; INSERT INTO audit_unsealed VALUES ('z9')");
    let cases: &[(&str, AuditBreach)] = &[
        (
            "UPDATE audit_logs SET action = 'user.enable' WHERE id = 'a2'",
            AuditBreach::Edited { id: row("a2"), seal: 2 },
        ),
        (
            "UPDATE audit_logs SET details = '{}' WHERE id = 'b1'",
            AuditBreach::Edited { id: row("b1"), seal: 3 },
        ),
        (
            "UPDATE audit_logs SET created_at = created_at - interval '1 ms' WHERE id = 'a1'",
            AuditBreach::Edited { id: row("a1"), seal: 2 },
        ),
        ("UPDATE audit_logs SET mac = NULL WHERE id = 'a1'", AuditBreach::Edited { id: row("a1"), seal: 2 }),
        ("UPDATE audit_logs SET user_id = 'root' WHERE id = 'b1'", AuditBreach::Relinked { id: row("b1") }),
        ("UPDATE audit_logs SET user_id = NULL WHERE id = 'b1'", AuditBreach::Relinked { id: row("b1") }),
        (
            "UPDATE audit_logs SET details = '{\"n\": 1e400}' WHERE id = 'a1'",
            AuditBreach::Edited { id: row("a1"), seal: 2 },
        ),
        (
            "UPDATE audit_logs SET created_at = 'infinity' WHERE id = 'a1'",
            AuditBreach::Edited { id: row("a1"), seal: 2 },
        ),
        (
            "INSERT INTO audit_logs (id, admin_id, action) VALUES ('', 'root', 'x')",
            AuditBreach::Foreign { id: row("") },
        ),
        (
            "INSERT INTO audit_logs (id, admin_id, action, details, created_at)
             VALUES ('z9', 'root', 'x', '{\"n\": 1e400}', 'infinity')",
            AuditBreach::Foreign { id: row("z9") },
        ),
        (
            "ALTER TABLE audit_seals DROP CONSTRAINT audit_seals_number_check;
             INSERT INTO audit_seals VALUES (-9223372036854775808, now(), ARRAY['c1'], '', '', '')",
            AuditBreach::SealForged { number: i64::MIN },
        ),
        (
            "INSERT INTO audit_seals VALUES (9, now(), ARRAY['c1'], '', '', '')",
            AuditBreach::SealMissing { number: 4 },
        ),
        (
            "INSERT INTO audit_seals VALUES (4, now(), ARRAY['c1', NULL], '', '', '')",
            AuditBreach::SealForged { number: 4 },
        ),
        ("DELETE FROM audit_logs WHERE id = 'a2'", AuditBreach::Removed { id: row("a2"), seal: Some(2) }),
        ("DELETE FROM audit_logs WHERE id = 'c1'", AuditBreach::Removed { id: row("c1"), seal: None }),
        (
            "UPDATE audit_logs SET ip_address = '192.0.2.1' WHERE id = 'c1'",
            AuditBreach::Foreign { id: row("c1") },
        ),
        ("DELETE FROM audit_unsealed", AuditBreach::Unqueued { id: row("c1") }),
        (copy, AuditBreach::Foreign { id: row("z9") }),
        (&queued, AuditBreach::Foreign { id: row("z9") }),
        ("DELETE FROM audit_seals WHERE number = 2", AuditBreach::SealMissing { number: 2 }),
        ("DELETE FROM audit_seals WHERE number = 3", AuditBreach::Unqueued { id: row("b1") }),
        (
            "UPDATE audit_seals SET sealed_at = sealed_at + interval '1 s' WHERE number = 3",
            AuditBreach::SealForged { number: 3 },
        ),
        (
            "UPDATE audit_seals SET sealed_at = sealed_at + interval '1 s' WHERE number = 2",
            AuditBreach::SealForged { number: 2 },
        ),
        (
            "UPDATE audit_seals SET previous = sha256('x') WHERE number = 2",
            AuditBreach::SealUnchained { number: 2 },
        ),
        (
            "UPDATE audit_seals SET row_ids = row_ids[1:1] WHERE number = 2",
            AuditBreach::SealForged { number: 2 },
        ),
    ];
    for (attack, breach) in cases {
        let home = sealed().await;
        home.run(&format!("{AS_ATTACKER}{attack}")).await;
        assert_eq!(verify(&home, None).await.breach.as_ref(), Some(breach), "{attack}");
    }
}

#[tokio::test]
async fn the_sealer_takes_in_nothing_that_is_not_ours() {
    let home = sealed().await;
    home.run(
        "INSERT INTO audit_logs (id, admin_id, action) VALUES ('z9', 'root', 'user.update');
         INSERT INTO audit_unsealed VALUES ('z9')",
    )
    .await;
    assert_eq!(seal(&home).await, 1);
    assert_eq!(verify(&home, None).await.breach, Some(AuditBreach::Foreign { id: "z9".to_owned() }));
    assert_eq!(home.first_column("SELECT audit_id FROM audit_unsealed").await, ["z9"]);
}

#[tokio::test]
async fn rows_from_before_there_were_proofs_are_taken_in_once() {
    let home = home().await;
    let old = |id: &str| {
        format!(
            "INSERT INTO audit_logs (id, admin_id, action, details) VALUES ('{id}', 'root', 'x', '{{\"n\": 1.5}}');
             INSERT INTO audit_unsealed VALUES ('{id}')"
        )
    };
    home.run(&old("old1")).await;
    assert_eq!(verify(&home, None).await.breach, None);
    assert_eq!(seal(&home).await, 1);
    assert_eq!(verify(&home, None).await.breach, None);
    home.run(&old("old2")).await;
    assert_eq!(seal(&home).await, 0);
    assert_eq!(verify(&home, None).await.breach, Some(AuditBreach::Foreign { id: "old2".to_owned() }));
}

#[tokio::test]
async fn a_head_that_was_kept_elsewhere_tells_of_a_trail_that_was_cut_off_or_written_anew() {
    let home = sealed().await;
    let kept = head(&home).await;
    assert_eq!(kept.number, 3);
    assert_eq!(verify(&home, Some(&kept)).await.breach, None);
    seal(&home).await;
    assert_eq!(verify(&home, Some(&kept)).await.breach, None);
    let cut = "DELETE FROM audit_seals WHERE number >= 3; DELETE FROM audit_logs WHERE id IN ('b1', 'c1');
               DELETE FROM audit_unsealed";
    home.run(&format!("{AS_ATTACKER}{cut}")).await;
    assert_eq!(verify(&home, None).await.breach, None);
    assert_eq!(verify(&home, Some(&kept)).await.breach, Some(AuditBreach::CutOff { last: 2, head: 3 }));
    append(&home, &["d1"]).await;
    seal(&home).await;
    assert_eq!(verify(&home, Some(&kept)).await.breach, Some(AuditBreach::Rewritten { number: 3 }));
    let forged = SealedHead { number: 2, ..kept };
    assert_eq!(verify(&home, Some(&forged)).await.breach, Some(AuditBreach::HeadForeign { number: 2 }));
}

#[tokio::test]
async fn a_removed_users_rows_stay_and_stay_verifiable() {
    let home = sealed().await;
    home.run("DELETE FROM users WHERE id = 'ada'").await;
    assert_eq!(home.value("SELECT count(*) FROM audit_logs WHERE user_id IS NULL").await, "4");
    assert_eq!(verify(&home, None).await.breach, None);
}

#[tokio::test]
async fn the_database_refuses_to_change_remove_or_empty_the_trail() {
    let home = sealed().await;
    for attempt in [
        "UPDATE audit_logs SET action = 'x'",
        "UPDATE audit_logs SET user_id = 'root'",
        "UPDATE audit_logs SET user_id = NULL, action = 'x'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "UPDATE audit_seals SET number = 9",
        "DELETE FROM audit_seals",
        "TRUNCATE audit_seals",
    ] {
        let caught = format!(
            "CREATE TEMP TABLE caught (code TEXT); DO $$ BEGIN {attempt};
             EXCEPTION WHEN insufficient_privilege THEN INSERT INTO caught VALUES (SQLSTATE); END $$;
             SELECT code FROM caught"
        );
        assert_eq!(home.value(&caught).await, "42501", "{attempt}");
    }
}

#[tokio::test]
async fn secrets_are_rotated_without_a_gap_and_the_old_one_is_not_missed() {
    let home = sealed().await;
    let mut rotated = PgAuditSealer::new(store_by(&["new", "secret"], home.pool()));
    assert_eq!(rotated.seal(start()).await.unwrap(), Ok(1));
    let verdict = |secrets| {
        let verifier = PgAuditVerifier::new(store_by(secrets, home.pool()));
        async move { verifier.verify(None, &mut |_| ()).await.unwrap().breach }
    };
    assert_eq!(verdict(&["new", "secret"]).await, None);
    assert_eq!(verdict(&["new"]).await, None);
    // Who knows only the old secret can't tell whether the last seals are ours.
    assert_eq!(verdict(&["secret"]).await, Some(AuditBreach::SealForged { number: 4 }));
}

#[tokio::test]
async fn a_new_secret_vouches_for_an_idle_trail_too_and_a_stranger_for_none() {
    let home = sealed().await;
    seal(&home).await;
    let mut stranger = PgAuditSealer::new(store_by(&["other"], home.pool()));
    assert_eq!(stranger.seal(start()).await.unwrap(), Err(Unsealable::OtherSecret));
    assert_eq!(home.value("SELECT max(number) FROM audit_seals").await, "4");
    let mut rotated = PgAuditSealer::new(store_by(&["new", "secret"], home.pool()));
    assert_eq!(rotated.seal(start()).await.unwrap(), Ok(0));
    assert_eq!(home.value("SELECT max(number) FROM audit_seals").await, "5");
    assert_eq!(rotated.seal(start()).await.unwrap(), Ok(0));
    assert_eq!(home.value("SELECT max(number) FROM audit_seals").await, "5");
}

#[tokio::test]
async fn seals_that_vanish_under_a_running_server_are_not_begun_anew() {
    let home = home().await;
    append(&home, &["a1"]).await;
    let mut sealer = PgAuditSealer::new(store(home.pool()));
    assert_eq!(sealer.seal(start()).await.unwrap(), Ok(1));
    home.run(&format!(
        "{AS_ATTACKER}TRUNCATE audit_seals; UPDATE audit_logs SET action = 'x', mac = NULL;
         INSERT INTO audit_unsealed SELECT id FROM audit_logs"
    ))
    .await;
    assert_eq!(sealer.seal(start()).await.unwrap(), Err(Unsealable::SealsGone));
    assert_eq!(home.value("SELECT count(*) FROM audit_seals").await, "0");
}

#[tokio::test]
async fn a_forged_seal_on_top_is_neither_continued_nor_signed() {
    let home = sealed().await;
    home.run("INSERT INTO audit_seals VALUES (4, now(), ARRAY['c1'], '', '', '')").await;
    let mut sealer = PgAuditSealer::new(store(home.pool()));
    assert_eq!(sealer.seal(start()).await.unwrap(), Err(Unsealable::OtherSecret));
    assert_eq!(sealer.head().await.unwrap(), Some(Err(Unsealable::OtherSecret)));
}

#[tokio::test]
async fn nobody_keeps_the_sealer_waiting_by_a_lock_of_advice() {
    let home = sealed().await;
    home.run("SELECT pg_advisory_lock(1936023916)").await;
    assert_eq!(seal(&home).await, 1);
}

#[tokio::test]
async fn rows_that_cannot_be_read_keep_no_others_from_being_sealed() {
    let home = home().await;
    home.run(
        "INSERT INTO audit_logs (id, admin_id, action, details) VALUES ('old', 'root', 'x', '{\"n\": 1e400}');
         INSERT INTO audit_logs (id, admin_id, action, created_at) VALUES ('never', 'root', 'x', 'infinity');
         INSERT INTO audit_unsealed VALUES ('old'), ('never')",
    )
    .await;
    append(&home, &["a1"]).await;
    assert_eq!(seal(&home).await, 3);
    let intact = AuditVerdict { rows: 3, old: 2, seals: 2, ..AuditVerdict::default() };
    assert_eq!(verify(&home, None).await, intact);
    home.run(&format!("{AS_ATTACKER}UPDATE audit_logs SET details = '{{\"n\": 1e401}}' WHERE id = 'old'"))
        .await;
    assert_eq!(verify(&home, None).await.breach, Some(AuditBreach::Edited { id: "old".to_owned(), seal: 2 }));
}

#[tokio::test]
async fn servers_that_seal_at_once_seal_each_row_once() {
    let home = sealed().await;
    let ids: Vec<String> = (0..50).map(|n| format!("m{n}")).collect();
    append(&home, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let sealing = || async {
        let mut sealer = PgAuditSealer::new(store(home.pool()));
        sealer.seal(start()).await.unwrap().unwrap()
    };
    let (one, two, three) = tokio::join!(sealing(), sealing(), sealing());
    assert_eq!(one + two + three, 51);
    assert_eq!(verify(&home, None).await, AuditVerdict { rows: 54, seals: 4, ..AuditVerdict::default() });
}

#[tokio::test]
async fn more_rows_than_one_seal_takes_are_sealed_in_one_go() {
    let home = home().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    for n in 0..1_005 {
        let row = AuditEntry { subject: None, ..entry(&format!("r{n}"), Origin::Http(None)) };
        unit.audit().append(&row).await.unwrap();
    }
    unit.commit().await.unwrap();
    assert_eq!(seal(&home).await, 1_005);
    assert_eq!(verify(&home, None).await, AuditVerdict { rows: 1_005, seals: 3, ..AuditVerdict::default() });
}
