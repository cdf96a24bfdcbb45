use serde::Deserialize;
use subtle_domain::user::{Role, SubscriptionTier, UserChange};
use utoipa::ToSchema;

use super::super::dto::present;
use super::super::me::profile_change;
use crate::problem::{ApiError, FieldErrors};

/// What administrators may change about an account; `null` empties a field that may be empty.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ChangeUserRequest)]
pub(in crate::routes) struct ChangeRequest {
    /// 1 to 200 characters.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, example = "Ada Lovelace", min_length = 1, max_length = 200)]
    full_name: Option<Option<String>>,
    /// An `http` or `https` address.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, example = "https://example.com/ada.png", pattern = "^https?://[^/?#]", max_length = 2048)]
    avatar_url: Option<Option<String>>,
    /// `free`, `pro` or `enterprise`.
    #[schema(example = "pro", pattern = "^(free|pro|enterprise)$")]
    subscription_tier: Option<String>,
    /// `user`, `support` or `admin`.
    #[schema(example = "support", pattern = "^(user|support|admin)$")]
    role: Option<String>,
    /// Whether the address is taken as theirs.
    email_verified: Option<bool>,
}

impl ChangeRequest {
    pub(super) fn into_change(self) -> Result<UserChange, ApiError> {
        let mut errors = FieldErrors::default();
        let tier = self
            .subscription_tier
            .as_deref()
            .map(|text| SubscriptionTier::parse(text).ok_or(TIERS))
            .transpose();
        let tier = errors.take("subscriptionTier", tier);
        let role = self.role.as_deref().map(|text| Role::parse(text).ok_or(ROLES)).transpose();
        let role = errors.take("role", role);
        let (Some(subscription_tier), Some(role)) = (tier, role) else { return Err(errors.into()) };
        let profile = profile_change(self.full_name, self.avatar_url)?;
        Ok(UserChange { profile, subscription_tier, role, email_verified: self.email_verified })
    }
}

pub(super) const TIERS: &str = "must be free, pro or enterprise";
pub(super) const ROLES: &str = "must be user, support or admin";
