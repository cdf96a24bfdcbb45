use super::*;
use crate::sessions::fresh;
use crate::test_ports::{self, Mocks, NOW, ada, ada_with_factor, caller, factor, session, was};
use chrono::TimeDelta;
use subtle_domain::ports::{MockUnit, Revocation, RightCode};
use subtle_domain::second_factor::{Assurance, ENROLMENT_LIFE, TotpStep};
use subtle_domain::throttle::{Rate, RetryAfter};
use subtle_domain::token::TokenDigest;

fn pending() -> SecondFactor {
    SecondFactor { confirmed_at: None, ..factor() }
}

/// Mocks whose authenticator takes `123456`, of the half minute 7.
fn authenticating() -> Mocks {
    let mut mocks = Mocks::default();
    mocks.authenticators.expect_check().returning(|user, encrypted, code, now| {
        assert_eq!((user, encrypted, now), (&ada().id, &factor().encrypted, NOW));
        (code.expose() == "123456").then_some(RightCode { step: TotpStep(7), reencrypted: None })
    });
    mocks.authenticators.expect_recovery_code().returning(|| RecoveryCode::new("rc"));
    mocks.authenticators.expect_digest().returning(|_| TokenDigest::new("digest of rc"));
    mocks
}

fn unit(user: User, found: Option<SecondFactor>) -> MockUnit {
    let mut unit = MockUnit::default();
    unit.users.expect_lock().return_once(|_| Ok(Some(user)));
    unit.second_factors.expect_find().return_once(|_| Ok(found));
    unit
}

async fn ask(mut mocks: Mocks, unit: MockUnit, code: &str) -> (Result<Confirmed, ConfirmError>, bool) {
    let committed = mocks.expect_unit(unit);
    let done = confirm_second_factor(&mocks.ports(), &fresh(), &OneTimeCode::new(code)).await;
    (done, was(&committed))
}

#[tokio::test]
async fn the_first_code_turns_it_on_ends_the_other_sessions_and_gives_ten_codes_and_a_token_that_tells() {
    let mut mocks = authenticating();
    mocks
        .access_tokens
        .expect_sign()
        .withf(|claims| claims.assurance == Assurance::SecondFactor)
        .returning(|_| subtle_domain::token::AccessToken::new("at"));
    let mut unit = unit(ada(), Some(pending()));
    unit.sessions
        .expect_raise()
        .withf(|user, id| (user, id) == (&ada().id, &caller().session_id))
        .returning(|_, _| Ok(Some(Session { assurance: Assurance::SecondFactor, ..session() })));
    unit.users.expect_save().withf(|user| user.second_factor_at == Some(NOW)).times(1).returning(|_| Ok(()));
    unit.second_factors
        .expect_put()
        .withf(|put| *put == SecondFactor { last_step: Some(TotpStep(7)), ..factor() })
        .times(1)
        .returning(|_| Ok(()));
    unit.second_factors
        .expect_replace_codes()
        .withf(|_, digests| digests.len() == RECOVERY_CODES)
        .times(1)
        .returning(|_, _| Ok(()));
    unit.sessions
        .expect_revoke_all()
        .withf(|_, keep, reason, _| {
            *keep == Some(&session().id) && *reason == RevocationReason::SecondFactorAdded
        })
        .times(1)
        .returning(|_, _, _, _| Ok(vec![SessionId::parse("s2").unwrap()]));
    test_ports::expect_letters(&mut unit, &[(LetterKind::SecondFactorAdded, "ada@example.com")]);
    let ended = [Revocation::Session(SessionId::parse("s2").unwrap())];
    mocks.revocations.expect_learn().withf(move |learned, _| learned == ended).times(1).return_const(());
    mocks.expect_activity(&[ActivityAction::SecondFactorAdded]);
    let (confirmed, committed) = ask(mocks, unit, "123456").await;
    assert_eq!(confirmed.unwrap().codes.len(), RECOVERY_CODES);
    assert!(committed);
}

#[tokio::test]
async fn a_wrong_code_turns_nothing_on() {
    let mut mocks = authenticating();
    mocks.expect_activity(&[ActivityAction::SignInRefused]);
    let (refused, committed) = ask(mocks, unit(ada(), Some(pending())), "654321").await;
    assert!(matches!(refused, Err(ConfirmError::Code(CodeRefused::Wrong))) && !committed);
}

#[tokio::test]
async fn nothing_to_confirm_too_late_and_confirmed_before_turn_nothing_on() {
    let late = SecondFactor { created_at: NOW - ENROLMENT_LIFE, ..pending() };
    for (user, found) in [(ada(), None), (ada(), Some(late)), (ada_with_factor(), Some(factor()))] {
        let is_on = user.second_factor_at.is_some();
        let (refused, committed) = ask(authenticating(), unit(user, found), "123456").await;
        match refused {
            Err(ConfirmError::AlreadyOn) => assert!(is_on),
            Err(ConfirmError::NotEnrolled) => assert!(!is_on),
            other => panic!("{other:?}"),
        }
        assert!(!committed);
    }
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_turns_nothing_on() {
    let mut unit = unit(ada(), Some(pending()));
    unit.sessions.expect_raise().returning(|_, _| Ok(None));
    let (refused, committed) = ask(authenticating(), unit, "123456").await;
    assert!(matches!(refused, Err(ConfirmError::Closed)) && !committed);
}

#[tokio::test]
async fn a_try_too_many_is_refused_before_it_is_evaluated_and_takes_no_guess_at_sign_in() {
    let mut mocks = Mocks::default();
    mocks.policy.second_factor = Some(Rate { burst: 10, interval: TimeDelta::minutes(1) });
    let wait = RetryAfter(std::time::Duration::from_mins(1));
    mocks
        .throttle
        .expect_take()
        .withf(|key, _, _| key == "second factor of ada")
        .returning(move |_, _, _| Ok(Err(wait)));
    let refused = confirm_second_factor(&mocks.ports(), &fresh(), &OneTimeCode::new("123456")).await;
    assert!(matches!(refused, Err(ConfirmError::Code(CodeRefused::TooMany(told))) if told == wait));
}
