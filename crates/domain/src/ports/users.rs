use async_trait::async_trait;

use super::StoreError;
use crate::Timestamp;
use crate::email::EmailAddress;
use crate::ids::UserId;
use crate::password::PasswordHash;
use crate::user::{ProfileChange, User};

/// An account and the hash of its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account.
    pub user: User,
    /// The hash.
    pub hash: PasswordHash,
}

/// An account that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The account.
    pub user: User,
    /// The hash of its password.
    pub hash: PasswordHash,
}

/// Accounts, a statement at a time.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Accounts: Send + Sync {
    /// The account of an identifier; erased ones too.
    async fn find(&self, id: &UserId) -> Result<Option<User>, StoreError>;
    /// The account of an address, with its hash.
    async fn credentials_of_address(&self, email: &EmailAddress) -> Result<Option<Credentials>, StoreError>;
    /// The account of an identifier, with its hash.
    async fn credentials(&self, id: &UserId) -> Result<Option<Credentials>, StoreError>;
    /// Changes the profile of an active account; `None` if there is no such account.
    async fn change_profile(
        &self,
        id: &UserId,
        change: &ProfileChange,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError>;
    /// Replaces a hash, if it still is `from`.
    async fn replace_hash(
        &self,
        id: &UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<bool, StoreError>;
}

/// Accounts inside a unit of work.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait UserRepository: Send {
    /// Makes an account; `false` if its address is taken.
    async fn add(&mut self, new: &NewUser) -> Result<bool, StoreError>;
    /// The account of an identifier, erased or not, which nobody else changes before this unit of work ends.
    async fn lock(&mut self, id: &UserId) -> Result<Option<User>, StoreError>;
    /// The account of an address, likewise.
    async fn lock_address(&mut self, email: &EmailAddress) -> Result<Option<User>, StoreError>;
    /// Writes an account's state.
    async fn save(&mut self, user: &User) -> Result<(), StoreError>;
    /// Replaces a hash and the time of the last change, if the hash still is `from`.
    async fn replace_hash(
        &mut self,
        id: &UserId,
        from: &PasswordHash,
        to: &PasswordHash,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Gives an account that the caller has locked another address, which is verified; `false` if somebody has it. Then all that is left
    /// to the unit of work is to be rolled back.
    async fn move_to(&mut self, user: &User) -> Result<bool, StoreError>;
    /// Sets a hash.
    async fn set_hash(&mut self, id: &UserId, hash: &PasswordHash) -> Result<(), StoreError>;
    /// Deletes what is about the person, who had that address, and no part of the books: activity, notes on them, hand-off and sync
    /// data, letters to them and the tokens in those.
    async fn erase_traces(&mut self, id: &UserId, email: &EmailAddress) -> Result<(), StoreError>;
}
