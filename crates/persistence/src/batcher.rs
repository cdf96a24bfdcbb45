//! Questions that arrive together are put together: one statement for many callers, each of whom gets an answer of their own.
//!
//! A round trip costs the driver and PostgreSQL several times what the row costs that it brings. Nobody waits for company: a
//! question that finds none under way is put at once, and what arrives meanwhile goes with the next. So a quiet server answers as
//! before, and a busy one with ever fewer statements.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use subtle_domain::ports::StoreError;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use crate::pool::Database;
use crate::refusal::Shared;
use crate::traces::TARGET;

/// How many statements are under way at once at most. One is enough as long as it comes back soon, and leaves the most to go together.
const TURNS: usize = 4;
/// How many questions wait for the one that is under way before another one goes,
const CROWD: usize = 32;
/// and how long: it may be on a connection that answers no more.
const PATIENCE: Duration = Duration::from_millis(5);
/// How many questions are put by one statement at most.
const TOGETHER: usize = 256;

/// Puts questions to a database: an answer for each, in their order.
pub(crate) type Statement<Q, A> = fn(Database, Arc<[Q]>) -> BoxFuture<'static, Result<Vec<A>, StoreError>>;

/// Takes questions. Clones share what waits.
pub(crate) struct Batcher<Q: Send + Sync + 'static, A: Send + 'static> {
    shared: Arc<Desk<Q, A>>,
}

struct Desk<Q, A> {
    database: Database,
    statement: Statement<Q, A>,
    state: Mutex<State<Q, A>>,
}

struct State<Q, A> {
    waiting: Vec<Waiting<Q, A>>,
    turns: usize,
    /// When the last statement was sent.
    sent: Instant,
}

struct Waiting<Q, A> {
    question: Q,
    answer: oneshot::Sender<Result<A, StoreError>>,
}

/// The answers do not fit the questions, or their task failed.
#[derive(Debug, thiserror::Error)]
#[error("a question was not answered")]
struct Unanswered;

impl<Q: Clone + Send + Sync + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Puts questions to `database` by `statement`.
    pub(crate) fn new(database: Database, statement: Statement<Q, A>) -> Self {
        let state = Mutex::new(State { waiting: Vec::new(), turns: 0, sent: Instant::now() });
        Self { shared: Arc::new(Desk { database, statement, state }) }
    }

    /// The answer to a question. An error is of the statement that it was a part of, or that its time was up.
    pub(crate) async fn ask(&self, question: Q) -> Result<A, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.put_if(self.shared.leave(Waiting { question, answer }));
        let answered = async {
            let mut answered = answered;
            let told = match timeout(PATIENCE, &mut answered).await {
                Ok(told) => told,
                Err(_long) => {
                    // Nobody may have come since who would have seen that what is under way does not come back.
                    self.put_if(self.shared.look_again());
                    answered.await
                }
            };
            told.unwrap_or_else(|_dropped| Err(unanswered()))
        };
        let span = tracing::debug_span!(
            target: TARGET,
            "statement of several",
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            db.system.name = "postgresql",
        );
        let outcome = self.shared.database.in_time(answered).instrument(span.clone()).await;
        if outcome.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        outcome
    }

    fn put_if(&self, has_a_turn: bool) {
        if has_a_turn {
            let turn = Turn { desk: Arc::clone(&self.shared), is_over: false };
            self.shared.database.runtime().spawn(turn.run());
        }
    }
}

fn unanswered() -> StoreError {
    StoreError::Defect(Box::new(Unanswered))
}

impl<Q, A> State<Q, A> {
    fn take_turn(&mut self) -> bool {
        let has_a_turn = match self.turns {
            0 => !self.waiting.is_empty(),
            TURNS.. => false,
            _ => {
                let is_late = self.sent.elapsed() >= PATIENCE;
                self.waiting.len() >= CROWD || is_late && !self.waiting.is_empty()
            }
        };
        self.turns += usize::from(has_a_turn);
        has_a_turn
    }
}

impl<Q, A> Desk<Q, A> {
    fn state(&self) -> MutexGuard<'_, State<Q, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether whoever left it is to take a turn.
    fn leave(&self, question: Waiting<Q, A>) -> bool {
        let mut state = self.state();
        state.waiting.push(question);
        state.take_turn()
    }

    /// The same for one who has waited.
    fn look_again(&self) -> bool {
        self.state().take_turn()
    }
}

impl<Q: Clone + Send + Sync + 'static, A: Send + 'static> Desk<Q, A> {
    /// Puts the questions together, and each alone if there is something about one of them that makes the database refuse all.
    async fn put(&self, questions: Arc<[Q]>) -> Vec<Result<A, StoreError>> {
        match (self.statement)(self.database.clone(), Arc::clone(&questions)).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(error @ StoreError::Unavailable(_)) => share(error, questions.len()),
            Err(error) if questions.len() == 1 => vec![Err(error)],
            Err(_of_one_of_them) => self.put_alone(&questions).await,
        }
    }

    async fn put_alone(&self, questions: &[Q]) -> Vec<Result<A, StoreError>> {
        let mut answers = Vec::with_capacity(questions.len());
        for question in questions {
            let alone = (self.statement)(self.database.clone(), Arc::from([question.clone()])).await;
            match alone {
                Ok(mut alone) => answers.push(alone.pop().ok_or_else(unanswered)),
                Err(error @ StoreError::Unavailable(_)) => {
                    answers.extend(share(error, questions.len() - answers.len()));
                    break;
                }
                Err(error) => answers.push(Err(error)),
            }
        }
        answers
    }
}

fn share<A>(error: StoreError, callers: usize) -> Vec<Result<A, StoreError>> {
    let error = Arc::new(error);
    (0..callers).map(|_| Err(Shared::tell(Arc::clone(&error)))).collect()
}

/// The right to put statements, one after the other, for as long as something waits.
struct Turn<Q: Send + Sync + 'static, A: Send + 'static> {
    desk: Arc<Desk<Q, A>>,
    is_over: bool,
}

impl<Q: Clone + Send + Sync + 'static, A: Send + 'static> Turn<Q, A> {
    async fn run(mut self) {
        while let Some(taken) = self.take() {
            let present = taken.into_iter().filter(|one| !one.answer.is_closed());
            let (questions, callers): (Vec<_>, Vec<_>) =
                present.map(|one| (one.question, one.answer)).unzip();
            if questions.is_empty() {
                continue;
            }
            let answers = self.desk.put(questions.into()).await;
            for (caller, answer) in callers.into_iter().zip(answers) {
                let _has_gone = caller.send(answer);
            }
        }
    }

    /// What waits. If nothing does the turn is over, in the same moment: whoever comes now takes it.
    fn take(&mut self) -> Option<Vec<Waiting<Q, A>>> {
        let mut state = self.desk.state();
        if state.waiting.is_empty() {
            state.turns -= 1;
            self.is_over = true;
            return None;
        }
        state.sent = Instant::now();
        let rest = state.waiting.len().min(TOGETHER);
        let rest = state.waiting.split_off(rest);
        Some(mem::replace(&mut state.waiting, rest))
    }
}

impl<Q: Send + Sync + 'static, A: Send + 'static> Drop for Turn<Q, A> {
    /// One who panics, or whose runtime ends, leaves what waits to the next who comes.
    fn drop(&mut self) {
        if !self.is_over {
            self.desk.state().turns -= 1;
        }
    }
}

impl<Q: Send + Sync + 'static, A: Send + 'static> Clone for Batcher<Q, A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<Q: Send + Sync + 'static, A: Send + 'static> fmt::Debug for Batcher<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
