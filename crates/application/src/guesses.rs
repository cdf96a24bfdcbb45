use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ports::StoreError;
use subtle_domain::session::ClientInfo;
use subtle_domain::throttle::{Rate, RetryAfter};

use crate::Ports;
use crate::limits::subscriber;

/// How many clients' shares of guesses an account has in all.
const CLIENTS: u32 = 10;

impl Ports {
    /// Takes a guess at the password of an address before it is evaluated, or says when the next may be made.
    ///
    /// Each client has a share of its own, so that one who keeps guessing locks nobody out but themselves; and all clients together
    /// have ten shares, so that many of them don't get much further.
    pub(crate) async fn take_guess(
        &self,
        email: &EmailAddress,
        client: &ClientInfo,
        now: Timestamp,
    ) -> Result<Result<(), RetryAfter>, StoreError> {
        let Some(rate) = self.policy.guesses else { return Ok(Ok(())) };
        if let Err(wait) = self.guesses.take(&share(email, client), &rate, now).await? {
            return Ok(Err(wait));
        }
        let all = Rate { burst: rate.burst.saturating_mul(CLIENTS), interval: rate.interval / 10 };
        self.guesses.take(&account(email), &all, now).await
    }

    /// Forgets the guesses at an address: somebody knew the password. That it fails is no reason to refuse them.
    pub(crate) async fn forget_guesses(&self, email: &EmailAddress, client: &ClientInfo) {
        if self.policy.guesses.is_none() {
            return;
        }
        for key in [share(email, client), account(email)] {
            if let Err(error) = self.guesses.clear(&key).await {
                tracing::warn!(%error, "the guesses at an account could not be forgotten");
            }
        }
    }
}

/// One name for an account, however another program has stored its address.
fn account(email: &EmailAddress) -> String {
    email.as_str().to_lowercase()
}

/// One name for a client's guesses at an account.
fn share(email: &EmailAddress, client: &ClientInfo) -> String {
    of_client(&account(email), client)
}

/// A client's own share of something.
pub(crate) fn of_client(what: &str, client: &ClientInfo) -> String {
    let from = client.ip_address.map(|address| subscriber(address).to_string());
    format!("{what} from {}", from.unwrap_or_default())
}
