//! Identifiers: opaque text, given by the application, never reused.

use std::fmt;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 letters, digits, `_` or `-`")]
pub struct InvalidId;

/// Longest identifier, in bytes. Ours have 25; accounts that were imported may bring UUIDs.
const LONGEST: usize = 64;

fn parse(text: &str) -> Result<Box<str>, InvalidId> {
    let fits = !text.is_empty()
        && text.len() <= LONGEST
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fits { Ok(text.into()) } else { Err(InvalidId) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes 1 to 64 ASCII letters, digits, `_` or `-`.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// An account's identifier. It never changes and outlives the erasure of the person.
    UserId
}
id! {
    /// A session's identifier: the claim `sid` of its access tokens.
    SessionId
}
id! {
    /// An access token's own identifier: its claim `jti` (RFC 7519, 4.1.7).
    TokenId
}
id! {
    /// The identifier of a row in the activity timeline.
    ActivityId
}
id! {
    /// The identifier of a row in the audit trail.
    AuditId
}
id! {
    /// The identifier of a row of usage.
    UsageId
}
id! {
    /// A service key's identifier. It is no secret.
    ServiceKeyId
}
id! {
    /// The identifier of a record of the ledger.
    BillingId
}
id! {
    /// The identifier of a note on a user.
    NoteId
}
id! {
    /// The identifier of a bridge token. It is no secret.
    BridgeId
}
id! {
    /// The identifier of an event in a sync log.
    SyncEventId
}
id! {
    /// The identifier of a letter, or of what asks for one.
    LetterId
}
id! {
    /// The identifier of a token in a letter. It is no secret.
    OneTimeTokenId
}

/// A reservation's identifier. It tells whose it is, so that its row is found where the user's rows are: `<user>.<own part>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId {
    user: UserId,
    own: Box<str>,
}

impl ReservationId {
    /// Takes a user's identifier, a point and 1 to 64 letters, digits, `_` or `-`.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let (user, own) = text.split_once('.').ok_or(InvalidId)?;
        Ok(Self { user: UserId::parse(user)?, own: parse(own)? })
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// What tells it from the user's others.
    #[must_use]
    pub fn own(&self) -> &str {
        &self.own
    }
}

impl TryFrom<String> for ReservationId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.user, self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_prisma_supabase_and_ours_are_taken() {
        for text in ["cmb3x0f5e0000abcd1234efgh", "0b6a0f3e-6f0e-4b55-9d3e-0a1b2c3d4e5f", "a", "A_b-9"] {
            assert_eq!(UserId::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_reservation_tells_whose_it_is() {
        let id = ReservationId::parse("ada.r1").unwrap();
        assert_eq!((id.user().as_str(), id.own(), id.to_string().as_str()), ("ada", "r1", "ada.r1"));
        for text in ["", "r1", ".r1", "ada.", "ada.r.1", "a b.r1"] {
            assert_eq!(ReservationId::parse(text), Err(InvalidId), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", " ", "a b", "a/b", "ä", "a\0", "a\n", &"x".repeat(65)] {
            assert_eq!(UserId::parse(text), Err(InvalidId), "{text:?}");
        }
    }
}
