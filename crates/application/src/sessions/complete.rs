use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::ports::{Credentials, StoreError};
use subtle_domain::second_factor::{Assurance, PresentedCode};
use subtle_domain::session::{ClientInfo, Session};

use super::sign_in::begin_within;
use super::{SignedIn, new_session, signed_in};
use crate::Ports;
use crate::again::again;
use crate::second_factor::CodeRefused;

/// The second step of a sign-in: a code, and what the first step gave.
#[derive(Debug, Clone)]
pub struct CompleteSignIn {
    /// What was given for the password.
    pub challenge: String,
    /// The code.
    pub code: PresentedCode,
    /// Who asks.
    pub client: ClientInfo,
}

/// Why nobody is signed in by the second step.
#[derive(Debug, thiserror::Error)]
pub enum CompleteSignInError {
    /// Not one of ours, past its time, or the password, the second factor or the account has changed since: begin again.
    #[error("the challenge is not valid")]
    InvalidChallenge,
    /// The code does not help.
    #[error(transparent)]
    Code(#[from] CodeRefused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Signs somebody in who has shown their password, and has a code. The code is used up in the same commit.
pub async fn complete_sign_in(
    ports: &Ports,
    command: CompleteSignIn,
) -> Result<SignedIn, CompleteSignInError> {
    let now = ports.clock.now();
    let challenge = ports.challenges.open(&command.challenge).filter(|challenge| now < challenge.expires_at);
    let challenge = challenge.ok_or(CompleteSignInError::InvalidChallenge)?;
    let known = ports.accounts.credentials(&challenge.user_id).await?;
    let known = known.filter(|known| ports.challenges.is_authentic(&challenge, known));
    let known = known.ok_or(CompleteSignInError::InvalidChallenge)?;
    let user = &known.user;
    ports.admit_code(&user.id, &command.code, &command.client, now).await?;
    let (session, token) = new_session(ports, user, command.client.clone(), now);
    let session = Session { assurance: Assurance::SecondFactor, ..session };
    match again(|| attempt(ports, &known, &session, &command, now)).await? {
        Outcome::Begun => {}
        Outcome::WrongCode => return Err(ports.wrong_code(&user.id, &command.client, now).into()),
        Outcome::Stale => {
            let why = Some("invalid_challenge");
            ports.record_why(&user.id, ActivityAction::SignInRefused, why, &command.client, now);
            return Err(CompleteSignInError::InvalidChallenge);
        }
    }
    ports.right_code(&user.id, &command.code, &command.client, now).await;
    ports.make_room(&user.id, now).await;
    ports.record(&user.id, ActivityAction::SignIn, &command.client, now);
    Ok(signed_in(ports, known.user, session, token, now))
}

enum Outcome {
    Begun,
    WrongCode,
    /// What the first step found is no longer so.
    Stale,
}

async fn attempt(
    ports: &Ports,
    known: &Credentials,
    session: &Session,
    command: &CompleteSignIn,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let mut unit = ports.store.begin().await?;
    let user = unit.users().lock(&known.user.id).await?;
    let asked = user.filter(|user| user.is_active() && user.second_factor_at.is_some());
    let outcome = match asked {
        None => Outcome::Stale,
        Some(user)
            if !ports.spend_code(unit.as_mut(), &user, &command.code, &command.client, now).await? =>
        {
            Outcome::WrongCode
        }
        Some(user) => {
            let begun = begin_within(ports, unit.as_mut(), &user, session, &known.hash, now);
            if begun.await? { Outcome::Begun } else { Outcome::Stale }
        }
    };
    match outcome {
        Outcome::Begun => unit.commit().await?,
        Outcome::WrongCode | Outcome::Stale => unit.rollback().await?,
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests;
