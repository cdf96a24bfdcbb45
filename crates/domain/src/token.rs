//! Tokens as the rest of the house sees them: opaque, and unable to print themselves (ASVS 16.2.5).

use std::fmt;

use crate::Timestamp;
use crate::ids::{SessionId, TokenId, UserId};
use crate::second_factor::Assurance;
use crate::session::Generation;
use crate::user::Role;

macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Box<str>);

        impl $name {
            /// Wraps a token.
            #[must_use]
            pub fn new(text: impl Into<Box<str>>) -> Self {
                Self(text.into())
            }

            /// The token itself, for the one it was made for.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

opaque! {
    /// A signed access token: a JWT (RFC 9068).
    AccessToken
}
opaque! {
    /// A refresh token, opaque to clients.
    RefreshToken
}
opaque! {
    /// A bridge token, opaque to clients: good for one session, once.
    BridgeToken
}
opaque! {
    /// A token in a letter, for one use.
    OneTimeToken
}
opaque! {
    /// Shows that somebody knew the password, for as long as it takes to find a code.
    ChallengeToken
}
opaque! {
    /// Six digits from the owner's app.
    OneTimeCode
}
opaque! {
    /// A code that takes the place of the app's, once: 24 letters and digits of base32 in lower case, 120 bits (ASVS 6.5.2).
    RecoveryCode
}
opaque! {
    /// The secret that the owner's app computes codes from, in base32: shown to them once.
    TotpSecret
}
opaque! {
    /// The same as a link that apps take, most often from a picture: `otpauth://…`.
    TotpUri
}
opaque! {
    /// The SHA-256 of a token, in lower-case hexadecimal: what the database keeps of it.
    TokenDigest
}

opaque! {
    /// A secret of another service, as it is kept there: a hash, a key.
    ForeignSecret
}

impl RecoveryCode {
    /// Its letters and digits.
    pub const LENGTH: usize = 24;
}

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessClaims {
    /// `sub`: whose it is.
    pub user_id: UserId,
    /// `sid`: the session it belongs to.
    pub session_id: SessionId,
    /// `role`: what they might do when it was made. Privileged routes ask the database.
    pub role: Role,
    /// `jti`.
    pub token_id: TokenId,
    /// `amr`: how they did so.
    pub assurance: Assurance,
    /// `auth_time`: when the owner last showed that it is them (`OpenID` Connect Core, 2).
    pub authenticated_at: Timestamp,
    /// `iat` and `nbf`.
    pub issued_at: Timestamp,
    /// `exp`.
    pub expires_at: Timestamp,
}

/// Why an access token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccessToken {
    /// Past its `exp`.
    #[error("the access token has expired")]
    Expired,
    /// Its session was ended.
    #[error("the session of the access token was ended")]
    Revoked,
    /// Anything else: not ours, tampered with, of another kind.
    #[error("the access token is not valid")]
    Malformed,
}

/// What a refresh token says of itself; to be believed once its MAC has been checked.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedRefreshToken {
    /// Whose it claims to be.
    pub user_id: UserId,
    /// The session it claims to belong to.
    pub session_id: SessionId,
    /// The generation that it claims.
    pub generation: Generation,
    /// HMAC-SHA-256 over the claims.
    pub mac: [u8; 32],
}

impl fmt::Debug for PresentedRefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedRefreshToken")
            .field("user_id", &self.user_id)
            .field("session_id", &self.session_id)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// What a bridge token says of itself; to be believed once it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedBridgeToken {
    /// Whose it claims to be.
    pub user_id: UserId,
    /// Under which it is known.
    pub digest: TokenDigest,
}

/// What a challenge says of itself; to be believed once its MAC has been checked.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedChallenge {
    /// Who it claims has shown their password.
    pub user_id: UserId,
    /// From when on it is good for nothing.
    pub expires_at: Timestamp,
    /// HMAC-SHA-256 over the claims and the hash of the password that was shown.
    pub mac: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_do_not_print_themselves() {
        let tokens =
            (RefreshToken::new("rt-secret"), AccessToken::new("at-secret"), BridgeToken::new("bt-secret"));
        assert_eq!(format!("{tokens:?}"), "(RefreshToken(…), AccessToken(…), BridgeToken(…))");
        let presented = PresentedRefreshToken {
            user_id: UserId::parse("u").unwrap(),
            session_id: SessionId::parse("s").unwrap(),
            generation: Generation::FIRST,
            mac: [7; 32],
        };
        assert!(!format!("{presented:?}").contains('7'));
    }
}
