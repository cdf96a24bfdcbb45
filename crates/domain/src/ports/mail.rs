use async_trait::async_trait;

use super::StoreError;
use crate::Timestamp;
use crate::ids::LetterId;
use crate::letter::{Letter, LetterRequest};
use crate::one_time::OneTimeRecord;
use crate::token::OneTimeToken;

/// Why a letter was not sent, in words that name no address: they are logged and kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// It may go better another time.
    #[error("{0}")]
    Yet(String),
    /// It never will.
    #[error("{0}")]
    Ever(String),
}

/// Writes letters and sends them.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends a letter; `token` is the one that its link carries, if it has one. The same letter sent twice can be told to be the same.
    async fn send<'a>(&self, letter: &Letter, token: Option<&'a OneTimeToken>) -> Result<(), NotSent>;
}

/// A letter that somebody has taken on to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenLetter {
    /// The letter.
    pub letter: Letter,
    /// What is kept of the token in it, if that is still there.
    pub token: Option<OneTimeRecord>,
    /// How often it was tried, this try included.
    pub tries: u32,
}

/// The letters that wait, a statement at a time. What became of a try is written only by who made the last one.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Notes that somebody asks for a letter. Takes as long whether there is an account of that address or not.
    async fn request(&self, request: &LetterRequest) -> Result<(), StoreError>;
    /// Whether there is something to do: a request, or a letter that is due. A read, so that idle servers write nothing.
    async fn is_waiting(&self, now: Timestamp) -> Result<bool, StoreError>;
    /// Takes on the letter that is due longest. If nothing is heard of it until `until`, it is due again.
    async fn take(&self, now: Timestamp, until: Timestamp) -> Result<Option<TakenLetter>, StoreError>;
    /// Forgets a letter: it was sent, or nobody wants it any more.
    async fn forget(&self, id: &LetterId, tries: u32) -> Result<(), StoreError>;
    /// Puts a letter off that could not be sent.
    async fn put_off(&self, id: &LetterId, tries: u32, until: Timestamp, why: &str)
    -> Result<(), StoreError>;
    /// Gives a letter up. What it was and why stays to be seen, to whom it was does not.
    async fn give_up(&self, id: &LetterId, tries: u32, now: Timestamp, why: &str) -> Result<(), StoreError>;
}

/// The letters that wait, inside a unit of work: a letter commits with its cause.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait OutboxRepository: Send {
    /// Takes the oldest request that nobody else is at.
    async fn take_request(&mut self) -> Result<Option<LetterRequest>, StoreError>;
    /// Queues a letter, which is due at once.
    async fn add(&mut self, letter: &Letter) -> Result<(), StoreError>;
}
