use subtle_domain::Timestamp;
use subtle_domain::letter::{LONGEST_TRY, Letter, TRIES, pause_after};
use subtle_domain::one_time::OneTimeRecord;
use subtle_domain::ports::{Mailer, NotSent, StoreError, TakenLetter};
use subtle_domain::token::OneTimeToken;

use crate::Ports;

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// No letter is due.
    Nothing,
    /// It was sent.
    Sent,
    /// Its token was used, has expired or was replaced: nobody wants it any more.
    Dropped,
    /// It could not be sent, and is tried again later.
    PutOff,
    /// It could not be sent, and is not tried again.
    GivenUp,
}

/// Whether there are requests to answer or letters to send.
pub async fn is_waiting(ports: &Ports) -> Result<bool, StoreError> {
    ports.outbox.is_waiting(ports.clock.now()).await
}

/// Sends the letter that is due longest. However many servers do that, each takes another one; a letter whose server dies in the middle
/// is sent again rather than never.
pub async fn deliver(ports: &Ports, mailer: &dyn Mailer) -> Result<Delivery, StoreError> {
    let now = ports.clock.now();
    let due = ports.outbox.take(now, now + LONGEST_TRY).await?;
    let Some(TakenLetter { letter, token, tries }) = due else { return Ok(Delivery::Nothing) };
    let outcome = match contents(ports, &letter, token, now) {
        Contents::Unwanted => {
            ports.outbox.forget(&letter.id, tries).await?;
            return Ok(Delivery::Dropped);
        }
        Contents::Lost => {
            Err(NotSent::Ever("the secret that made its token is not known any more".to_owned()))
        }
        Contents::Whole(_) if tries > TRIES => {
            Err(NotSent::Ever("no try came to an end that is known".to_owned()))
        }
        Contents::Whole(token) => mailer.send(&letter, token.as_ref()).await,
    };
    // A try may take a while, and the pause begins at its end.
    conclude(ports, &letter, tries, outcome, ports.clock.now()).await
}

enum Contents {
    /// With its token, if it has one.
    Whole(Option<OneTimeToken>),
    Unwanted,
    Lost,
}

fn contents(ports: &Ports, letter: &Letter, record: Option<OneTimeRecord>, now: Timestamp) -> Contents {
    if letter.kind.purpose().is_none() {
        return Contents::Whole(None);
    }
    match record.filter(|record| now < record.expires_at) {
        None => Contents::Unwanted,
        Some(record) => ports
            .one_time_tokens
            .mint_again(&record)
            .map_or(Contents::Lost, |token| Contents::Whole(Some(token))),
    }
}

async fn conclude(
    ports: &Ports,
    letter: &Letter,
    tries: u32,
    outcome: Result<(), NotSent>,
    now: Timestamp,
) -> Result<Delivery, StoreError> {
    let (id, kind) = (&letter.id, letter.kind);
    let why = match outcome {
        Ok(()) => {
            ports.outbox.forget(id, tries).await?;
            tracing::info!(letter = %id, %kind, "a letter was sent");
            return Ok(Delivery::Sent);
        }
        Err(NotSent::Yet(why)) => {
            if let Some(pause) = pause_after(tries) {
                ports.outbox.put_off(id, tries, now + pause, &why).await?;
                tracing::warn!(letter = %id, %kind, tries, why, "a letter could not be sent; it is tried again");
                return Ok(Delivery::PutOff);
            }
            why
        }
        Err(NotSent::Ever(why)) => why,
    };
    ports.outbox.give_up(id, tries, now, &why).await?;
    tracing::error!(letter = %id, %kind, user = %letter.user_id, tries, why, "a letter was given up");
    Ok(Delivery::GivenUp)
}

#[cfg(test)]
mod tests;
