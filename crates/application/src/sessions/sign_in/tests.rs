use super::*;
use crate::Policy;
use crate::test_ports::{self, Mocks, NOW, ada, ada_with_factor};
use chrono::TimeDelta;
use subtle_domain::ids::SessionId;
use subtle_domain::letter::LetterKind;
use subtle_domain::password::PasswordHash;
use subtle_domain::ports::{MockUnit, Revocation};
use subtle_domain::throttle::Rate;
use subtle_domain::token::ChallengeToken;
use subtle_domain::user::User;

fn command() -> SignIn {
    SignIn {
        email: EmailAddress::parse("ada@example.com").unwrap(),
        password: PasswordAttempt::new("tr0ub4dor&3"),
        client: ClientInfo::default(),
    }
}

fn hash(letter: &str) -> PasswordHash {
    PasswordHash::parse(&letter.repeat(60)).unwrap()
}

fn knowing(user: User, verified: bool) -> Mocks {
    let mut mocks = Mocks::default();
    mocks
        .accounts
        .expect_credentials_of_address()
        .returning(move |_| Ok(Some(Credentials { user: user.clone(), hash: hash("a") })));
    mocks.passwords.expect_verify().returning(move |_, _| Ok(verified));
    mocks.expect_tokens();
    mocks
}

/// The same, on a device that was seen before or not.
fn on_device(user: User, is_new: bool) -> Mocks {
    let mut mocks = knowing(user, true);
    mocks.sessions.expect_is_new_device().returning(move |_| Ok(is_new));
    mocks.sessions.expect_supersede().returning(|_, _, _| Ok(Vec::new()));
    mocks.revocations.expect_learn().return_const(());
    mocks.passwords.expect_is_outdated().return_const(false);
    mocks
}

#[tokio::test]
async fn the_right_password_begins_a_session_and_what_is_one_too_many_ends() {
    let mut mocks = knowing(ada(), true);
    mocks.sessions.expect_is_new_device().returning(|_| Ok(false));
    mocks.passwords.expect_is_outdated().return_const(false);
    let oldest = SessionId::parse("s-old").unwrap();
    let superseded = oldest.clone();
    mocks
        .sessions
        .expect_supersede()
        .withf(|user, policy, _| *user == ada().id && policy.most == 100)
        .times(1)
        .return_once(move |_, _, _| Ok(vec![superseded]));
    let ended = [Revocation::Session(oldest)];
    mocks.revocations.expect_learn().withf(move |learned, _| learned == ended).times(1).return_const(());
    mocks
        .sessions
        .expect_begin()
        .withf(|session, verified| session.user_id == ada().id && *verified == hash("a"))
        .returning(|_, _| Ok(true));
    mocks.expect_activity(&[ActivityAction::SignIn]);
    let done = sign_in(&mocks.ports(), command()).await.unwrap();
    assert_eq!((done.user, done.refresh_token.expose()), (ada(), "rt-0"));
    assert_eq!(done.expires_in, TimeDelta::minutes(15));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_told_alike() {
    let mut wrong = knowing(ada(), false);
    wrong.expect_activity(&[ActivityAction::SignInRefused]);
    let wrong = sign_in(&wrong.ports(), command()).await.unwrap_err();
    let mut unknown = Mocks::default();
    unknown.accounts.expect_credentials_of_address().returning(|_| Ok(None));
    unknown.passwords.expect_verify_nothing().times(1).returning(|_| Ok(()));
    let unknown = sign_in(&unknown.ports(), command()).await.unwrap_err();
    assert_eq!(wrong.to_string(), unknown.to_string());
}

#[tokio::test]
async fn a_disabled_account_tells_only_who_knows_its_password() {
    let disabled = User { disabled_at: Some(NOW), ..ada() };
    let mut mocks = knowing(disabled.clone(), true);
    mocks.expect_activity(&[ActivityAction::SignInRefused]);
    assert!(matches!(sign_in(&mocks.ports(), command()).await, Err(SignInError::Disabled)));
    let mut mocks = knowing(disabled, false);
    mocks.expect_activity(&[ActivityAction::SignInRefused]);
    assert!(matches!(sign_in(&mocks.ports(), command()).await, Err(SignInError::WrongCredentials)));
}

#[tokio::test]
async fn an_unverified_address_is_refused_where_that_is_demanded() {
    let mut mocks = knowing(ada(), true);
    mocks.policy.require_verified_email = true;
    mocks.expect_activity(&[ActivityAction::SignInRefused]);
    assert!(matches!(sign_in(&mocks.ports(), command()).await, Err(SignInError::Unverified)));
}

#[tokio::test]
async fn an_account_that_is_disabled_between_check_and_begin_gets_no_session() {
    let mut mocks = Mocks::default();
    let mut reads = 0;
    mocks.accounts.expect_credentials_of_address().times(2).returning(move |_| {
        reads += 1;
        let disabled_at = (reads == 2).then_some(NOW);
        Ok(Some(Credentials { user: User { disabled_at, ..ada() }, hash: hash("a") }))
    });
    mocks.passwords.expect_verify().returning(|_, _| Ok(true));
    mocks.sessions.expect_is_new_device().returning(|_| Ok(false));
    mocks.sessions.expect_begin().times(1).returning(|_, _| Ok(false));
    mocks.expect_tokens();
    mocks.expect_activity(&[ActivityAction::SignInRefused]);
    assert!(matches!(sign_in(&mocks.ports(), command()).await, Err(SignInError::Disabled)));
}

fn limited() -> Policy {
    let rate = Rate { burst: 10, interval: TimeDelta::seconds(60) };
    Policy { guesses: Some(rate), ..Policy::default() }
}

#[tokio::test]
async fn a_guess_too_many_is_refused_before_it_is_evaluated() {
    let mut mocks = Mocks { policy: limited(), ..Mocks::default() };
    let known = Credentials { user: ada(), hash: hash("a") };
    mocks.accounts.expect_credentials_of_address().return_once(|_| Ok(Some(known)));
    mocks.expect_activity(&[ActivityAction::SignInRefused]);
    let wait = RetryAfter(std::time::Duration::from_mins(1));
    mocks.throttle.expect_take().times(1).returning(move |_, _, _| Ok(Err(wait)));
    let refused = sign_in(&mocks.ports(), command()).await;
    assert!(matches!(refused, Err(SignInError::TooManyGuesses(told)) if told == wait));
}

#[tokio::test]
async fn the_right_password_forgets_the_guesses() {
    let mut mocks = Mocks { policy: limited(), ..on_device(ada(), false) };
    mocks.throttle.expect_take().returning(|_, _, _| Ok(Ok(())));
    mocks.throttle.expect_clear().times(2).returning(|_| Ok(()));
    mocks.sessions.expect_begin().returning(|_, _| Ok(true));
    mocks.expect_activity(&[ActivityAction::SignIn]);
    sign_in(&mocks.ports(), command()).await.unwrap();
}

#[tokio::test]
async fn a_cheaper_hash_is_upgraded_if_it_still_is_the_one_that_was_verified() {
    let mut mocks = knowing(ada(), true);
    mocks.sessions.expect_is_new_device().returning(|_| Ok(false));
    mocks.sessions.expect_supersede().returning(|_, _, _| Ok(Vec::new()));
    mocks.revocations.expect_learn().return_const(());
    mocks.passwords.expect_is_outdated().return_const(true);
    mocks
        .passwords
        .expect_hash()
        .withf(|password| password.expose() == "tr0ub4dor&3")
        .returning(|_| Ok(hash("b")));
    mocks
        .accounts
        .expect_replace_hash()
        .withf(|_, from, to| *from == hash("a") && *to == hash("b"))
        .times(1)
        .returning(|_, _, _| Ok(true));
    mocks.sessions.expect_begin().returning(|_, _| Ok(true));
    mocks.expect_activity(&[ActivityAction::SignIn]);
    sign_in(&mocks.ports(), command()).await.unwrap();
}

#[tokio::test]
async fn a_busy_hasher_refuses_with_a_time_to_come_back() {
    let mut mocks = Mocks::default();
    let retry_after = RetryAfter(std::time::Duration::from_secs(1));
    mocks.accounts.expect_credentials_of_address().returning(|_| Ok(None));
    mocks.passwords.expect_verify_nothing().returning(move |_| Err(HasherBusy { retry_after }));
    let refused = sign_in(&mocks.ports(), command()).await;
    assert!(matches!(refused, Err(SignInError::Busy(busy)) if busy.retry_after == retry_after));
}

#[tokio::test]
async fn each_client_has_its_own_share_of_guesses_and_all_together_have_ten() {
    let mut mocks = Mocks { policy: limited(), ..Mocks::default() };
    let client = ClientInfo { ip_address: Some("2001:db8::7".parse().unwrap()), user_agent: None };
    mocks
        .throttle
        .expect_take()
        .withf(|key, rate, _| key == "ada@example.com from 2001:db8::" && *rate == limited().guesses.unwrap())
        .times(1)
        .returning(|_, _, _| Ok(Ok(())));
    let all = Rate { burst: 100, interval: TimeDelta::seconds(6) };
    let wait = RetryAfter(std::time::Duration::from_secs(6));
    mocks
        .throttle
        .expect_take()
        .withf(move |key, rate, _| key == "ada@example.com" && *rate == all)
        .times(1)
        .returning(move |_, _, _| Ok(Err(wait)));
    mocks.accounts.expect_credentials_of_address().returning(|_| Ok(None));
    let refused = sign_in(&mocks.ports(), SignIn { client, ..command() }).await;
    assert!(matches!(refused, Err(SignInError::TooManyGuesses(told)) if told == wait));
}

#[tokio::test]
async fn a_session_on_a_new_device_commits_with_the_letter_that_tells_of_it() {
    let mut mocks = on_device(ada(), true);
    let mut unit = MockUnit::default();
    unit.users.expect_lock().returning(|_| Ok(Some(ada())));
    unit.sessions.expect_is_new_device().returning(|_| Ok(true));
    unit.sessions.expect_begin().withf(|_, verified| *verified == hash("a")).returning(|_, _| Ok(true));
    test_ports::expect_letters(&mut unit, &[(LetterKind::NewDevice, "ada@example.com")]);
    let committed = mocks.expect_unit(unit);
    mocks.expect_activity(&[ActivityAction::SignIn]);
    sign_in(&mocks.ports(), command()).await.unwrap();
    assert!(test_ports::was(&committed));
}

#[tokio::test]
async fn of_two_on_one_new_device_at_once_the_first_tells() {
    let mut mocks = on_device(ada(), true);
    let mut unit = MockUnit::default();
    unit.users.expect_lock().returning(|_| Ok(Some(ada())));
    unit.sessions.expect_is_new_device().returning(|_| Ok(false));
    unit.sessions.expect_begin().returning(|_, _| Ok(true));
    let committed = mocks.expect_unit(unit);
    mocks.expect_activity(&[ActivityAction::SignIn]);
    sign_in(&mocks.ports(), command()).await.unwrap();
    assert!(test_ports::was(&committed));
}

#[tokio::test]
async fn who_makes_up_devices_without_end_floods_no_mailbox() {
    let mut mocks = on_device(ada(), true);
    mocks.policy.letters = limited().guesses;
    let mut unit = MockUnit::default();
    unit.users.expect_lock().returning(|_| Ok(Some(ada())));
    unit.sessions.expect_is_new_device().returning(|_| Ok(true));
    unit.sessions.expect_begin().times(1).returning(|_, _| Ok(true));
    unit.throttle
        .expect_take()
        .withf(|key, rate, now| (key, Some(*rate), *now) == ("notices to ada", limited().guesses, NOW))
        .times(1)
        .returning(|_, _, _| Ok(false));
    let committed = mocks.expect_unit(unit);
    mocks.expect_activity(&[ActivityAction::SignIn]);
    sign_in(&mocks.ports(), command()).await.unwrap();
    assert!(test_ports::was(&committed));
}

fn challenging(mut mocks: Mocks, of: &'static str) -> Mocks {
    mocks
        .challenges
        .expect_mint()
        .withf(move |known, until| {
            known.user.id == ada().id && known.hash == hash(of) && *until == NOW + CHALLENGE_LIFE
        })
        .times(1)
        .returning(|_, expires_at| Challenge { token: ChallengeToken::new("ch"), expires_at });
    mocks
}

#[tokio::test]
async fn who_has_a_second_factor_gets_a_challenge_and_no_session() {
    let mut mocks = challenging(knowing(ada_with_factor(), true), "a");
    mocks.passwords.expect_is_outdated().return_const(false);
    mocks.expect_activity(&[ActivityAction::SecondFactorAsked]);
    let refused = sign_in(&mocks.ports(), command()).await;
    assert!(
        matches!(refused, Err(SignInError::SecondFactorRequired(challenge)) if challenge.token.expose() == "ch")
    );
}

#[tokio::test]
async fn only_who_knows_the_password_learns_of_a_second_factor() {
    let mut mocks = knowing(ada_with_factor(), false);
    mocks.expect_activity(&[ActivityAction::SignInRefused]);
    assert!(matches!(sign_in(&mocks.ports(), command()).await, Err(SignInError::WrongCredentials)));
}

#[tokio::test]
async fn a_challenge_stands_for_the_hash_that_there_is_after_the_upgrade() {
    let mut mocks = challenging(knowing(ada_with_factor(), true), "b");
    mocks.passwords.expect_is_outdated().return_const(true);
    mocks.passwords.expect_hash().returning(|_| Ok(hash("b")));
    mocks.accounts.expect_replace_hash().returning(|_, _, _| Ok(true));
    mocks.expect_activity(&[ActivityAction::SecondFactorAsked]);
    assert!(matches!(sign_in(&mocks.ports(), command()).await, Err(SignInError::SecondFactorRequired(_))));
}

#[tokio::test]
async fn of_two_who_upgrade_at_once_both_get_a_challenge_that_stands_for_the_hash_that_stays() {
    let mut mocks = challenging(Mocks::default(), "c");
    let mut reads = 0;
    mocks.accounts.expect_credentials_of_address().times(2).returning(move |_| {
        reads += 1;
        let hash = if reads == 1 { hash("a") } else { hash("c") };
        Ok(Some(Credentials { user: ada_with_factor(), hash }))
    });
    mocks.passwords.expect_verify().returning(|_, _| Ok(true));
    mocks.passwords.expect_is_outdated().returning(|known| *known == hash("a"));
    mocks.passwords.expect_hash().returning(|_| Ok(hash("b")));
    mocks.accounts.expect_replace_hash().returning(|_, _, _| Ok(false));
    mocks.expect_activity(&[ActivityAction::SecondFactorAsked]);
    assert!(matches!(sign_in(&mocks.ports(), command()).await, Err(SignInError::SecondFactorRequired(_))));
}
