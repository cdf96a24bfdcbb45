//! Accounts inside a unit of work.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::UserId;
use subtle_domain::password::PasswordHash;
use subtle_domain::ports::{FieldCipher, NewUser, StoreError, UserRepository};
use subtle_domain::user::User;

use crate::encryption::AVATAR_URL;
use crate::prepared::Prepare;
use crate::schema::{
    admin_notes, bridge_tokens, idempotency_keys, imported_identities, mail_outbox, mail_requests,
    one_time_tokens, recovery_codes, second_factors, sync_logs, sync_places, user_activity, users,
};
use crate::unit_of_work::PgUnitOfWork;
use crate::user_row::{UserRow, lower};

/// What an account's state is made of. Its identifier and its beginning never change, its hash has ways of its own.
#[derive(AsChangeset, Insertable)]
#[diesel(table_name = users, treat_none_as_null = true)]
struct State<'a> {
    email: &'a str,
    full_name: Option<String>,
    avatar_url: Option<String>,
    subscription_tier: &'a str,
    email_verified: bool,
    updated_at: Timestamp,
    role: &'a str,
    disabled_at: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
    second_factor_at: Option<Timestamp>,
}

impl<'a> State<'a> {
    fn of(user: &'a User, cipher: &dyn FieldCipher) -> Result<Self, StoreError> {
        let avatar_url = user.avatar_url.as_ref();
        let avatar_url = avatar_url.map(|url| AVATAR_URL.keep(cipher, user.id.as_str(), url.as_str()));
        Ok(Self {
            email: user.email.as_str(),
            full_name: user.full_name.as_ref().map(|name| name.as_str().to_owned()),
            avatar_url: avatar_url.transpose()?,
            subscription_tier: user.subscription_tier.as_str(),
            email_verified: user.email_verified,
            updated_at: user.updated_at,
            role: user.role.as_str(),
            disabled_at: user.disabled_at,
            deleted_at: user.deleted_at,
            second_factor_at: user.second_factor_at,
        })
    }
}

/// Empties what records of the ledger say, but those of a month's close.
const FORGET_DESCRIPTIONS: &str = "
    UPDATE billing_history SET description = NULL
    WHERE user_id = $1 AND description IS NOT NULL
        AND id NOT IN (SELECT billing_id FROM billing_closings WHERE user_id = $1 AND billing_id IS NOT NULL)";

#[derive(Insertable)]
#[diesel(table_name = users)]
struct NewRow<'a> {
    id: &'a str,
    password_hash: &'a str,
    created_at: Timestamp,
    #[diesel(embed)]
    state: State<'a>,
}

impl<'a> NewRow<'a> {
    fn of(new: &'a NewUser, cipher: &dyn FieldCipher) -> Result<Self, StoreError> {
        Ok(Self {
            id: new.user.id.as_str(),
            password_hash: new.hash.expose(),
            created_at: new.user.created_at,
            state: State::of(&new.user, cipher)?,
        })
    }
}

/// Makes accounts; names those that were made.
pub(crate) async fn add_all(unit: &mut PgUnitOfWork, new: &[&NewUser]) -> Result<Vec<String>, StoreError> {
    let rows: Vec<NewRow<'_>> =
        new.iter().map(|new| NewRow::of(new, unit.cipher())).collect::<Result<_, _>>()?;
    step!(unit, connection => diesel::insert_into(users::table)
        .values(rows)
        .on_conflict_do_nothing()
        .returning(users::id)
        .get_results(connection))
}

/// A row that the caller holds a lock on, or believes to, is not there.
#[derive(Debug, thiserror::Error)]
#[error("there is no such account")]
struct NoAccount;

fn exactly_one(rows: usize) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::Conflict(Box::new(NoAccount))) }
}

// `FOR NO KEY UPDATE` and not `FOR UPDATE`: that would make every insert of activity wait, whose foreign key shares the row's key.
#[async_trait]
impl UserRepository for PgUnitOfWork {
    async fn add(&mut self, new: &NewUser) -> Result<bool, StoreError> {
        let row = NewRow::of(new, self.cipher())?;
        let added = step!(self, connection => diesel::insert_into(users::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(connection))?;
        Ok(added == 1)
    }

    async fn lock(&mut self, id: &UserId) -> Result<Option<User>, StoreError> {
        let row = step_as!(self, id, connection => users::table
            .find(id.as_str())
            .select(UserRow::as_select())
            .for_no_key_update()
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(|row| row.read(self.cipher())).transpose()
    }

    async fn lock_address(&mut self, email: &EmailAddress) -> Result<Option<User>, StoreError> {
        let row = step!(self, connection => users::table
            .filter(lower(users::email).eq(email.as_str()))
            .select(UserRow::as_select())
            .for_no_key_update()
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(|row| row.read(self.cipher())).transpose()
    }

    async fn save(&mut self, user: &User) -> Result<(), StoreError> {
        let state = State::of(user, self.cipher())?;
        let saved = step!(self, connection => diesel::update(users::table.find(user.id.as_str()))
            .set(state)
            .execute(connection))?;
        exactly_one(saved)
    }

    async fn replace_hash(
        &mut self,
        id: &UserId,
        from: &PasswordHash,
        to: &PasswordHash,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let replaced = step!(self, connection => diesel::update(users::table.find(id.as_str()))
            .filter(users::password_hash.eq(from.expose()))
            .set((users::password_hash.eq(to.expose()), users::updated_at.eq(now)))
            .execute(connection))?;
        Ok(replaced == 1)
    }

    async fn move_to(&mut self, user: &User) -> Result<bool, StoreError> {
        // No statement takes an address only if it is free: the index refuses it, and with that ends the transaction.
        let state = State::of(user, self.cipher())?;
        let moved = step!(self, connection => diesel::update(users::table.find(user.id.as_str()))
            .set(state)
            .execute(connection));
        match moved {
            Err(StoreError::Conflict(_)) => Ok(false),
            moved => exactly_one(moved?).map(|()| true),
        }
    }

    async fn set_hash(&mut self, id: &UserId, hash: &PasswordHash) -> Result<(), StoreError> {
        let set = step!(self, connection => diesel::update(users::table.find(id.as_str()))
            .set(users::password_hash.eq(hash.expose()))
            .execute(connection))?;
        exactly_one(set)
    }

    async fn erase_traces(&mut self, id: &UserId, email: &EmailAddress) -> Result<(), StoreError> {
        let id = id.as_str();
        // The ledger stays, but for what was written about the person: a month's close says only what was used.
        step!(self, connection => sql_query(FORGET_DESCRIPTIONS).bind::<Text, _>(id).prepared().execute(connection))?;
        step!(self, connection => diesel::delete(user_activity::table)
            .filter(user_activity::user_id.eq(id))
            .execute(connection))?;
        step!(self, connection => diesel::delete(admin_notes::table)
            .filter(admin_notes::user_id.eq(id))
            .execute(connection))?;
        step!(self, connection => diesel::delete(bridge_tokens::table)
            .filter(bridge_tokens::user_id.eq(id))
            .execute(connection))?;
        step!(self, connection => diesel::delete(sync_logs::table)
            .filter(sync_logs::user_id.eq(id))
            .execute(connection))?;
        step!(self, connection => diesel::delete(sync_places::table)
            .filter(sync_places::user_id.eq(id))
            .execute(connection))?;
        step!(self, connection => diesel::delete(mail_outbox::table)
            .filter(mail_outbox::user_id.eq(id))
            .execute(connection))?;
        step!(self, connection => diesel::delete(one_time_tokens::table)
            .filter(one_time_tokens::user_id.eq(id))
            .execute(connection))?;
        step!(self, connection => diesel::delete(second_factors::table.find(id)).execute(connection))?;
        step!(self, connection => diesel::delete(recovery_codes::table)
            .filter(recovery_codes::user_id.eq(id))
            .execute(connection))?;
        step!(self, connection => diesel::delete(imported_identities::table)
            .filter(imported_identities::user_id.eq(id))
            .execute(connection))?;
        step!(self, connection => diesel::delete(idempotency_keys::table)
            .filter(idempotency_keys::caller.eq(format!("user:{id}")))
            .execute(connection))?;
        // One that is being answered waits for this unit of work, and goes with its answer: there is nobody to write to any more.
        let request = diesel::alias!(mail_requests as request);
        let (request_id, request_email) = request.fields((mail_requests::id, mail_requests::email));
        let idle = request.filter(request_email.eq(email.as_str().to_lowercase())).select(request_id);
        step!(self, connection => diesel::delete(mail_requests::table)
            .filter(mail_requests::id.eq_any(idle.for_update().skip_locked()))
            .execute(connection))?;
        Ok(())
    }
}
