use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::email::EmailAddress;
use subtle_domain::password::{PasswordAttempt, PasswordHash};
use subtle_domain::ports::{Credentials, HasherBusy, StoreError, UnitOfWork};
use subtle_domain::second_factor::{CHALLENGE_LIFE, Challenge};
use subtle_domain::session::{ClientInfo, Session};
use subtle_domain::throttle::RetryAfter;
use subtle_domain::user::{Standing, User};

use super::{SignedIn, new_session, signed_in};
use crate::Ports;
use crate::again::again;

/// An address and a password that somebody claims to have.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The address of the account.
    pub email: EmailAddress,
    /// The claimed password.
    pub password: PasswordAttempt,
    /// Who asks.
    pub client: ClientInfo,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No such account, or not its password: nobody is told which (ASVS 6.3.8).
    #[error("the address or the password is wrong")]
    WrongCredentials,
    /// An administrator has closed the account. Only who knows its password learns that.
    #[error("the account is disabled")]
    Disabled,
    /// The password is right, and a code is needed as well: to be brought with this, see [`super::complete_sign_in`].
    #[error("a code is needed as well")]
    SecondFactorRequired(Challenge),
    /// The address must be verified first.
    #[error("the address is not verified")]
    Unverified,
    /// Too many guesses at this account, right or wrong (ASVS 6.3.1).
    #[error("too many guesses at this account")]
    TooManyGuesses(RetryAfter),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Signs somebody in by address and password.
///
/// An unknown address costs what a wrong password costs: one look-up and one verification.
pub async fn sign_in(ports: &Ports, command: SignIn) -> Result<SignedIn, SignInError> {
    let now = ports.clock.now();
    take_guess(ports, &command, now).await?;
    loop {
        let Some(credentials) = ports.accounts.credentials_of_address(&command.email).await? else {
            ports.passwords.verify_nothing(&command.password).await?;
            return Err(SignInError::WrongCredentials);
        };
        check(ports, &command, &credentials, now).await?;
        if credentials.user.second_factor_at.is_some() {
            ports.forget_guesses(&command.email, &command.client).await;
            let Some(hash) = upgraded_hash(ports, &credentials, &command.password).await else {
                // Somebody else has replaced it: decide again.
                take_guess(ports, &command, now).await?;
                continue;
            };
            ports.record(&credentials.user.id, ActivityAction::SecondFactorAsked, &command.client, now);
            let known = Credentials { hash, ..credentials };
            let challenge = ports.challenges.mint(&known, now + CHALLENGE_LIFE);
            return Err(SignInError::SecondFactorRequired(challenge));
        }
        let (session, token) = new_session(ports, &credentials.user, command.client.clone(), now);
        // Between the check and here the account may have been closed, its hash replaced or a second factor added: then decide again.
        if begin(ports, &credentials, &session, now).await? {
            ports.forget_guesses(&command.email, &command.client).await;
            upgraded_hash(ports, &credentials, &command.password).await;
            ports.make_room(&credentials.user.id, now).await;
            ports.record(&credentials.user.id, ActivityAction::SignIn, &command.client, now);
            return Ok(signed_in(ports, credentials.user, session, token, now));
        }
        take_guess(ports, &command, now).await?;
    }
}

/// Begins a session. One on a device that was not seen before commits with a letter that tells of it.
async fn begin(
    ports: &Ports,
    credentials: &Credentials,
    session: &Session,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if !ports.sessions.is_new_device(session).await? {
        return ports.sessions.begin(session, &credentials.hash).await;
    }
    again(|| async {
        let mut unit = ports.store.begin().await?;
        unit.users().lock(&session.user_id).await?;
        if begin_within(ports, unit.as_mut(), &credentials.user, session, &credentials.hash, now).await? {
            unit.commit().await.map(|()| true)
        } else {
            unit.rollback().await.map(|()| false)
        }
    })
    .await
}

/// Begins a session of an account that the unit of work has locked, with the letter that tells of its device. Of several at once on one
/// new device, the first tells. `false` if the account is closed or its hash no longer is `verified`.
pub(super) async fn begin_within(
    ports: &Ports,
    unit: &mut dyn UnitOfWork,
    user: &User,
    session: &Session,
    verified: &PasswordHash,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let is_new = unit.sessions().is_new_device(session).await?;
    let begun = unit.sessions().begin(session, verified).await?;
    if begun && is_new {
        ports.tell_of_device(unit, user, session, now).await?;
    }
    Ok(begun)
}

async fn check(
    ports: &Ports,
    command: &SignIn,
    credentials: &Credentials,
    now: Timestamp,
) -> Result<(), SignInError> {
    let refuse = |reason, error| {
        ports.record_why(
            &credentials.user.id,
            ActivityAction::SignInRefused,
            Some(reason),
            &command.client,
            now,
        );
        Err(error)
    };
    if !ports.passwords.verify(&command.password, &credentials.hash).await? {
        return refuse("wrong_password", SignInError::WrongCredentials);
    }
    match credentials.user.standing() {
        Standing::Active if ports.policy.require_verified_email && !credentials.user.email_verified => {
            refuse("unverified", SignInError::Unverified)
        }
        Standing::Active => Ok(()),
        Standing::Disabled => refuse("disabled", SignInError::Disabled),
        Standing::Erased => Err(SignInError::WrongCredentials),
    }
}

/// Counts a guess; one too many leaves a row in the timeline of the account, if there is one.
async fn take_guess(ports: &Ports, command: &SignIn, now: Timestamp) -> Result<(), SignInError> {
    let Err(wait) = ports.take_guess(&command.email, &command.client, now).await? else { return Ok(()) };
    if let Some(credentials) = ports.accounts.credentials_of_address(&command.email).await? {
        let reason = Some("too_many_guesses");
        ports.record_why(&credentials.user.id, ActivityAction::SignInRefused, reason, &command.client, now);
    }
    Err(SignInError::TooManyGuesses(wait))
}

/// Hashes the password again where the hash is cheaper than configured, and gives the hash that there is then; `None` if somebody else
/// has replaced it. That it can't be done can wait for the next sign-in.
async fn upgraded_hash(
    ports: &Ports,
    credentials: &Credentials,
    attempt: &PasswordAttempt,
) -> Option<PasswordHash> {
    let old = &credentials.hash;
    if !ports.passwords.is_outdated(old) {
        return Some(old.clone());
    }
    let Some(password) = attempt.clone().verified() else { return Some(old.clone()) };
    let Ok(new) = ports.passwords.hash(&password).await else { return Some(old.clone()) };
    match ports.accounts.replace_hash(&credentials.user.id, old, &new).await {
        Ok(is_replaced) => is_replaced.then_some(new),
        Err(error) => {
            tracing::warn!(%error, "a password hash could not be upgraded");
            Some(old.clone())
        }
    }
}

#[cfg(test)]
mod tests;
