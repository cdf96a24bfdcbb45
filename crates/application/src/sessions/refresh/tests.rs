use super::*;
use crate::test_ports::{Mocks, NOW, ada, ada_with_factor, digest, session, token};
use crate::{LimitRates, Limits};
use chrono::TimeDelta;
use subtle_domain::session::Generation;
use subtle_domain::throttle::Rate;
use subtle_domain::token::PresentedRefreshToken;

/// Mocks in which a token of `generation` is presented.
fn presenting(generation: i32, authentic: bool) -> Mocks {
    let mut mocks = Mocks::default();
    mocks.refresh_tokens.expect_open().returning(move |_| {
        Some(PresentedRefreshToken {
            user_id: ada().id,
            session_id: session().id,
            generation: Generation::new(generation),
            mac: [0; 32],
        })
    });
    mocks.refresh_tokens.expect_is_authentic().return_const(authentic);
    mocks.refresh_tokens.expect_mint_again().returning(|_, _, generation, _, wanted| {
        let again = token(generation);
        (digest(&again) == *wanted).then_some(again)
    });
    mocks.expect_tokens();
    mocks
}

fn stored(mocks: &mut Mocks, session: Session, user: User) {
    mocks.sessions.expect_find().returning(move |_, _| Ok(Some((session.clone(), user.clone()))));
}

async fn run(mocks: Mocks) -> Result<Refreshed, RefreshError> {
    refresh(&mocks.ports(), "rt", &ClientInfo::default()).await
}

#[tokio::test]
async fn the_current_token_is_exchanged_for_the_next() {
    let mut mocks = presenting(5, true);
    stored(&mut mocks, session(), ada());
    mocks
        .sessions
        .expect_rotate()
        .withf(|from, next, to, now| {
            from.generation == Generation::new(5)
                && *next == Generation::new(6)
                && *to == digest(&token(Generation::new(6)))
                && *now == NOW
        })
        .times(1)
        .returning(|_, _, _, _| Ok(true));
    let Refreshed::Rotated(done) = run(mocks).await.unwrap() else { panic!("it is the current one") };
    assert_eq!(done.refresh_token.expose(), "rt-6");
    assert_eq!(done.session.expires_at, session().expires_at, "refreshing never extends the absolute end");
}

#[tokio::test]
async fn who_loses_the_race_gets_the_winners_successor() {
    let mut mocks = presenting(5, true);
    let next = Generation::new(6);
    let mut reads = 0;
    mocks.sessions.expect_find().times(2).returning(move |_, _| {
        reads += 1;
        let read = if reads == 1 {
            session()
        } else {
            Session { generation: next, digest: digest(&token(next)), ..session() }
        };
        Ok(Some((read, ada())))
    });
    mocks.sessions.expect_rotate().times(1).returning(|_, _, _, _| Ok(false));
    let Refreshed::Repeated(done) = run(mocks).await.unwrap() else { panic!("somebody was faster") };
    assert_eq!(done.refresh_token.expose(), "rt-6");
}

#[tokio::test]
async fn a_lost_answer_can_be_fetched_again_with_the_parent() {
    let mut mocks = presenting(4, true);
    stored(&mut mocks, session(), ada());
    let Refreshed::Repeated(done) = run(mocks).await.unwrap() else { panic!("it is the parent") };
    assert_eq!(done.refresh_token.expose(), "rt-5");
}

#[tokio::test]
async fn a_replayed_refresh_token_ends_the_session() {
    let mut mocks = presenting(3, true);
    stored(&mut mocks, session(), ada());
    mocks
        .sessions
        .expect_revoke()
        .withf(|user, id, reason, _| {
            *user == ada().id && *id == session().id && *reason == RevocationReason::Reuse
        })
        .times(1)
        .returning(|_, _, _, _| Ok(true));
    mocks
        .revocations
        .expect_learn()
        .withf(|learned, _| learned == [Revocation::Session(session().id)])
        .times(1)
        .return_const(());
    mocks.expect_activity(&[ActivityAction::RefreshReused]);
    assert!(matches!(run(mocks).await, Err(RefreshError::Reused)));
}

#[tokio::test]
async fn a_forged_token_is_refused_and_ends_nothing() {
    let mut mocks = presenting(3, false);
    stored(&mut mocks, session(), ada());
    assert!(matches!(run(mocks).await, Err(RefreshError::Invalid)));
}

#[tokio::test]
async fn an_idle_an_overdue_and_a_revoked_session_are_refused() {
    let policy = subtle_domain::session::SessionPolicy::default();
    for over in [
        Session { last_used_at: NOW - policy.idle, ..session() },
        Session { expires_at: NOW, ..session() },
        Session { revoked_at: Some(NOW - TimeDelta::minutes(1)), ..session() },
    ] {
        let mut mocks = presenting(5, true);
        stored(&mut mocks, over, ada());
        mocks.expect_activity(&[ActivityAction::RefreshRefused]);
        assert!(matches!(run(mocks).await, Err(RefreshError::Invalid)));
    }
}

#[tokio::test]
async fn a_disabled_account_is_not_refreshed() {
    let mut mocks = presenting(5, true);
    stored(&mut mocks, session(), User { disabled_at: Some(NOW), ..ada() });
    mocks.expect_activity(&[ActivityAction::RefreshRefused]);
    assert!(matches!(run(mocks).await, Err(RefreshError::Invalid)));
}

#[tokio::test]
async fn an_unverified_address_is_not_refreshed_where_that_is_demanded() {
    let mut mocks = presenting(5, true);
    mocks.policy.require_verified_email = true;
    stored(&mut mocks, session(), ada());
    mocks.expect_activity(&[ActivityAction::RefreshRefused]);
    assert!(matches!(run(mocks).await, Err(RefreshError::Invalid)));
}

#[tokio::test]
async fn the_access_token_does_not_outlive_the_session() {
    let mut mocks = presenting(5, true);
    stored(&mut mocks, Session { expires_at: NOW + TimeDelta::minutes(3), ..session() }, ada());
    mocks.sessions.expect_rotate().returning(|_, _, _, _| Ok(true));
    assert_eq!(run(mocks).await.unwrap().into_signed_in().expires_in, TimeDelta::minutes(3));
}

#[tokio::test]
async fn what_is_no_token_and_whose_session_is_gone_are_refused() {
    let mut mocks = Mocks::default();
    mocks.refresh_tokens.expect_open().returning(|_| None);
    mocks.imported_tokens.expect_digests().returning(|_| Vec::new());
    assert!(matches!(run(mocks).await, Err(RefreshError::Invalid)));
    let mut mocks = presenting(5, true);
    mocks.sessions.expect_find().returning(|_, _| Ok(None));
    assert!(matches!(run(mocks).await, Err(RefreshError::Invalid)));
}

#[tokio::test]
async fn too_many_refreshes_of_one_account_wait_and_forged_tokens_do_not_count() {
    let once = Some(Rate { burst: 1, interval: TimeDelta::seconds(60) });
    let limits = || Limits::new(LimitRates { token_by_account: once, ..LimitRates::default() });
    let mut mocks = Mocks { limits: limits(), ..presenting(5, true) };
    stored(&mut mocks, session(), ada());
    mocks.sessions.expect_rotate().times(1).returning(|_, _, _, _| Ok(true));
    let ports = mocks.ports();
    assert!(refresh(&ports, "rt", &ClientInfo::default()).await.is_ok());
    assert!(matches!(refresh(&ports, "rt", &ClientInfo::default()).await, Err(RefreshError::TooMany(_))));
    let mut mocks = Mocks { limits: limits(), ..presenting(5, false) };
    stored(&mut mocks, session(), ada());
    let ports = mocks.ports();
    for _ in 0..3 {
        assert!(matches!(refresh(&ports, "rt", &ClientInfo::default()).await, Err(RefreshError::Invalid)));
    }
}

#[tokio::test]
async fn a_session_that_an_older_server_began_without_the_code_that_is_asked_for_goes_no_further() {
    for (assurance, is_enough) in [(Assurance::Password, false), (Assurance::SecondFactor, true)] {
        let mut mocks = presenting(5, true);
        stored(&mut mocks, Session { assurance, ..session() }, ada_with_factor());
        mocks.sessions.expect_rotate().returning(|_, _, _, _| Ok(true));
        if !is_enough {
            mocks.expect_activity(&[ActivityAction::RefreshRefused]);
        }
        assert_eq!(run(mocks).await.is_ok(), is_enough);
    }
}
