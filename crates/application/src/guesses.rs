use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ports::StoreError;
use subtle_domain::throttle::RetryAfter;

use crate::Ports;

impl Ports {
    /// Takes a guess at the password of an address before it is evaluated, or says when the next may be made.
    pub(crate) async fn take_guess(
        &self,
        email: &EmailAddress,
        now: Timestamp,
    ) -> Result<Result<(), RetryAfter>, StoreError> {
        let Some(rate) = self.policy.guesses else { return Ok(Ok(())) };
        self.guesses.take(&account(email), &rate, now).await
    }

    /// Forgets the guesses at an address: somebody knew the password. That it fails is no reason to refuse them.
    pub(crate) async fn forget_guesses(&self, email: &EmailAddress) {
        if self.policy.guesses.is_some()
            && let Err(error) = self.guesses.clear(&account(email)).await
        {
            tracing::warn!(%error, "the guesses at an account could not be forgotten");
        }
    }
}

/// One name for an account, however another program has stored its address.
fn account(email: &EmailAddress) -> String {
    email.as_str().to_lowercase()
}
