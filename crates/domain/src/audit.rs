//! The audit trail: who used a privilege, on whom, and what it changed.

use std::net::IpAddr;

use crate::Timestamp;
use crate::ids::{AuditId, ServiceKeyId, UserId};
use crate::text::Label;
use crate::user::{User, vocabulary};

vocabulary! {
    /// A use of privilege.
    AuditAction {
        /// An account was made from the command line.
        UserCreated = "user.create",
        /// Accounts of another service were taken over from the command line.
        UsersImported = "user.import",
        /// Tier, role, profile or verification were changed; from the command line, the password too.
        UserUpdated = "user.update",
        /// An account was closed.
        UserDisabled = "user.disable",
        /// An account was opened again.
        UserEnabled = "user.enable",
        /// A person was erased.
        UserDeleted = "user.delete",
        /// Sessions of an account were ended.
        SessionsEnded = "session.end",
        /// The second factor of an account was taken away, whose owner has lost it.
        SecondFactorRemoved = "second_factor.remove",
        /// A note was written.
        NoteCreated = "note.create",
        /// A note was flagged, or its flag taken away.
        NoteUpdated = "note.update",
        /// A service key was made.
        ServiceKeyCreated = "service_key.create",
        /// A service key was made good for nothing.
        ServiceKeyRevoked = "service_key.revoke",
        /// A user was given limits of their own, or those of the tier again.
        QuotaChanged = "quota.update",
        /// A record of the ledger was made.
        BillingCreated = "billing.create",
        /// A record of the ledger went on to another state.
        BillingChanged = "billing.update",
        /// A month's usage was billed.
        BillingClosed = "billing.close",
    }
}

/// By which door somebody came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// By a request, from this address.
    Http(Option<IpAddr>),
    /// From the operator's command line.
    CommandLine,
    /// By a request with this service key, from this address. Whoever made it stands for it.
    ServiceKey(ServiceKeyId, Option<IpAddr>),
}

impl Origin {
    /// The address that it came from.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Http(address) | Self::ServiceKey(_, address) => *address,
            Self::CommandLine => None,
        }
    }
}

/// One field that changed. What identifies a person has no values here, only the fact: an audit row outlives their erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The field's name in the API.
    pub field: &'static str,
    /// What it was, where that may be kept.
    pub before: Option<String>,
    /// What it became, where that may be kept.
    pub after: Option<String>,
}

/// A row of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its identifier.
    pub id: AuditId,
    /// Who did it.
    pub actor: UserId,
    /// To whose account.
    pub subject: Option<UserId>,
    /// What was done.
    pub action: AuditAction,
    /// What it changed.
    pub changes: Vec<FieldChange>,
    /// What else tells what it was about, by name: the identifier of a record, say. Nothing that identifies a person.
    pub facts: Vec<(&'static str, String)>,
    /// From where.
    pub origin: Origin,
    /// When.
    pub at: Timestamp,
}

/// What was done to a person, as they are told it themselves: not by whom, from where, or what exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedAct {
    /// The row's identifier.
    pub id: String,
    /// What was done.
    pub action: String,
    /// When.
    pub at: Timestamp,
}

/// A row of the audit trail as it is read: other programs may have written rows too, with actions and details of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAudit {
    /// Its identifier.
    pub id: String,
    /// Who did it.
    pub actor: String,
    /// To whose account. It stays when the account's row is gone.
    pub subject: Option<String>,
    /// What was done.
    pub action: String,
    /// What it changed and was about: a JSON document, if there is one.
    pub details: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Which rows of the audit trail are wanted: those that fit all that is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Of this action, which may be another program's.
    pub action: Option<Label>,
    /// To this account.
    pub subject: Option<UserId>,
    /// By this one.
    pub actor: Option<UserId>,
    /// From this moment.
    pub from: Option<Timestamp>,
    /// Before this one.
    pub to: Option<Timestamp>,
}

/// A place in the audit trail: behind the row of that time and identifier.
pub type AuditCursor = (Timestamp, String);

/// What is different between two states of an account, in the words of the audit trail.
#[must_use]
pub fn changes(before: &User, after: &User) -> Vec<FieldChange> {
    let kept = |field, before: String, after: String| {
        (before != after).then_some(FieldChange { field, before: Some(before), after: Some(after) })
    };
    let fact = |field, changed: bool| changed.then_some(FieldChange { field, before: None, after: None });
    let standing = |user: &User| user.disabled_at.is_some().to_string();
    [
        fact("email", before.email != after.email),
        fact("fullName", before.full_name != after.full_name),
        fact("avatarUrl", before.avatar_url != after.avatar_url),
        kept("subscriptionTier", before.subscription_tier.to_string(), after.subscription_tier.to_string()),
        kept("role", before.role.to_string(), after.role.to_string()),
        kept("emailVerified", before.email_verified.to_string(), after.email_verified.to_string()),
        kept("disabled", standing(before), standing(after)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::FullName;
    use crate::user::tests::ada;
    use crate::user::{Role, SubscriptionTier};

    #[test]
    fn what_changed_is_named_with_its_values() {
        let after = User { role: Role::Admin, subscription_tier: SubscriptionTier::Pro, ..ada() };
        let told = changes(&ada(), &after);
        assert_eq!(told.iter().map(|change| change.field).collect::<Vec<_>>(), ["subscriptionTier", "role"]);
        assert_eq!(told[1].before.as_deref(), Some("user"));
        assert_eq!(told[1].after.as_deref(), Some("admin"));
    }

    #[test]
    fn what_identifies_a_person_leaves_no_value() {
        let after = User { full_name: FullName::parse("Augusta").ok(), ..ada() };
        assert_eq!(changes(&ada(), &after), [FieldChange { field: "fullName", before: None, after: None }]);
    }

    #[test]
    fn no_change_is_no_entry() {
        assert_eq!(changes(&ada(), &ada()), []);
    }
}
