//! What may be done so often and no more over all replicas, and under which keys it is counted. (What need not be exact is counted in
//! memory: see [`crate::Limits`].)

use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::UserId;
use subtle_domain::one_time::Purpose;
use subtle_domain::ports::StoreError;
use subtle_domain::session::ClientInfo;
use subtle_domain::throttle::{Rate, RetryAfter};

use crate::Ports;
use crate::limits::subscriber;

/// How many clients' shares of guesses at its password an account has in all.
const GUESS_SHARES: u32 = 10;
/// How many clients' shares of letters of one purpose an address gets in all.
const LETTER_SHARES: u32 = 3;

/// Guesses at the password of an address, however another program has stored it.
fn passwords(email: &EmailAddress) -> String {
    email.as_str().to_lowercase()
}

/// Letters of a purpose that somebody asks for.
fn letters(purpose: Purpose, email: &EmailAddress) -> String {
    format!("{purpose} to {}", email.as_str().to_lowercase())
}

/// Guesses at the codes of an account's app.
fn codes(user: &UserId) -> String {
    format!("codes of {user}")
}

/// Changes of an account's second factor.
fn changes(user: &UserId) -> String {
    format!("second factor of {user}")
}

/// Notices to an account that others can bring about.
pub(crate) fn notices(user: &UserId) -> String {
    format!("notices to {user}")
}

/// A client's share of something.
fn share(of: &str, client: &ClientInfo) -> String {
    let from = client.ip_address.map(|address| subscriber(address).to_string());
    format!("{of} from {}", from.unwrap_or_default())
}

impl Ports {
    /// Takes a guess at the password of an address before it is evaluated, or says when the next may be made. One who keeps guessing
    /// locks nobody out but themselves; and many of them don't get much further.
    pub(crate) async fn take_guess(
        &self,
        email: &EmailAddress,
        client: &ClientInfo,
        now: Timestamp,
    ) -> Result<Result<(), RetryAfter>, StoreError> {
        self.take_shared(self.policy.guesses, &passwords(email), client, GUESS_SHARES, now).await
    }

    /// Forgets the guesses at an address: somebody knew the password.
    pub(crate) async fn forget_guesses(&self, email: &EmailAddress, client: &ClientInfo) {
        if self.policy.guesses.is_some() {
            let all = passwords(email);
            self.forget(&share(&all, client)).await;
            self.forget(&all).await;
        }
    }

    /// Counts a letter that somebody asks for, before anybody knows whether there will be one, or says when the next may be asked for.
    /// Nobody keeps somebody else's letters away by asking for them, and many of them don't fill a mailbox.
    pub(crate) async fn may_ask_for(
        &self,
        purpose: Purpose,
        email: &EmailAddress,
        client: &ClientInfo,
        now: Timestamp,
    ) -> Result<Result<(), RetryAfter>, StoreError> {
        self.take_shared(self.policy.letters, &letters(purpose, email), client, LETTER_SHARES, now).await
    }

    /// Takes a guess at a code of an account's app before it is evaluated. Whoever may make one knows the password: so all clients share
    /// the account's guesses, and a million codes are too many for them.
    pub(crate) async fn take_code_guess(
        &self,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Result<(), RetryAfter>, StoreError> {
        self.take(self.policy.second_factor, &codes(user), now).await
    }

    /// Forgets the guesses at a code: one was right.
    pub(crate) async fn forget_code_guesses(&self, user: &UserId) {
        if self.policy.second_factor.is_some() {
            self.forget(&codes(user)).await;
        }
    }

    /// Counts a change of a second factor by its owner: each sends a letter, to an address that may not be theirs.
    pub(crate) async fn may_change_factor(
        &self,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Result<(), RetryAfter>, StoreError> {
        self.take(self.policy.second_factor, &changes(user), now).await
    }

    async fn take(
        &self,
        rate: Option<Rate>,
        key: &str,
        now: Timestamp,
    ) -> Result<Result<(), RetryAfter>, StoreError> {
        match rate {
            Some(rate) => self.throttle.take(key, &rate, now).await,
            None => Ok(Ok(())),
        }
    }

    /// Takes from a client's own share, and from what all clients have together: so many shares.
    async fn take_shared(
        &self,
        rate: Option<Rate>,
        key: &str,
        client: &ClientInfo,
        shares: u32,
        now: Timestamp,
    ) -> Result<Result<(), RetryAfter>, StoreError> {
        if let Err(wait) = self.take(rate, &share(key, client), now).await? {
            return Ok(Err(wait));
        }
        self.take(rate.map(|rate| rate.times(shares)), key, now).await
    }

    /// That it can't be done is no reason to refuse who was right.
    async fn forget(&self, key: &str) {
        if let Err(error) = self.throttle.clear(key).await {
            tracing::warn!(%error, "what was counted could not be forgotten");
        }
    }
}
