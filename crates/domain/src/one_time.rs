//! Tokens that travel in letters, for one use: who follows the link has the mailbox.

use chrono::TimeDelta;

use crate::Timestamp;
use crate::email::EmailAddress;
use crate::ids::{OneTimeTokenId, UserId};
use crate::token::TokenDigest;
use crate::user::{User, vocabulary};

vocabulary! {
    /// What a token is good for.
    Purpose {
        /// To show that the account's address is theirs.
        VerifyEmail = "verify_email",
        /// To show that a new address is theirs, which then becomes the account's.
        ChangeEmail = "change_email",
        /// To choose a new password without the old one.
        ResetPassword = "reset_password",
    }
}

/// How long somebody waits for another letter of the same purpose.
pub const BETWEEN_LETTERS: TimeDelta = TimeDelta::minutes(1);

impl Purpose {
    /// How long its tokens are good.
    #[must_use]
    pub fn life(self) -> TimeDelta {
        match self {
            Self::VerifyEmail => TimeDelta::hours(24),
            Self::ChangeEmail | Self::ResetPassword => TimeDelta::hours(1),
        }
    }

    /// Whether `user` gets a letter of this purpose when somebody who knows no more than the address asks for one.
    #[must_use]
    pub fn is_open_to(self, user: &User) -> bool {
        user.is_active()
            && match self {
                Self::VerifyEmail => !user.email_verified,
                Self::ResetPassword => true,
                Self::ChangeEmail => false,
            }
    }
}

/// What is kept of a token: enough for the server to compute it again, too little for anybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimeRecord {
    /// Its identifier. It is no secret.
    pub id: OneTimeTokenId,
    /// Whose it is. They have at most one of each purpose.
    pub user_id: UserId,
    /// What it is good for.
    pub purpose: Purpose,
    /// The digest of the token.
    pub digest: TokenDigest,
    /// Random; the key of the token's MAC is derived from it.
    pub salt: Vec<u8>,
    /// To which mailbox it was sent.
    pub email: EmailAddress,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it is good for nothing.
    pub expires_at: Timestamp,
}

impl OneTimeRecord {
    /// Whether it may be used by `user`, whose it is, at `now`. An address that is no longer theirs lets nobody in.
    #[must_use]
    pub fn is_good(&self, user: &User, now: Timestamp) -> bool {
        let concerns = self.purpose == Purpose::ChangeEmail || user.email == self.email;
        user.id == self.user_id && user.is_active() && concerns && now < self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::tests::ada;

    fn record(purpose: Purpose) -> OneTimeRecord {
        let user = ada();
        OneTimeRecord {
            id: OneTimeTokenId::parse("t1").unwrap(),
            user_id: user.id,
            purpose,
            digest: TokenDigest::new("00"),
            salt: vec![0; 16],
            email: user.email,
            created_at: user.created_at,
            expires_at: user.created_at + purpose.life(),
        }
    }

    #[test]
    fn verification_is_good_for_a_day_and_all_else_for_an_hour() {
        for (purpose, hours) in
            [(Purpose::VerifyEmail, 24), (Purpose::ChangeEmail, 1), (Purpose::ResetPassword, 1)]
        {
            let end = ada().created_at + TimeDelta::hours(hours);
            assert!(record(purpose).is_good(&ada(), end - TimeDelta::milliseconds(1)), "{purpose}");
            assert!(!record(purpose).is_good(&ada(), end), "{purpose}");
        }
    }

    #[test]
    fn a_token_is_its_owners_alone_while_their_account_can_be_used() {
        let now = ada().created_at;
        for purpose in Purpose::ALL {
            let token = record(*purpose);
            assert!(token.is_good(&ada(), now));
            assert!(!token.is_good(&User { id: UserId::parse("bob").unwrap(), ..ada() }, now));
            assert!(!token.is_good(&User { disabled_at: Some(now), ..ada() }, now));
            assert!(!token.is_good(&User { deleted_at: Some(now), ..ada() }, now));
        }
    }

    #[test]
    fn who_has_the_old_mailbox_has_nothing_once_the_address_has_changed() {
        let now = ada().created_at;
        let moved = User { email: EmailAddress::parse("ada@new.example").unwrap(), ..ada() };
        assert!(!record(Purpose::VerifyEmail).is_good(&moved, now));
        assert!(!record(Purpose::ResetPassword).is_good(&moved, now));
        assert!(record(Purpose::ChangeEmail).is_good(&moved, now), "it speaks of an address to come");
    }

    #[test]
    fn who_asks_by_address_gets_what_makes_sense_for_the_account() {
        let now = ada().created_at;
        let open = |user: &User| Purpose::ALL.iter().map(|p| p.is_open_to(user)).collect::<Vec<_>>();
        assert_eq!(open(&ada()), [true, false, true]);
        assert_eq!(open(&User { email_verified: true, ..ada() }), [false, false, true]);
        assert_eq!(open(&User { disabled_at: Some(now), ..ada() }), [false; 3]);
        assert_eq!(open(&User { deleted_at: Some(now), ..ada() }), [false; 3]);
    }
}
