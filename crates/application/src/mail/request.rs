use subtle_domain::email::EmailAddress;
use subtle_domain::letter::LetterRequest;
use subtle_domain::one_time::Purpose;
use subtle_domain::ports::StoreError;
use subtle_domain::session::ClientInfo;

use crate::Ports;

/// What somebody asks for who knows no more than an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestLetter {
    /// The letter that asks to verify it, once more.
    VerifyEmail,
    /// A letter with which to choose a new password.
    ResetPassword,
}

/// Notes that somebody asks for a letter. Known and unknown addresses cost the same statements, for nobody is looked up here
/// (ASVS 6.3.8); a wish too many is dropped, and nobody is told.
pub async fn request_letter(
    ports: &Ports,
    wish: RequestLetter,
    email: EmailAddress,
    client: &ClientInfo,
) -> Result<(), StoreError> {
    let at = ports.clock.now();
    let purpose = match wish {
        RequestLetter::VerifyEmail => Purpose::VerifyEmail,
        RequestLetter::ResetPassword => Purpose::ResetPassword,
    };
    if ports.may_ask_for(purpose, &email, client, at).await?.is_err() {
        return Ok(());
    }
    ports.outbox.request(&LetterRequest { id: ports.ids.letter_id(), purpose, email, at }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, NOW};
    use chrono::TimeDelta;
    use subtle_domain::throttle::{Rate, RetryAfter};

    fn somebody() -> EmailAddress {
        EmailAddress::parse("somebody@example.com").unwrap()
    }

    // The mocks of accounts, tokens and the store would fail the test if they were asked.
    #[tokio::test]
    async fn a_wish_is_noted_without_a_look_at_who_it_is() {
        let mut mocks = test_ports::Mocks::default();
        mocks
            .outbox
            .expect_request()
            .withf(|wish| {
                wish.purpose == Purpose::ResetPassword && wish.email == somebody() && wish.at == NOW
            })
            .times(1)
            .returning(|_| Ok(()));
        let client = ClientInfo::default();
        request_letter(&mocks.ports(), RequestLetter::ResetPassword, somebody(), &client).await.unwrap();
    }

    #[tokio::test]
    async fn a_wish_too_many_for_one_address_is_dropped_in_silence() {
        let mut mocks = test_ports::Mocks::default();
        mocks.policy.letters = Some(Rate { burst: 10, interval: TimeDelta::minutes(6) });
        mocks
            .throttle
            .expect_take()
            .withf(|key, _, _| key == "verify_email to somebody@example.com from 192.0.2.7")
            .times(1)
            .returning(|_, _, _| Ok(Err(RetryAfter(std::time::Duration::from_mins(6)))));
        let client = ClientInfo { ip_address: Some("192.0.2.7".parse().unwrap()), user_agent: None };
        request_letter(&mocks.ports(), RequestLetter::VerifyEmail, somebody(), &client).await.unwrap();
    }
}
