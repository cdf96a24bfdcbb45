//! Letters that wait to be sent.

use std::collections::HashSet;

use chrono::TimeDelta;
use futures_util::future::join_all;
use subtle_domain::Timestamp;
use subtle_domain::ids::LetterId;
use subtle_domain::letter::{Letter, LetterKind, LetterRequest};
use subtle_domain::one_time::Purpose;
use subtle_domain::ports::{Outbox, Store, TakenLetter};
use subtle_domain::session::ClientInfo;
use subtle_persistence::{PgCleaner, PgOutbox};

use crate::one_time::{put, record};
use crate::support::{Home, email, later, store, user_id};

fn letter(id: &str, kind: LetterKind, at: i64) -> Letter {
    Letter {
        id: LetterId::parse(id).unwrap(),
        user_id: user_id("ada"),
        kind,
        recipient: email("ada@example.com"),
        token: kind.purpose().map(|_| record("t1", "ada", Purpose::VerifyEmail, 0).id),
        new_email: Some(email("ada@new.example")),
        client: ClientInfo {
            ip_address: Some("2001:db8::7".parse().unwrap()),
            user_agent: Some("Tests/1 ü".to_owned()),
        },
        created_at: later(at),
    }
}

async fn queue(home: &Home, letters: &[Letter]) {
    let mut unit = store(home.pool()).begin().await.unwrap();
    for letter in letters {
        unit.outbox().add(letter).await.unwrap();
    }
    unit.commit().await.unwrap();
}

async fn take(outbox: &PgOutbox, now: Timestamp) -> Option<TakenLetter> {
    outbox.take(now, now + TimeDelta::minutes(2)).await.unwrap()
}

fn request(id: &str, at: i64) -> LetterRequest {
    let email = email("ada@example.com");
    LetterRequest { id: LetterId::parse(id).unwrap(), purpose: Purpose::ResetPassword, email, at: later(at) }
}

#[tokio::test]
async fn a_letter_is_taken_on_whole_with_what_is_kept_of_its_token() {
    let home = Home::of_three().await;
    let (outbox, token) = (PgOutbox::new(home.pool()), record("t1", "ada", Purpose::VerifyEmail, 0));
    put(&home, &token).await;
    let verification = letter("m1", LetterKind::VerifyEmail, 0);
    let bare =
        Letter { new_email: None, client: ClientInfo::default(), ..letter("m2", LetterKind::NewDevice, 1) };
    queue(&home, &[bare.clone(), verification.clone()]).await;
    assert!(!outbox.is_waiting(later(-1)).await.unwrap() && outbox.is_waiting(later(0)).await.unwrap());
    let first = TakenLetter { letter: verification, token: Some(token), tries: 1 };
    assert_eq!(take(&outbox, later(2)).await, Some(first));
    assert_eq!(take(&outbox, later(2)).await, Some(TakenLetter { letter: bare, token: None, tries: 1 }));
    assert_eq!(take(&outbox, later(2)).await, None);
}

#[tokio::test]
async fn a_letter_whose_token_is_gone_comes_without_it() {
    let home = Home::of_three().await;
    let outbox = PgOutbox::new(home.pool());
    put(&home, &record("t9", "ada", Purpose::VerifyEmail, 0)).await;
    queue(&home, &[letter("m1", LetterKind::VerifyEmail, 0)]).await;
    assert_eq!(take(&outbox, later(0)).await.unwrap().token, None);
}

#[tokio::test]
async fn however_many_servers_take_letters_each_is_taken_by_one() {
    let home = Home::of_three().await;
    let letters: Vec<_> = (0..30).map(|n| letter(&format!("m{n}"), LetterKind::NewDevice, 0)).collect();
    queue(&home, &letters).await;
    let replicas = [PgOutbox::new(home.pool()), PgOutbox::new(home.pool())];
    let taken = join_all(replicas.iter().cycle().take(50).map(|outbox| take(outbox, later(1)))).await;
    let ids: Vec<_> = taken.into_iter().flatten().map(|taken| taken.letter.id).collect();
    let different: HashSet<_> = ids.iter().map(LetterId::as_str).collect();
    assert_eq!(different.len(), ids.len(), "none twice");
    // Who met rows that others were just taking on may have gone away empty-handed.
    let outbox = &replicas[0];
    let mut rest = 0;
    while take(outbox, later(1)).await.is_some() {
        rest += 1;
    }
    assert_eq!(different.len() + rest, 30);
}

#[tokio::test]
async fn a_letter_of_which_nothing_is_heard_is_due_again_and_whoever_had_it_has_no_say() {
    let home = Home::of_three().await;
    let outbox = PgOutbox::new(home.pool());
    queue(&home, &[letter("m1", LetterKind::NewDevice, 0)]).await;
    let first = take(&outbox, later(0)).await.unwrap();
    assert_eq!(take(&outbox, later(119)).await, None);
    let second = take(&outbox, later(120)).await.unwrap();
    assert_eq!((first.tries, second.tries), (1, 2));
    let id = &first.letter.id;
    outbox.forget(id, 1).await.unwrap();
    outbox.put_off(id, 1, later(9_999), "late").await.unwrap();
    outbox.give_up(id, 1, later(121), "late").await.unwrap();
    let row = "SELECT state || coalesce(last_error, '') || tries FROM mail_outbox";
    assert_eq!(home.value(row).await, "waiting2");
    outbox.forget(id, 2).await.unwrap();
    assert_eq!(home.value("SELECT count(*) FROM mail_outbox").await, "0");
}

#[tokio::test]
async fn a_letter_is_put_off_and_at_last_given_up_without_its_addresses() {
    let home = Home::of_three().await;
    let outbox = PgOutbox::new(home.pool());
    queue(&home, &[letter("m1", LetterKind::EmailChangeAsked, 0)]).await;
    let id = take(&outbox, later(0)).await.unwrap().letter.id;
    outbox.put_off(&id, 1, later(5), "the mail server answered 451").await.unwrap();
    assert_eq!(take(&outbox, later(4)).await, None);
    assert_eq!(take(&outbox, later(5)).await.unwrap().tries, 2);
    outbox.give_up(&id, 2, later(6), "the mail server answered 550").await.unwrap();
    assert!(!outbox.is_waiting(later(9_999)).await.unwrap());
    let row = home.value("SELECT to_jsonb(m) FROM mail_outbox m").await;
    for kept in ["\"failed\"", "email_change_asked", "answered 550", "\"tries\": 2", "\"ada\""] {
        assert!(row.contains(kept), "{kept} in {row}");
    }
    assert!(!row.contains("example") && !row.contains("2001:db8") && !row.contains("Tests/1"), "{row}");
    let cleaner = PgCleaner::new(home.pool(), None);
    assert_eq!(cleaner.clean(later(6) + TimeDelta::days(30)).await.unwrap(), 0);
    assert_eq!(cleaner.clean(later(7) + TimeDelta::days(30)).await.unwrap(), 1);
    assert_eq!(home.value("SELECT count(*) FROM mail_outbox").await, "0");
}

#[tokio::test]
async fn a_letter_without_its_cause_is_not_there() {
    let home = Home::of_three().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    unit.outbox().add(&letter("m1", LetterKind::NewDevice, 0)).await.unwrap();
    drop(unit);
    home.await_no_open_transaction().await;
    assert_eq!(home.value("SELECT count(*) FROM mail_outbox").await, "0");
}

#[tokio::test]
async fn requests_are_taken_in_their_order_by_one_each_and_stay_until_they_are_answered() {
    let home = Home::of_three().await;
    let (outbox, store) = (PgOutbox::new(home.pool()), store(home.pool()));
    outbox.request(&request("r2", 2)).await.unwrap();
    outbox.request(&request("r1", 1)).await.unwrap();
    assert!(outbox.is_waiting(later(0)).await.unwrap());
    let (mut one, mut other) = (store.begin().await.unwrap(), store.begin().await.unwrap());
    assert_eq!(one.outbox().take_request().await.unwrap(), Some(request("r1", 1)));
    assert_eq!(other.outbox().take_request().await.unwrap(), Some(request("r2", 2)));
    one.rollback().await.unwrap();
    other.commit().await.unwrap();
    let mut again = store.begin().await.unwrap();
    assert_eq!(again.outbox().take_request().await.unwrap(), Some(request("r1", 1)));
    again.commit().await.unwrap();
    assert!(!outbox.is_waiting(later(9)).await.unwrap());
}

#[tokio::test]
async fn letters_of_a_newer_version_are_left_to_its_servers() {
    let home = Home::of_three().await;
    let outbox = PgOutbox::new(home.pool());
    queue(&home, &[letter("m1", LetterKind::NewDevice, 0), letter("m2", LetterKind::NewDevice, 1)]).await;
    home.run("UPDATE mail_outbox SET kind = 'of_a_newer_version' WHERE id = 'm1'").await;
    assert_eq!(take(&outbox, later(9)).await.unwrap().letter.id.as_str(), "m2");
    assert!(take(&outbox, later(9)).await.is_none());
    assert_eq!(home.value("SELECT tries FROM mail_outbox WHERE id = 'm1'").await, "0");
}

#[tokio::test]
async fn who_is_erased_while_a_request_of_theirs_is_answered_waits_for_nobody() {
    let home = Home::of_three().await;
    let (outbox, store) = (PgOutbox::new(home.pool()), store(home.pool()));
    outbox.request(&request("r1", 1)).await.unwrap();
    outbox.request(&request("r2", 2)).await.unwrap();
    let mut erasing = store.begin().await.unwrap();
    erasing.users().lock(&user_id("ada")).await.unwrap();
    let mut answering = store.begin().await.unwrap();
    answering.outbox().take_request().await.unwrap().unwrap();
    let answered = tokio::spawn(async move {
        let owner = answering.users().lock_address(&email("ada@example.com")).await.unwrap();
        answering.commit().await.unwrap();
        owner
    });
    home.await_waiting(1).await;
    erasing.users().erase_traces(&user_id("ada"), &email("ada@example.com")).await.unwrap();
    erasing.commit().await.unwrap();
    answered.await.unwrap();
    assert_eq!(home.value("SELECT count(*) FROM mail_requests").await, "0");
}
