use super::*;
use crate::test_ports::{Mocks, NOW, ada, one_time};
use chrono::TimeDelta;
use subtle_domain::ids::{LetterId, OneTimeTokenId};
use subtle_domain::letter::LetterKind;
use subtle_domain::one_time::Purpose;
use subtle_domain::ports::MockMailer;
use subtle_domain::session::ClientInfo;

fn letter(kind: LetterKind) -> Letter {
    Letter {
        id: LetterId::parse("m1").unwrap(),
        user_id: ada().id,
        kind,
        recipient: ada().email,
        token: kind.purpose().map(|_| OneTimeTokenId::parse("o1").unwrap()),
        new_email: None,
        client: ClientInfo::default(),
        created_at: NOW,
    }
}

/// A letter that was taken on, its token as it is kept.
fn due(kind: LetterKind, token: Option<OneTimeRecord>, tries: u32) -> Mocks {
    let mut mocks = Mocks::default();
    let one = TakenLetter { letter: letter(kind), token, tries };
    mocks
        .outbox
        .expect_take()
        .withf(|now, until| *now == NOW && *until == NOW + TimeDelta::minutes(2))
        .return_once(|_, _| Ok(Some(one)));
    mocks.one_time_tokens.expect_mint_again().returning(|_| Some(OneTimeToken::new("ott")));
    mocks
}

fn mailer(outcome: Result<(), NotSent>) -> MockMailer {
    let mut mailer = MockMailer::new();
    mailer.expect_send().times(1).return_once(|_, _| outcome);
    mailer
}

fn later() -> Result<(), NotSent> {
    Err(NotSent::Yet("the mail server answered 451".to_owned()))
}

#[tokio::test]
async fn a_letter_is_sent_with_its_token_and_then_forgotten() {
    let mut mocks = due(LetterKind::VerifyEmail, Some(one_time(Purpose::VerifyEmail)), 1);
    mocks
        .outbox
        .expect_forget()
        .withf(|id, tries| id.as_str() == "m1" && *tries == 1)
        .returning(|_, _| Ok(()));
    let mut mailer = MockMailer::new();
    mailer
        .expect_send()
        .withf(|letter, token| {
            letter.recipient == ada().email && token.is_some_and(|token| token.expose() == "ott")
        })
        .returning(|_, _| Ok(()));
    assert_eq!(deliver(&mocks.ports(), &mailer).await.unwrap(), Delivery::Sent);
}

#[tokio::test]
async fn a_letter_whose_token_is_used_replaced_or_expired_is_dropped_unsent() {
    let expired = OneTimeRecord { expires_at: NOW, ..one_time(Purpose::ResetPassword) };
    for token in [None, Some(expired)] {
        let mut mocks = due(LetterKind::ResetPassword, token, 1);
        mocks.outbox.expect_forget().times(1).returning(|_, _| Ok(()));
        assert_eq!(deliver(&mocks.ports(), &MockMailer::new()).await.unwrap(), Delivery::Dropped);
    }
}

#[tokio::test]
async fn what_fails_is_put_off_for_longer_each_time() {
    for (tries, pause) in [(1, 5), (2, 30), (3, 120), (4, 600), (5, 3_600), (6, 21_600)] {
        let mut mocks = due(LetterKind::NewDevice, None, tries);
        mocks
            .outbox
            .expect_put_off()
            .withf(move |_, fence, until, why| {
                *fence == tries && *until == NOW + TimeDelta::seconds(pause) && why.contains("451")
            })
            .times(1)
            .returning(|_, _, _, _| Ok(()));
        assert_eq!(deliver(&mocks.ports(), &mailer(later())).await.unwrap(), Delivery::PutOff);
    }
}

#[tokio::test]
async fn the_last_failure_and_one_for_good_give_a_letter_up() {
    let never = Err(NotSent::Ever("the mail server answered 550".to_owned()));
    for (tries, outcome) in [(TRIES, later()), (1, never)] {
        let mut mocks = due(LetterKind::NewDevice, None, tries);
        mocks.outbox.expect_give_up().times(1).returning(|_, _, _, _| Ok(()));
        assert_eq!(deliver(&mocks.ports(), &mailer(outcome)).await.unwrap(), Delivery::GivenUp);
    }
}

#[tokio::test]
async fn a_letter_that_kills_whoever_sends_it_is_not_tried_for_ever() {
    let mut mocks = due(LetterKind::NewDevice, None, TRIES + 1);
    mocks.outbox.expect_give_up().times(1).returning(|_, _, _, _| Ok(()));
    assert_eq!(deliver(&mocks.ports(), &MockMailer::new()).await.unwrap(), Delivery::GivenUp);
}

#[tokio::test]
async fn a_letter_whose_secret_is_gone_is_given_up() {
    let mut mocks = Mocks::default();
    let taken = TakenLetter {
        letter: letter(LetterKind::VerifyEmail),
        token: Some(one_time(Purpose::VerifyEmail)),
        tries: 1,
    };
    mocks.outbox.expect_take().return_once(|_, _| Ok(Some(taken)));
    mocks.one_time_tokens.expect_mint_again().returning(|_| None);
    mocks
        .outbox
        .expect_give_up()
        .withf(|_, _, _, why| why.contains("secret"))
        .times(1)
        .returning(|_, _, _, _| Ok(()));
    assert_eq!(deliver(&mocks.ports(), &MockMailer::new()).await.unwrap(), Delivery::GivenUp);
}

#[tokio::test]
async fn where_no_letter_is_due_nothing_is_sent() {
    let mut mocks = Mocks::default();
    mocks.outbox.expect_take().return_once(|_, _| Ok(None));
    assert_eq!(deliver(&mocks.ports(), &MockMailer::new()).await.unwrap(), Delivery::Nothing);
}
