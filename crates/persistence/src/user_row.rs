//! A row of `users` as everyone here reads it.

use diesel::prelude::*;
use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::UserId;
use subtle_domain::password::PasswordHash;
use subtle_domain::ports::{Credentials, StoreError};
use subtle_domain::text::{AvatarUrl, FullName};
use subtle_domain::user::{Role, SubscriptionTier, User};

use crate::error::corrupt;
use crate::schema::users;

diesel::define_sql_function! {
    /// PostgreSQL's `lower`: what the unique index on addresses is made of.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// An account without its hash.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
pub(crate) struct UserRow {
    id: String,
    email: String,
    full_name: Option<String>,
    avatar_url: Option<String>,
    subscription_tier: String,
    email_verified: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    role: String,
    disabled_at: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
    second_factor_at: Option<Timestamp>,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let unfit = |column| move || corrupt("users", column);
        Ok(Self {
            id: UserId::try_from(row.id).map_err(|_invalid| corrupt("users", "id"))?,
            email: EmailAddress::from_stored(row.email),
            full_name: row.full_name.map(FullName::from_stored),
            avatar_url: row.avatar_url.map(AvatarUrl::from_stored),
            subscription_tier: SubscriptionTier::parse(&row.subscription_tier)
                .ok_or_else(unfit("subscription_tier"))?,
            role: Role::parse(&row.role).ok_or_else(unfit("role"))?,
            email_verified: row.email_verified,
            second_factor_at: row.second_factor_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            disabled_at: row.disabled_at,
            deleted_at: row.deleted_at,
        })
    }
}

/// An account with its hash.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
pub(crate) struct CredentialsRow {
    #[diesel(embed)]
    user: UserRow,
    password_hash: String,
}

impl TryFrom<CredentialsRow> for Credentials {
    type Error = StoreError;

    fn try_from(row: CredentialsRow) -> Result<Self, StoreError> {
        let hash = PasswordHash::parse(&row.password_hash);
        Ok(Self {
            user: row.user.try_into()?,
            hash: hash.map_err(|_invalid| corrupt("users", "password_hash"))?,
        })
    }
}
