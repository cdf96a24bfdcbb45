use std::hash::{DefaultHasher, Hash, Hasher};

use super::*;
use chrono::DateTime;

/// Tells apart what differs, and secrets; nobody attacks it.
struct TestProof(&'static [&'static str]);

impl TestProof {
    fn by(secret: &str, bytes: &[u8]) -> Vec<u8> {
        let quarter = |part: u8| {
            let mut hasher = DefaultHasher::new();
            (secret, bytes, part).hash(&mut hasher);
            hasher.finish().to_be_bytes()
        };
        (0..4).flat_map(quarter).collect()
    }
}

impl AuditProof for TestProof {
    fn mac(&self, row: &[u8]) -> Vec<u8> {
        Self::by(self.0[0], row)
    }

    fn is_mac(&self, row: &[u8], mac: &[u8]) -> bool {
        self.0.iter().any(|secret| Self::by(secret, row) == mac)
    }

    fn hash(&self, bytes: &[u8]) -> Vec<u8> {
        Self::by("", bytes)
    }

    fn sign(&self, seal: &[u8]) -> Vec<u8> {
        self.mac(seal)
    }

    fn is_signature(&self, seal: &[u8], signature: &[u8]) -> bool {
        self.is_mac(seal, signature)
    }
}

const PROOF: TestProof = TestProof(&["secret"]);

fn at() -> Timestamp {
    DateTime::from_timestamp_millis(1_700_000_000_123).unwrap()
}

fn row(id: &str) -> ProvenRow {
    let row = ProvenRow {
        id: id.to_owned(),
        actor: "root".to_owned(),
        subject: Some("ada".to_owned()),
        action: "user.update".to_owned(),
        details: Some("{}".to_owned()),
        address: None,
        at: Some(1_700_000_000_123),
        mac: None,
    };
    row.prove(&PROOF)
}

/// An empty first seal, and two with rows.
fn seals() -> [Seal; 3] {
    let first = Seal::over(&[], None, at(), &PROOF);
    let second = Seal::over(&[row("a1"), row("a2")], Some(&first), at(), &PROOF);
    let third = Seal::over(&[row("b1")], Some(&second), at(), &PROOF);
    [first, second, third]
}

fn breach(seals: &[Seal], head: Option<&SealedHead>, proof: &TestProof) -> Option<AuditBreach> {
    let mut chain = Chain::new(proof, head);
    seals.iter().find_map(|seal| chain.follow(seal)).or_else(|| chain.end())
}

#[test]
fn every_field_of_a_row_counts() {
    assert!(row("a1").is_ours(&PROOF));
    let changed = [
        ProvenRow { id: "a9".to_owned(), ..row("a1") },
        ProvenRow { actor: "eve".to_owned(), ..row("a1") },
        ProvenRow { subject: None, ..row("a1") },
        ProvenRow { action: "x".to_owned(), ..row("a1") },
        ProvenRow { details: None, ..row("a1") },
        ProvenRow { address: Some(String::new()), ..row("a1") },
        ProvenRow { at: None, ..row("a1") },
        ProvenRow { mac: None, ..row("a1") },
    ];
    let [_, seal, _] = seals();
    for row in changed {
        assert!(!row.is_ours(&PROOF), "{row:?}");
        let edited = AuditBreach::Edited { id: "a1".to_owned(), seal: 2 };
        assert_eq!(seal.breach_of(0, Some(&row), &PROOF), Some(edited), "{row:?}");
    }
    assert_eq!(seal.breach_of(1, Some(&row("a2")), &PROOF), None);
    let turned = Seal { row_ids: vec!["a2".to_owned(), "a1".to_owned()], ..seal.clone() };
    assert_eq!(turned.breach_of(0, Some(&row("a2")), &PROOF), Some(AuditBreach::SealForged { number: 2 }));
    let removed = AuditBreach::Removed { id: "a2".to_owned(), seal: Some(2) };
    assert_eq!(seal.breach_of(1, None, &PROOF), Some(removed));
}

#[test]
fn what_is_done_to_seals_is_found() {
    let [first, second, third] = seals();
    let whole = [first.clone(), second.clone(), third.clone()];
    assert_eq!(breach(&whole, None, &PROOF), None);
    assert_eq!(breach(&[], None, &PROOF), None);
    let forged = |number| Some(AuditBreach::SealForged { number });
    let garbage = |number| Seal { number, signature: Vec::new(), ..second.clone() };
    for (seals, found) in [
        (vec![first.clone(), third.clone()], Some(AuditBreach::SealMissing { number: 2 })),
        (vec![second.clone(), third.clone()], Some(AuditBreach::SealMissing { number: 1 })),
        (vec![garbage(i64::MIN), first.clone()], forged(i64::MIN)),
        (vec![garbage(0), first.clone()], forged(0)),
        (vec![first.clone(), garbage(2)], forged(2)),
        (vec![first.clone(), garbage(2), third.clone()], forged(2)),
        (
            vec![first.clone(), second.clone(), third.clone(), garbage(4)],
            Some(AuditBreach::SealUnchained { number: 4 }),
        ),
        (vec![first.clone(), Seal { row_ids: Vec::new(), ..second.clone() }], forged(2)),
        (
            vec![first.clone(), Seal { number: i64::MAX, ..second.clone() }],
            Some(AuditBreach::SealMissing { number: 2 }),
        ),
    ] {
        assert_eq!(breach(&seals, None, &PROOF), found);
    }
}

#[test]
fn an_earlier_head_tells_of_a_trail_that_was_cut_off_or_rewritten_and_outlives_its_secret() {
    let [first, second, third] = seals();
    let head = SealedHead::of(&second, &PROOF);
    let whole = [first.clone(), second.clone(), third];
    assert_eq!(breach(&whole, Some(&head), &PROOF), None);
    assert_eq!(
        breach(std::slice::from_ref(&first), Some(&head), &PROOF),
        Some(AuditBreach::CutOff { last: 1, head: 2 })
    );
    let other = Seal::over(&[row("z1")], Some(&first), at(), &PROOF);
    let rewritten = AuditBreach::Rewritten { number: 2 };
    assert_eq!(breach(&[first.clone(), other], Some(&head), &PROOF), Some(rewritten));
    for number in [-1, 0, 9] {
        let foreign = SealedHead { number, ..head.clone() };
        assert_eq!(breach(&whole, Some(&foreign), &PROOF), Some(AuditBreach::HeadForeign { number }));
    }
    let rotated = TestProof(&["new", "secret"]);
    let newest = Seal::over(&[], Some(&whole[2]), at(), &rotated);
    let all = [&whole[..], &[newest]].concat();
    assert_eq!(breach(&all, Some(&head), &TestProof(&["new"])), None);
    assert_eq!(breach(&whole, None, &TestProof(&["new"])), Some(AuditBreach::SealForged { number: 1 }));
}
