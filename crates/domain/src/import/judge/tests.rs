use super::*;
use crate::token::RefreshToken;
use crate::user::Role;

const NOW: Timestamp = Timestamp::from_timestamp_millis(1_700_000_000_000).unwrap();
const IDLE: TimeDelta = TimeDelta::days(30);
const ID: &str = "0b8f4a0f-9d3e-4b60-8f3b-6f1c4a528a11";

fn bcrypt(start: &str) -> ForeignSecret {
    ForeignSecret::new(format!("{start}{}", "a".repeat(53)))
}

fn account() -> ForeignAccount {
    ForeignAccount {
        id: ID.to_owned(),
        email: Some("ada@example.com".to_owned()),
        hash: Some(bcrypt("$2a$10$")),
        marks: vec![Mark::Confirmed],
        names: vec!["Ada".to_owned()],
        pictures: vec!["https://example.com/ada.png".to_owned()],
        created_at: Some(NOW - TimeDelta::days(900)),
        ..ForeignAccount::default()
    }
}

fn marked(marks: &[Mark]) -> ForeignAccount {
    ForeignAccount { marks: marks.to_vec(), ..account() }
}

fn session(assurance: Assurance) -> ForeignSession {
    ForeignSession {
        id: ID.to_owned(),
        created_at: Some(NOW - TimeDelta::days(2)),
        last_used_at: None,
        not_after: None,
        assurance,
        is_programs: false,
        tokens: vec![RefreshToken::new("abcdefghijkl")],
        signer: None,
    }
}

fn app() -> ForeignFactor {
    ForeignFactor::App(ForeignSecret::new("JBSWY3DPEHPK3PXP"))
}

fn refused(account: ForeignAccount) -> Refusal {
    match judge(account, IDLE, NOW) {
        Verdict::Refused(refusal) => refusal,
        Verdict::Taken(taken) => panic!("{taken:?}"),
    }
}

fn taken(account: ForeignAccount) -> Imported {
    match judge(account, IDLE, NOW) {
        Verdict::Taken(taken) => *taken,
        Verdict::Refused(refusal) => panic!("{refusal}"),
    }
}

#[test]
fn a_plain_account_is_taken_as_it_is() {
    let taken = taken(ForeignAccount { sessions: vec![session(Assurance::Password)], ..account() });
    let user = &taken.new.user;
    assert_eq!((user.id.as_str(), user.email.as_str()), (ID, "ada@example.com"));
    assert_eq!(user.full_name.as_ref().map(FullName::as_str), Some("Ada"));
    assert!(user.email_verified && user.is_active());
    assert_eq!((user.created_at, user.role), (NOW - TimeDelta::days(900), Role::User));
    assert_eq!(taken.new.hash.cost(), Some(10));
    assert_eq!((taken.changes, taken.lost, taken.sessions.len()), (Vec::new(), Vec::new(), 1));
}

#[test]
fn what_has_no_place_here_is_refused_with_the_reason() {
    let nowhere = |marks: &[Mark]| ForeignAccount { email: None, ..marked(marks) };
    for (account, why) in [
        (marked(&[Mark::Deleted]), Refusal::Deleted),
        (marked(&[Mark::Anonymous]), Refusal::Anonymous),
        (nowhere(&[Mark::Anonymous]), Refusal::Anonymous),
        (nowhere(&[Mark::Phone]), Refusal::PhoneOnly),
        (nowhere(&[Mark::SingleSignOn]), Refusal::NoAddress),
        (ForeignAccount { email: Some(String::new()), ..account() }, Refusal::NoAddress),
        (ForeignAccount { email: Some("ada@localhost".to_owned()), ..account() }, Refusal::UnfitAddress),
        (ForeignAccount { email: Some("a b@example.com".to_owned()), ..account() }, Refusal::UnfitAddress),
        (ForeignAccount { id: "a b".to_owned(), ..account() }, Refusal::UnfitId),
        (marked(&[Mark::SingleSignOn, Mark::Shadowed]), Refusal::AddressTaken),
    ] {
        assert_eq!(refused(account.clone()), why, "{account:?}");
    }
}

#[test]
fn who_has_an_odd_address_keeps_it() {
    let odd = ForeignAccount { email: Some("a..b@example.com".to_owned()), ..account() };
    assert_eq!(taken(odd).new.user.email.as_str(), "a..b@example.com");
}

#[test]
fn what_is_not_as_it_was_is_told() {
    let text = |text: &str| vec![text.to_owned()];
    for (account, change) in [
        (ForeignAccount { email: Some("Ada@Example.com".to_owned()), ..account() }, Change::AddressRewritten),
        (ForeignAccount { hash: None, ..account() }, Change::NoPassword),
        (ForeignAccount { hash: Some(ForeignSecret::new("")), ..account() }, Change::NoPassword),
        (ForeignAccount { hash: Some(bcrypt("$2x$10$")), ..account() }, Change::PasswordLeftOut),
        (ForeignAccount { hash: Some(bcrypt("$2a$17$")), ..account() }, Change::PasswordLeftOut),
        (
            ForeignAccount {
                hash: Some(ForeignSecret::new("$argon2id$v=19$m=1,t=1,p=1$YQ$YQ")),
                ..account()
            },
            Change::PasswordLeftOut,
        ),
        (ForeignAccount { names: text("a\u{1b}[31mb"), ..account() }, Change::NameLeftOut),
        (ForeignAccount { pictures: text("javascript:alert(1)"), ..account() }, Change::PictureLeftOut),
        (marked(&[Mark::Phone]), Change::PhoneLeftOut),
        (marked(&[Mark::Privileged]), Change::RightsLeftOut),
        (ForeignAccount { created_at: None, ..account() }, Change::BeginningUnknown),
        (
            ForeignAccount { created_at: Some(NOW + TimeDelta::days(1)), ..account() },
            Change::BeginningUnknown,
        ),
        (ForeignAccount { factors: vec![app(), ForeignFactor::Other], ..account() }, Change::FactorsLeftOut),
    ] {
        assert_eq!(taken(account.clone()).changes, [change], "{account:?}");
    }
}

#[test]
fn nobody_knows_a_password_for_an_account_whose_hash_did_not_come() {
    for hash in [None, Some(bcrypt("$2x$10$"))] {
        let taken = taken(ForeignAccount { hash, ..account() });
        assert_eq!(taken.new.hash, PasswordHash::tombstone());
    }
}

#[test]
fn rights_never_come_along() {
    let taken = taken(marked(&[Mark::Confirmed, Mark::Privileged]));
    assert_eq!(taken.new.user.role, Role::User);
}

#[test]
fn the_best_name_and_picture_that_fit_are_taken_and_blank_ones_are_no_loss() {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let taken = taken(ForeignAccount {
        names: texts(&["\u{0}", "Ada L."]),
        pictures: texts(&["", " "]),
        ..account()
    });
    assert_eq!(taken.new.user.full_name.as_ref().map(FullName::as_str), Some("Ada L."));
    assert_eq!((taken.new.user.avatar_url, taken.changes), (None, Vec::new()));
}

#[test]
fn a_ban_that_runs_closes_the_account_and_one_that_is_over_does_not() {
    let banned = |until| ForeignAccount {
        banned_until: Some(until),
        sessions: vec![session(Assurance::Password)],
        ..account()
    };
    let closed = taken(banned(NOW + TimeDelta::seconds(1)));
    assert_eq!(closed.new.user.disabled_at, Some(NOW));
    assert_eq!(
        (closed.changes, closed.lost),
        (vec![Change::BanWithoutEnd], vec![SessionLoss::AccountClosed])
    );
    let open = taken(banned(NOW));
    assert!(open.new.user.is_active() && open.changes.is_empty() && open.lost.is_empty());
}

#[test]
fn an_app_comes_along_and_sessions_that_were_begun_without_it_do_not() {
    let taken = taken(ForeignAccount {
        factors: vec![app()],
        sessions: vec![session(Assurance::Password), session(Assurance::SecondFactor)],
        ..account()
    });
    assert_eq!(taken.new.user.second_factor_at, Some(NOW));
    assert_eq!(taken.secret, Some(ForeignSecret::new("JBSWY3DPEHPK3PXP")));
    assert_eq!((taken.changes, taken.lost), (Vec::new(), vec![SessionLoss::WithoutFactor]));
    assert_eq!(taken.sessions.len(), 1);
}

#[test]
fn an_account_whose_second_factor_cannot_come_is_closed() {
    let with_phone = ForeignAccount {
        factors: vec![ForeignFactor::Other],
        sessions: vec![session(Assurance::SecondFactor)],
        ..account()
    };
    let closed = taken(with_phone);
    assert_eq!((closed.new.user.disabled_at, closed.new.user.second_factor_at), (Some(NOW), None));
    assert_eq!(closed.changes, [Change::ClosedWithoutFactor]);
    assert_eq!((closed.sessions.len(), closed.lost), (0, vec![SessionLoss::AccountClosed]));
    // One that turns out to be unreadable, likewise.
    let two = ForeignAccount { factors: vec![app(), app()], ..account() };
    let closed = taken(two).without_factor(NOW);
    assert_eq!((closed.secret, closed.changes), (None, vec![Change::ClosedWithoutFactor]));
    assert!(!closed.new.user.is_active());
}

#[test]
fn who_came_by_single_sign_on_has_no_password_to_lose() {
    let taken = taken(ForeignAccount { hash: None, ..marked(&[Mark::SingleSignOn]) });
    assert_eq!(taken.changes, [Change::SingleSignOnLeftOut]);
    assert_eq!(taken.new.hash, PasswordHash::tombstone());
}
