use super::*;
use crate::test_ports::{self, Mocks, NOW, ada, was};
use chrono::TimeDelta;
use subtle_domain::directory::{UserPage, UserRow};
use subtle_domain::import::{ForeignFactor, ForeignSession, Mark, TokenSigner};
use subtle_domain::ports::{MockImportSource, MockUnit};
use subtle_domain::second_factor::{Assurance, EncryptedSecret};
use subtle_domain::token::{ForeignSecret, RefreshToken, TokenDigest};
use subtle_domain::user::User;

fn foreign(id: &str) -> ForeignAccount {
    ForeignAccount {
        id: id.to_owned(),
        email: Some(format!("{id}@example.com")),
        hash: Some(ForeignSecret::new(format!("$2a$10${}", "a".repeat(53)))),
        marks: vec![Mark::Confirmed],
        created_at: Some(NOW - TimeDelta::days(900)),
        ..ForeignAccount::default()
    }
}

fn session(tokens: &[&str], signer: Option<TokenSigner>) -> ForeignSession {
    ForeignSession {
        id: "s1".to_owned(),
        created_at: Some(NOW - TimeDelta::days(2)),
        last_used_at: None,
        not_after: None,
        assurance: Assurance::Password,
        is_programs: false,
        tokens: tokens.iter().map(|token| RefreshToken::new(*token)).collect(),
        signer,
    }
}

/// A source of one page.
fn source(page: Vec<ForeignAccount>) -> MockImportSource {
    let mut source = MockImportSource::new();
    let found = u64::try_from(page.len()).unwrap();
    source.expect_count().returning(move || Ok(found));
    source.expect_page().returning(move |after, limit| {
        assert_eq!(limit, BATCH);
        Ok(if after.is_none() { page.clone() } else { Vec::new() })
    });
    source
}

fn mocks(admins: Vec<User>) -> Mocks {
    let mut mocks = Mocks::default();
    mocks
        .directory
        .expect_page()
        .withf(|query| query.role == Some(Role::Admin) && !query.sort.descending)
        .returning(move |_| {
            let users = admins.iter().cloned().map(|user| UserRow { user, activity: 0, usage: 0 });
            Ok(UserPage { users: users.collect(), total: 0, next: None })
        });
    mocks.imported_tokens.expect_digest().returning(test_ports::digest);
    mocks
}

/// A unit in which these identifiers and addresses are there, and the others can be made.
fn unit(ids: &'static [&'static str], emails: &'static [&'static str]) -> MockUnit {
    let mut unit = MockUnit::default();
    unit.imports.expect_already_there().returning(|_, _| {
        Ok(AlreadyThere {
            ids: ids.iter().map(|id| UserId::parse(id).unwrap()).collect(),
            emails: emails.iter().map(|email| EmailAddress::parse(email).unwrap()).collect(),
        })
    });
    unit
}

async fn run(mocks: Mocks, source: MockImportSource, mode: Mode) -> ImportReport {
    let mut source = source;
    let mut told = 0;
    let report = import_accounts(&mocks.ports(), &mut source, mode, &mut |_| told += 1).await.unwrap();
    assert_eq!(told, 1);
    report
}

fn ids(report: &ImportReport, why: Refusal) -> Vec<&str> {
    let tally = report.refused.get(why.as_str());
    tally.map(|tally| tally.ids.iter().map(String::as_str).collect()).unwrap_or_default()
}

#[tokio::test]
async fn accounts_and_their_audit_entry_commit_together_and_each_is_told_of() {
    let admin = User { id: UserId::parse("root").unwrap(), role: Role::Admin, ..ada() };
    let mut mocks = mocks(vec![admin]);
    let mut unit = unit(&["here"], &["taken@example.com"]);
    unit.imports.expect_add().times(1).returning(|imports| {
        let made: Vec<_> = imports.iter().map(|import| import.new.user.id.as_str()).collect();
        assert_eq!(made, ["a1", "a2"]);
        Ok(imports.iter().map(|import| import.new.user.id.clone()).collect())
    });
    unit.audit
        .expect_append()
        .withf(|entry| {
            entry.action == AuditAction::UsersImported
                && entry.actor.as_str() == "root"
                && entry.origin == Origin::CommandLine
                && entry.facts
                    == [("accounts", "2".to_owned()), ("first", "a1".to_owned()), ("last", "a2".to_owned())]
        })
        .times(1)
        .returning(|_| Ok(()));
    let committed = mocks.expect_unit(unit);
    let nobody = ForeignAccount { marks: vec![Mark::Anonymous], ..foreign("nobody") };
    let twin = ForeignAccount { email: Some("A1@example.com".to_owned()), ..foreign("twin") };
    let nameless = ForeignAccount { hash: None, ..foreign("a2") };
    let page = vec![foreign("a1"), nameless, foreign("here"), foreign("taken"), nobody, twin];
    let report = run(mocks, source(page), Mode::Take).await;
    assert!(was(&committed));
    assert_eq!((report.found, report.looked_at, report.taken, report.already_here), (6, 6, 2, 1));
    assert_eq!(ids(&report, Refusal::AddressTaken), ["taken", "twin"]);
    assert_eq!(ids(&report, Refusal::Anonymous), ["nobody"]);
    assert_eq!(report.changed[Change::NoPassword.as_str()].ids, ["a2"]);
}

#[tokio::test]
async fn a_try_tells_the_same_and_writes_nothing() {
    let mut mocks = mocks(Vec::new());
    let committed = mocks.expect_unit(unit(&["here"], &["taken@example.com"]));
    let page = vec![foreign("a1"), foreign("here"), foreign("taken")];
    let report = run(mocks, source(page), Mode::Try).await;
    assert!(!was(&committed));
    assert_eq!((report.taken, report.already_here, report.refusals()), (1, 1, 1));
}

#[tokio::test]
async fn without_an_administrator_the_first_account_stands_for_the_batch() {
    let mut mocks = mocks(Vec::new());
    let mut unit = unit(&[], &[]);
    unit.imports.expect_add().returning(|_| Ok([UserId::parse("a2").unwrap()].into()));
    unit.audit.expect_append().withf(|entry| entry.actor.as_str() == "a2").times(1).returning(|_| Ok(()));
    mocks.expect_unit(unit);
    let report = run(mocks, source(vec![foreign("a1"), foreign("a2")]), Mode::Take).await;
    // Somebody has registered the first one's address meanwhile.
    assert_eq!((report.taken, ids(&report, Refusal::AddressTaken)), (1, vec!["a1"]));
}

#[tokio::test]
async fn where_all_is_here_nothing_is_written() {
    let mut mocks = mocks(Vec::new());
    let committed = mocks.expect_unit(unit(&["a1"], &["a1@example.com"]));
    let report = run(mocks, source(vec![foreign("a1")]), Mode::Take).await;
    assert!(!was(&committed));
    assert_eq!((report.taken, report.already_here, report.refusals()), (0, 1, 0));
}

#[tokio::test]
async fn sessions_come_with_digests_of_all_tokens_that_are_good() {
    let mut mocks = mocks(Vec::new());
    mocks.imported_tokens.expect_compute().returning(|_, signer| {
        let readable = !signer.key.expose().starts_with('{');
        readable.then(|| vec![RefreshToken::new("computed")])
    });
    let mut unit = unit(&[], &[]);
    unit.imports.expect_add().times(1).returning(|imports| {
        let digests: Vec<_> = imports[0].sessions.iter().map(|(_, digests)| digests.clone()).collect();
        let of = |texts: &[&str]| texts.iter().map(|text| TokenDigest::new(*text)).collect::<Vec<_>>();
        assert_eq!(digests, [of(&["digest of t1", "digest of t2"]), of(&["digest of computed"])]);
        Ok([UserId::parse("a1").unwrap()].into())
    });
    unit.audit.expect_append().returning(|_| Ok(()));
    mocks.expect_unit(unit);
    let signer = |key| Some(TokenSigner { key: ForeignSecret::new(key), counter: 3 });
    let sessions = vec![session(&["t1", "t2"], None), session(&[], signer("k")), session(&[], signer("{}"))];
    let report = run(mocks, source(vec![ForeignAccount { sessions, ..foreign("a1") }]), Mode::Take).await;
    assert_eq!(report.sessions, 2);
    assert_eq!(report.sessions_lost[SessionLoss::Unreadable.as_str()], 1);
}

#[tokio::test]
async fn an_app_is_kept_sealed_and_without_it_the_account_is_closed() {
    for (secret, closed) in [("readable", false), ("encrypted", true)] {
        let mut mocks = mocks(Vec::new());
        mocks.authenticators.expect_adopt().returning(|_, secret| {
            (secret.expose() == "readable").then(|| EncryptedSecret(b"sealed".to_vec()))
        });
        let mut unit = unit(&[], &[]);
        unit.imports.expect_add().times(1).returning(move |imports| {
            let import = &imports[0];
            assert_eq!(import.new.user.is_active(), !closed);
            assert_eq!(import.new.user.second_factor_at.is_some(), !closed);
            let factor = import.factor.as_ref();
            assert_eq!(factor.is_some_and(|factor| factor.confirmed_at == Some(NOW)), !closed);
            Ok([UserId::parse("a1").unwrap()].into())
        });
        unit.audit.expect_append().returning(|_| Ok(()));
        mocks.expect_unit(unit);
        let factors = vec![ForeignFactor::App(ForeignSecret::new(secret))];
        let report = run(mocks, source(vec![ForeignAccount { factors, ..foreign("a1") }]), Mode::Take).await;
        assert_eq!(report.second_factors, u64::from(!closed));
        assert_eq!(report.changed.contains_key(Change::ClosedWithoutFactor.as_str()), closed);
    }
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_told() {
    let mocks = mocks(Vec::new());
    let mut source = MockImportSource::new();
    source.expect_count().returning(|| Ok(1));
    source.expect_page().returning(|_, _| Err(StoreError::Unavailable("gone".into())));
    let failed = import_accounts(&mocks.ports(), &mut source, Mode::Take, &mut |_| {}).await;
    assert!(matches!(failed, Err(ImportError::Source(_))));
}
