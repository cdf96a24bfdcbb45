//! A row of `users` as everyone here reads it.

use diesel::prelude::*;
use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::UserId;
use subtle_domain::password::PasswordHash;
use subtle_domain::ports::{Credentials, FieldCipher, StoreError};
use subtle_domain::text::{AvatarUrl, FullName};
use subtle_domain::user::{Role, SubscriptionTier, User};

use crate::encryption::AVATAR_URL;
use crate::error::corrupt;
use crate::schema::users;

diesel::define_sql_function! {
    /// PostgreSQL's `lower`: what the unique index on addresses is made of.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// An account without its hash.
#[derive(Debug, Clone, Queryable, QueryableByName, Selectable)]
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

impl UserRow {
    /// Whose it is.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The account, by the cipher of the database that it comes from.
    pub(crate) fn read(self, cipher: &dyn FieldCipher) -> Result<User, StoreError> {
        let unfit = |column| move || corrupt("users", column);
        let avatar_url = self.avatar_url.map(|kept| AVATAR_URL.read(cipher, &self.id, kept)).transpose()?;
        Ok(User {
            id: UserId::try_from(self.id).map_err(|_invalid| corrupt("users", "id"))?,
            email: EmailAddress::from_stored(self.email),
            full_name: self.full_name.map(FullName::from_stored),
            avatar_url: avatar_url.map(AvatarUrl::from_stored),
            subscription_tier: SubscriptionTier::parse(&self.subscription_tier)
                .ok_or_else(unfit("subscription_tier"))?,
            role: Role::parse(&self.role).ok_or_else(unfit("role"))?,
            email_verified: self.email_verified,
            second_factor_at: self.second_factor_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
            disabled_at: self.disabled_at,
            deleted_at: self.deleted_at,
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

impl CredentialsRow {
    /// The account and its hash, by the cipher of the database that they come from.
    pub(crate) fn read(self, cipher: &dyn FieldCipher) -> Result<Credentials, StoreError> {
        let hash = PasswordHash::parse(&self.password_hash);
        Ok(Credentials {
            user: self.user.read(cipher)?,
            hash: hash.map_err(|_invalid| corrupt("users", "password_hash"))?,
        })
    }
}
