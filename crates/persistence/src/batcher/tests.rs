use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::*;
use crate::options::PoolOptions;

/// A database that nothing here speaks to.
fn nowhere() -> Database {
    Database::new(PoolOptions::from_url("postgres://nobody@127.0.0.1:1/nothing").unwrap()).unwrap()
}

fn refused() -> StoreError {
    StoreError::Defect("not that one".into())
}

async fn ask_all(
    batcher: &Batcher<u32, u32>,
    questions: impl Iterator<Item = u32>,
) -> Vec<Result<u32, StoreError>> {
    timeout(Duration::from_secs(5), join_all(questions.map(|question| batcher.ask(question)))).await.unwrap()
}

#[tokio::test]
async fn who_asks_together_is_answered_by_few_statements_each_with_their_own_answer() {
    static STATEMENTS: AtomicUsize = AtomicUsize::new(0);
    let batcher = Batcher::new(nowhere(), |_, questions: Arc<[u32]>| {
        async move {
            STATEMENTS.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(questions.iter().map(|question| question * 2).collect())
        }
        .boxed()
    });
    let answers = ask_all(&batcher, 0..1000).await;
    for (question, answer) in (0..).zip(answers) {
        assert_eq!(answer.unwrap(), question * 2);
    }
    let statements = STATEMENTS.load(Ordering::Relaxed);
    assert!((4..=100).contains(&statements), "{statements}");
    assert_eq!(batcher.ask(4).await.unwrap(), 8);
}

#[tokio::test]
async fn what_is_refused_for_one_question_is_refused_to_that_one() {
    let batcher = Batcher::new(nowhere(), |_, questions: Arc<[u32]>| {
        async move { if questions.contains(&7) { Err(refused()) } else { Ok(questions.to_vec()) } }.boxed()
    });
    let answers = ask_all(&batcher, 0..20).await;
    for (question, answer) in (0..).zip(answers) {
        assert_eq!(answer.is_err(), question == 7, "{question}");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_told_to_all_and_asked_no_more_for_them() {
    static STATEMENTS: AtomicUsize = AtomicUsize::new(0);
    let batcher: Batcher<u32, u32> = Batcher::new(nowhere(), |_, _| {
        STATEMENTS.fetch_add(1, Ordering::Relaxed);
        async { Err(StoreError::Unavailable("gone".into())) }.boxed()
    });
    let answers = ask_all(&batcher, 0..50).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))));
    assert!(STATEMENTS.load(Ordering::Relaxed) < 10);
}

#[tokio::test]
async fn who_gets_no_answer_is_told_so_and_the_next_one_gets_theirs() {
    let batcher = Batcher::new(nowhere(), |_, questions: Arc<[u32]>| {
        async move {
            assert!(!questions.contains(&13), "as a defect would have it");
            Ok(questions.iter().copied().filter(|question| *question != 14).collect())
        }
        .boxed()
    });
    for unlucky in [13, 13, 13, 14] {
        assert!(batcher.ask(unlucky).await.is_err());
    }
    assert_eq!(batcher.ask(1).await.unwrap(), 1);
}

#[tokio::test]
async fn nothing_is_asked_for_those_who_have_gone() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let batcher = Batcher::new(nowhere(), |_, questions: Arc<[u32]>| {
        async move {
            ASKED.fetch_add(questions.len(), Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(questions.to_vec())
        }
        .boxed()
    });
    // Looked at once, and dropped before anything was done: this runtime has one thread.
    for question in 0..100 {
        assert!(batcher.ask(question).now_or_never().is_none());
    }
    assert_eq!(batcher.ask(100).await.unwrap(), 100);
    assert_eq!(ASKED.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_statement_that_never_comes_back_holds_up_those_alone_who_are_part_of_it() {
    static SENT: AtomicUsize = AtomicUsize::new(0);
    let batcher = Batcher::new(nowhere(), |_, questions: Arc<[u32]>| {
        async move {
            if questions.contains(&0) {
                SENT.store(1, Ordering::Relaxed);
                std::future::pending::<()>().await;
            }
            Ok(questions.to_vec())
        }
        .boxed()
    });
    let mut lost = Box::pin(batcher.ask(0));
    let others = async {
        while SENT.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        // These gather behind it, and nobody comes later.
        ask_all(&batcher, 1..9).await
    };
    tokio::select! {
        _ = &mut lost => panic!("it was answered"),
        others = others => assert!(others.iter().all(Result::is_ok)),
    }
    assert!(matches!(lost.await, Err(StoreError::Unavailable(_))));
}
