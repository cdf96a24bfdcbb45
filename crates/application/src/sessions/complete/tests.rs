use super::*;
use crate::test_ports::{self, Mocks, NOW, ada, ada_with_factor, factor, was};
use chrono::TimeDelta;
use subtle_domain::letter::LetterKind;
use subtle_domain::password::PasswordHash;
use subtle_domain::ports::{MockUnit, RightCode};
use subtle_domain::second_factor::{EncryptedSecret, SecondFactor, TotpStep};
use subtle_domain::throttle::{Rate, RetryAfter};
use subtle_domain::token::{OneTimeCode, PresentedChallenge, RecoveryCode, TokenDigest};
use subtle_domain::user::User;

fn command(challenge: &str, code: &str) -> CompleteSignIn {
    CompleteSignIn {
        challenge: challenge.to_owned(),
        code: PresentedCode::parse(code).unwrap(),
        client: ClientInfo::default(),
    }
}

const RECOVERY: &str = "abcdef-234567-ghijkl-mnopqr";

/// Mocks that know of Ada's challenge `ch`, good until then, and whose authenticator takes `123456`, of the half minute 7.
fn knowing(user: User, until: Timestamp) -> Mocks {
    let mut mocks = Mocks::default();
    mocks.challenges.expect_open().returning(move |token| {
        (token == "ch").then(|| PresentedChallenge { user_id: ada().id, expires_at: until, mac: [7; 32] })
    });
    mocks.challenges.expect_is_authentic().returning(|_, known| known.hash == PasswordHash::tombstone());
    let hash = PasswordHash::tombstone();
    mocks.accounts.expect_credentials().return_once(move |_| Ok(Some(Credentials { user, hash })));
    mocks.authenticators.expect_check().returning(|_, _, code, _| {
        (code == &OneTimeCode::new("123456")).then_some(RightCode { step: TotpStep(7), reencrypted: None })
    });
    mocks
        .authenticators
        .expect_digest()
        .returning(|code| TokenDigest::new(format!("digest of {}", code.expose())));
    mocks.expect_tokens();
    mocks
}

fn soon() -> Timestamp {
    NOW + TimeDelta::minutes(1)
}

fn unit(user: User, found: SecondFactor) -> MockUnit {
    let mut unit = MockUnit::default();
    unit.users.expect_lock().return_once(|_| Ok(Some(user)));
    unit.second_factors.expect_find().return_once(|_| Ok(Some(found)));
    unit
}

/// A unit of work in which a session begins.
fn beginning(mut unit: MockUnit) -> MockUnit {
    unit.sessions.expect_is_new_device().returning(|_| Ok(false));
    unit.sessions
        .expect_begin()
        .withf(|session, verified| {
            session.assurance == Assurance::SecondFactor && *verified == PasswordHash::tombstone()
        })
        .times(1)
        .returning(|_, _| Ok(true));
    unit
}

fn signing_in(mocks: &mut Mocks) {
    mocks.sessions.expect_supersede().times(1).returning(|_, _, _| Ok(Vec::new()));
    mocks.revocations.expect_learn().return_const(());
}

#[tokio::test]
async fn a_code_begins_a_session_and_is_used_up_in_the_same_commit() {
    let mut mocks = knowing(ada_with_factor(), soon());
    signing_in(&mut mocks);
    let mut unit = beginning(unit(ada_with_factor(), factor()));
    unit.second_factors
        .expect_put()
        .withf(|put| *put == SecondFactor { last_step: Some(TotpStep(7)), ..factor() })
        .times(1)
        .returning(|_| Ok(()));
    let committed = mocks.expect_unit(unit);
    mocks.expect_activity(&[ActivityAction::SignIn]);
    let done = complete_sign_in(&mocks.ports(), command("ch", "123 456")).await.unwrap();
    assert_eq!((done.user, done.session.assurance), (ada_with_factor(), Assurance::SecondFactor));
    assert!(was(&committed));
}

#[tokio::test]
async fn a_secret_that_an_older_key_had_encrypted_is_encrypted_anew() {
    let mut mocks = knowing(ada_with_factor(), soon());
    signing_in(&mut mocks);
    mocks.authenticators.checkpoint();
    let reencrypted = Some(EncryptedSecret(b"encrypted anew".to_vec()));
    mocks
        .authenticators
        .expect_check()
        .return_once(move |_, _, _, _| Some(RightCode { step: TotpStep(7), reencrypted }));
    let mut unit = beginning(unit(ada_with_factor(), factor()));
    unit.second_factors
        .expect_put()
        .withf(|put| put.encrypted.0 == b"encrypted anew")
        .times(1)
        .returning(|_| Ok(()));
    let committed = mocks.expect_unit(unit);
    mocks.expect_activity(&[ActivityAction::SignIn]);
    complete_sign_in(&mocks.ports(), command("ch", "123456")).await.unwrap();
    assert!(was(&committed));
}

#[tokio::test]
async fn a_recovery_code_does_too_and_a_letter_tells_of_it() {
    let mut mocks = knowing(ada_with_factor(), soon());
    signing_in(&mut mocks);
    let mut unit = beginning(unit(ada_with_factor(), factor()));
    let code = RecoveryCode::new("abcdef234567ghijklmnopqr");
    unit.second_factors
        .expect_spend()
        .withf(move |user, digest| {
            *user == ada().id && digest.expose() == format!("digest of {}", code.expose())
        })
        .times(1)
        .returning(|_, _| Ok(true));
    test_ports::expect_letters(&mut unit, &[(LetterKind::RecoveryCodeUsed, "ada@example.com")]);
    let committed = mocks.expect_unit(unit);
    mocks.expect_activity(&[ActivityAction::RecoveryCodeUsed, ActivityAction::SignIn]);
    complete_sign_in(&mocks.ports(), command("ch", RECOVERY)).await.unwrap();
    assert!(was(&committed));
}

#[tokio::test]
async fn wrong_used_and_older_codes_begin_nothing_and_look_alike() {
    let used = |step| SecondFactor { last_step: Some(TotpStep(step)), ..factor() };
    for (code, found) in
        [("654321", factor()), ("123456", used(7)), ("123456", used(8)), (RECOVERY, factor())]
    {
        let mut mocks = knowing(ada_with_factor(), soon());
        let mut unit = unit(ada_with_factor(), found);
        unit.second_factors.expect_spend().returning(|_, _| Ok(false));
        let committed = mocks.expect_unit(unit);
        mocks.expect_activity(&[ActivityAction::SignInRefused]);
        let refused = complete_sign_in(&mocks.ports(), command("ch", code)).await;
        assert!(matches!(refused, Err(CompleteSignInError::Code(CodeRefused::Wrong))), "{code}");
        assert!(!was(&committed), "{code}");
    }
}

#[tokio::test]
async fn a_challenge_that_is_none_or_past_its_time_opens_nothing() {
    for (challenge, until) in [("nonsense", soon()), ("ch", NOW)] {
        let mocks = knowing(ada_with_factor(), until);
        let refused = complete_sign_in(&mocks.ports(), command(challenge, "123456")).await;
        assert!(matches!(refused, Err(CompleteSignInError::InvalidChallenge)), "{challenge}");
    }
}

#[tokio::test]
async fn a_challenge_dies_with_the_password_that_it_stands_for() {
    let mut mocks = knowing(ada_with_factor(), soon());
    let hash = PasswordHash::parse(&"b".repeat(60)).unwrap();
    mocks.accounts.checkpoint();
    mocks
        .accounts
        .expect_credentials()
        .return_once(move |_| Ok(Some(Credentials { user: ada_with_factor(), hash })));
    let refused = complete_sign_in(&mocks.ports(), command("ch", "123456")).await;
    assert!(matches!(refused, Err(CompleteSignInError::InvalidChallenge)));
}

#[tokio::test]
async fn an_account_that_was_closed_or_has_no_factor_any_more_opens_nothing() {
    for user in [ada(), User { disabled_at: Some(NOW), ..ada_with_factor() }] {
        let mut mocks = knowing(ada_with_factor(), soon());
        let committed = mocks.expect_unit(unit(user, factor()));
        mocks.expect_activity(&[ActivityAction::SignInRefused]);
        let refused = complete_sign_in(&mocks.ports(), command("ch", "123456")).await;
        assert!(matches!(refused, Err(CompleteSignInError::InvalidChallenge)) && !was(&committed));
    }
}

#[tokio::test]
async fn codes_are_tried_so_often_and_no_more_by_all_clients_together() {
    let mut mocks = knowing(ada_with_factor(), soon());
    let rate = Rate { burst: 10, interval: TimeDelta::minutes(1) };
    mocks.policy.second_factor = Some(rate);
    let wait = RetryAfter(std::time::Duration::from_mins(1));
    mocks
        .throttle
        .expect_take()
        .withf(move |key, asked, _| key == "codes of ada" && *asked == rate)
        .times(1)
        .returning(move |_, _, _| Ok(Err(wait)));
    mocks.expect_activity(&[ActivityAction::SignInRefused]);
    let refused = complete_sign_in(&mocks.ports(), command("ch", "123456")).await;
    assert!(matches!(refused, Err(CompleteSignInError::Code(CodeRefused::TooMany(told))) if told == wait));
}
