//! Service keys: with which a backend comes, instead of a person's session.

use std::fmt;

use crate::Timestamp;
use crate::ids::{ServiceKeyId, UserId};
use crate::text::Label;
use crate::user::vocabulary;

vocabulary! {
    /// What a key may be used for.
    Scope {
        /// To record usage.
        UsageWrite = "usage:write",
        /// To write the ledger.
        BillingWrite = "billing:write",
        /// To write timelines.
        ActivityWrite = "activity:write",
        /// To hold quota and to settle.
        QuotaWrite = "quota:write",
    }
}

/// Why a list names no scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScopes {
    /// A key without one could do nothing.
    #[error("must name at least one scope")]
    None,
    /// There is no such scope, or it is named twice.
    #[error("must be of usage:write, billing:write, activity:write and quota:write, each at most once")]
    Unknown,
}

/// What a key may be used for: one thing at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Takes the names of scopes.
    pub fn parse<T: AsRef<str>>(names: &[T]) -> Result<Self, InvalidScopes> {
        let mut scopes = Vec::new();
        for name in names {
            let scope = Scope::parse(name.as_ref()).ok_or(InvalidScopes::Unknown)?;
            if scopes.contains(&scope) {
                return Err(InvalidScopes::Unknown);
            }
            scopes.push(scope);
        }
        if scopes.is_empty() { Err(InvalidScopes::None) } else { Ok(Self(scopes)) }
    }

    /// Whether `scope` is one of them.
    #[must_use]
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Scope] {
        &self.0
    }
}

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceKey {
    /// Its identifier.
    pub id: ServiceKeyId,
    /// What administrators call it.
    pub name: Label,
    /// What it may be used for.
    pub scopes: Scopes,
    /// Who made it.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to a minute.
    pub last_used_at: Option<Timestamp>,
    /// Since when it is good for nothing, if it is.
    pub revoked_at: Option<Timestamp>,
}

/// The secret itself: `sk_` and 43 letters, digits, `_` or `-`. Does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceKeySecret(String);

impl ServiceKeySecret {
    /// What every secret begins with, so that scanners find those that leak.
    pub const PREFIX: &'static str = "sk_";

    /// Takes a text for a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ServiceKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceKeySecret(…)")
    }
}

/// SHA-256 of a secret: what the database keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServiceKeyDigest(pub [u8; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_named_once_each_and_there_is_at_least_one() {
        let scopes = Scopes::parse(&["usage:write", "quota:write"]).unwrap();
        assert!(scopes.allow(Scope::UsageWrite) && scopes.allow(Scope::QuotaWrite));
        assert!(!scopes.allow(Scope::BillingWrite));
        assert_eq!(Scopes::parse::<&str>(&[]), Err(InvalidScopes::None));
        for names in [&["usage:read"][..], &["usage:write", "usage:write"], &["*"], &[""]] {
            assert_eq!(Scopes::parse(names), Err(InvalidScopes::Unknown), "{names:?}");
        }
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = ServiceKeySecret::new("sk_abc".to_owned());
        assert_eq!(format!("{secret:?}"), "ServiceKeySecret(…)");
    }
}
