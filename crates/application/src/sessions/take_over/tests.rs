use super::*;
use crate::sessions::{SignedIn, refresh};
use crate::test_ports::{Mocks, NOW, ada, ada_with_factor, digest, session, token, waiting, was};
use chrono::TimeDelta;
use subtle_domain::ports::{MockUnit, Revocation};
use subtle_domain::session::RevocationReason;
use subtle_domain::token::TokenDigest;

/// Mocks in which a token of another service is presented, of this session.
fn presenting(waiting: ImportedSession) -> Mocks {
    let mut mocks = Mocks::default();
    mocks.refresh_tokens.expect_open().returning(|_| None);
    mocks.imported_tokens.expect_digests().returning(|_| vec![TokenDigest::new("digest of old")]);
    mocks
        .imports
        .expect_session()
        .withf(|digests| digests == [TokenDigest::new("digest of old")])
        .returning(move |_| Ok(Some(waiting.clone())));
    mocks.refresh_tokens.expect_mint_again().returning(|_, _, generation, _, wanted| {
        let again = token(generation);
        (digest(&again) == *wanted).then_some(again)
    });
    mocks.expect_tokens();
    mocks
}

fn unit_of(user: User) -> MockUnit {
    let mut unit = MockUnit::default();
    unit.users.expect_lock().returning(move |_| Ok(Some(user.clone())));
    unit
}

/// Ada's session as it is right after it was taken over.
fn taken() -> Session {
    let generation = Generation::FIRST;
    Session { id: waiting().id, generation, digest: digest(&token(generation)), ..session() }
}

async fn run(mocks: Mocks) -> Result<SignedIn, RefreshError> {
    refresh(&mocks.ports(), "old", &ClientInfo::default()).await.map(Refreshed::into_signed_in)
}

#[tokio::test]
async fn a_token_of_another_service_begins_a_session_that_is_as_old_as_it_was() {
    let mut mocks = presenting(waiting());
    let mut unit = unit_of(ada());
    unit.imports
        .expect_take()
        .withf(|old, now| *old == waiting() && *now == NOW)
        .times(1)
        .returning(|_, _| Ok(true));
    unit.sessions
        .expect_add()
        .withf(|begun| {
            begun.id == waiting().id
                && begun.generation == Generation::FIRST
                && begun.authenticated_at == waiting().created_at
                && begun.created_at == NOW
                && begun.assurance == Assurance::Password
        })
        .times(1)
        .returning(|_| Ok(()));
    let committed = mocks.expect_unit(unit);
    mocks.sessions.expect_supersede().returning(|_, _, _| Ok(Vec::new()));
    mocks.revocations.expect_learn().return_const(());
    mocks.expect_activity(&[ActivityAction::SignIn]);
    let done = run(mocks).await.unwrap();
    assert!(was(&committed));
    assert_eq!((done.refresh_token.expose(), done.session.id), ("rt-0", waiting().id));
}

#[tokio::test]
async fn who_loses_the_race_gets_the_winners_token() {
    let mut mocks = presenting(waiting());
    let mut unit = unit_of(ada());
    unit.imports.expect_take().returning(|_, _| Ok(false));
    let committed = mocks.expect_unit(unit);
    mocks.sessions.expect_find().returning(|_, _| Ok(Some((taken(), ada()))));
    let done = run(mocks).await.unwrap();
    assert_eq!(done.refresh_token.expose(), "rt-0");
    assert!(!was(&committed));
}

#[tokio::test]
async fn presented_again_within_the_grace_it_gets_the_same_answer() {
    let mut mocks = presenting(ImportedSession { taken_at: Some(NOW), ..waiting() });
    mocks.sessions.expect_find().returning(|_, _| Ok(Some((taken(), ada()))));
    assert_eq!(run(mocks).await.unwrap().refresh_token.expose(), "rt-0");
}

#[tokio::test]
async fn presented_again_after_the_grace_it_ends_the_session() {
    let mut mocks = presenting(ImportedSession { taken_at: Some(NOW), ..waiting() });
    let earlier = Session { last_used_at: NOW - TimeDelta::minutes(1), ..taken() };
    mocks.sessions.expect_find().returning(move |_, _| Ok(Some((earlier.clone(), ada()))));
    mocks
        .sessions
        .expect_revoke()
        .withf(|_, id, reason, _| *id == waiting().id && *reason == RevocationReason::Reuse)
        .times(1)
        .returning(|_, _, _, _| Ok(true));
    mocks
        .revocations
        .expect_learn()
        .withf(|learned, _| learned == [Revocation::Session(waiting().id)])
        .times(1)
        .return_const(());
    mocks.expect_activity(&[ActivityAction::RefreshReused]);
    assert!(matches!(run(mocks).await, Err(RefreshError::Reused)));
}

#[tokio::test]
async fn a_session_that_is_gone_does_not_begin_again() {
    let mut mocks = presenting(ImportedSession { taken_at: Some(NOW), ..waiting() });
    mocks.sessions.expect_find().returning(|_, _| Ok(None));
    assert!(matches!(run(mocks).await, Err(RefreshError::Invalid)));
}

#[tokio::test]
async fn an_account_or_a_time_that_does_not_allow_it_begins_nothing_and_spends_nothing() {
    let disabled = User { disabled_at: Some(NOW), ..ada() };
    let erased = User { deleted_at: Some(NOW), ..ada() };
    let late = ImportedSession { expires_at: NOW, ..waiting() };
    for (old, user) in
        [(waiting(), disabled), (waiting(), erased), (waiting(), ada_with_factor()), (late, ada())]
    {
        let mut mocks = presenting(old);
        let committed = mocks.expect_unit(unit_of(user));
        mocks.expect_activity(&[ActivityAction::RefreshRefused]);
        assert!(matches!(run(mocks).await, Err(RefreshError::Invalid)));
        assert!(!was(&committed));
    }
}

#[tokio::test]
async fn an_address_that_must_be_verified_is_asked_for() {
    let mut mocks = presenting(waiting());
    mocks.policy.require_verified_email = true;
    let committed = mocks.expect_unit(unit_of(ada()));
    mocks.expect_activity(&[ActivityAction::RefreshRefused]);
    assert!(matches!(run(mocks).await, Err(RefreshError::Invalid)));
    assert!(!was(&committed));
}

#[tokio::test]
async fn a_session_ends_when_the_other_service_said() {
    let end = NOW + TimeDelta::days(1);
    let mut mocks =
        presenting(ImportedSession { not_after: Some(end), assurance: Assurance::SecondFactor, ..waiting() });
    let mut unit = unit_of(ada_with_factor());
    unit.imports.expect_take().returning(|_, _| Ok(true));
    unit.sessions
        .expect_add()
        .withf(move |begun| begun.expires_at == end && begun.assurance == Assurance::SecondFactor)
        .times(1)
        .returning(|_| Ok(()));
    mocks.expect_unit(unit);
    mocks.sessions.expect_supersede().returning(|_, _, _| Ok(Vec::new()));
    mocks.revocations.expect_learn().return_const(());
    mocks.expect_activity(&[ActivityAction::SignIn]);
    assert_eq!(run(mocks).await.unwrap().session.expires_at, end);
}

#[tokio::test]
async fn what_has_not_the_form_of_a_token_is_looked_up_nowhere() {
    let mut mocks = Mocks::default();
    mocks.refresh_tokens.expect_open().returning(|_| None);
    mocks.imported_tokens.expect_digests().returning(|_| Vec::new());
    assert!(matches!(run(mocks).await, Err(RefreshError::Invalid)));
}

#[tokio::test]
async fn a_token_that_nobody_waits_for_is_refused() {
    let mut mocks = Mocks::default();
    mocks.refresh_tokens.expect_open().returning(|_| None);
    mocks.imported_tokens.expect_digests().returning(|_| vec![TokenDigest::new("unknown")]);
    mocks.imports.expect_session().times(1).returning(|_| Ok(None));
    assert!(matches!(run(mocks).await, Err(RefreshError::Invalid)));
}
