use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::UserId;
use subtle_domain::letter::{Letter, LetterKind};
use subtle_domain::one_time::{OneTimeRecord, Purpose};
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::session::{ClientInfo, Session};
use subtle_domain::user::User;

use crate::Ports;
use crate::throttle::notices;

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

    /// Within the unit of work that begins a session: a letter that tells of its device, if that was not seen before. Whoever makes up
    /// devices without end knows the password, and floods no mailbox.
    pub(crate) async fn tell_of_device(
        &self,
        unit: &mut dyn UnitOfWork,
        user: &User,
        session: &Session,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(rate) = &self.policy.letters
            && !unit.throttle().take(&notices(&user.id), rate, now).await?
        {
            return Ok(());
        }
        let letter = self.letter(&user.id, LetterKind::NewDevice, &user.email, &session.client, now);
        unit.outbox().add(&letter).await
    }
}
