//! Requests under a key: the key, the effect and the answer commit together, and whoever asks again is answered as the first time.

use subtle_domain::Timestamp;
use subtle_domain::idempotency::{Claim, Claimed, Repeatable};
use subtle_domain::ports::{StoreError, UnitOfWork};

/// Another thing was asked under the key before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key was used for another request")]
pub struct KeyTaken;

/// A request that may carry a key.
#[derive(Debug, Clone)]
pub(crate) struct Once(Option<Claim>);

/// What is to be done about it.
pub(crate) enum Next {
    /// It is new: do it, and [`Once::keep`] the answer.
    Do,
    /// It was done: this was answered.
    Answer(String),
    /// Its key belongs to another request.
    Refuse(KeyTaken),
}

impl Once {
    pub(crate) fn new(caller: String, request: Option<Repeatable>, at: Timestamp) -> Self {
        Self(request.map(|request| Claim { caller, request, at }))
    }

    /// Takes the key, as the first thing in a unit of work. Whoever asks at the same time waits here for its end.
    pub(crate) async fn claim(&self, unit: &mut dyn UnitOfWork) -> Result<Next, StoreError> {
        let Some(claim) = &self.0 else { return Ok(Next::Do) };
        Ok(match unit.idempotency().claim(claim).await? {
            Claimed::First => Next::Do,
            Claimed::Answered(answer) => Next::Answer(answer),
            Claimed::Taken => Next::Refuse(KeyTaken),
        })
    }

    /// Keeps the answer, as the last thing before the commit.
    pub(crate) async fn keep(&self, unit: &mut dyn UnitOfWork, answer: &str) -> Result<(), StoreError> {
        match &self.0 {
            Some(claim) => unit.idempotency().keep(claim, answer).await,
            None => Ok(()),
        }
    }
}
