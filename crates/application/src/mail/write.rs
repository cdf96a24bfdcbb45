use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::UserId;
use subtle_domain::letter::{Letter, LetterKind};
use subtle_domain::one_time::{OneTimeRecord, Purpose};
use subtle_domain::ports::StoreError;
use subtle_domain::session::ClientInfo;
use subtle_domain::throttle::RetryAfter;
use subtle_domain::user::User;

use crate::Ports;

impl Ports {
    /// A letter without a link.
    pub(crate) fn letter(
        &self,
        user: &UserId,
        kind: LetterKind,
        to: &EmailAddress,
        client: &ClientInfo,
        now: Timestamp,
    ) -> Letter {
        Letter {
            id: self.ids.letter_id(),
            user_id: user.clone(),
            kind,
            recipient: to.clone(),
            token: None,
            new_email: None,
            client: client.clone(),
            created_at: now,
        }
    }

    /// A letter with a link, and what is to be kept of the token in it.
    pub(crate) fn linked_letter(
        &self,
        user: &User,
        purpose: Purpose,
        to: &EmailAddress,
        now: Timestamp,
    ) -> (OneTimeRecord, Letter) {
        let (id, salt) = (self.ids.one_time_token_id(), self.ids.salt().to_vec());
        let token = self.one_time_tokens.mint(&id, purpose, &salt);
        let record = OneTimeRecord {
            id: id.clone(),
            user_id: user.id.clone(),
            purpose,
            digest: self.one_time_tokens.digest(token.expose()),
            salt,
            email: to.clone(),
            created_at: now,
            expires_at: now + purpose.life(),
        };
        let kind = LetterKind::that_carries(purpose);
        let letter = self.letter(&user.id, kind, to, &ClientInfo::default(), now);
        (record, Letter { token: Some(id), ..letter })
    }

    /// Counts a letter that somebody asks for against what its address gets at most, or says when the next may be asked for.
    pub(crate) async fn may_write_to(
        &self,
        email: &EmailAddress,
        now: Timestamp,
    ) -> Result<Result<(), RetryAfter>, StoreError> {
        let Some(rate) = self.policy.letters else { return Ok(Ok(())) };
        self.guesses.take(&format!("letters to {}", email.as_str().to_lowercase()), &rate, now).await
    }
}
