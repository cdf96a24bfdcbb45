//! Second factors and recovery codes.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::ids::UserId;
use subtle_domain::ports::{SecondFactorRepository, SecondFactors, StoreError};
use subtle_domain::second_factor::{EncryptedSecret, SecondFactor, TotpStep};
use subtle_domain::token::TokenDigest;

use crate::error::corrupt;
use crate::pool::Database;
use crate::schema::{recovery_codes, second_factors};
use crate::scope::Scope;
use crate::unit_of_work::PgUnitOfWork;

/// Second factors in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgSecondFactors {
    database: Database,
}

impl PgSecondFactors {
    /// Those of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = second_factors, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
struct Row {
    user_id: String,
    sealed: Vec<u8>,
    created_at: Timestamp,
    confirmed_at: Option<Timestamp>,
    last_step: Option<i64>,
}

impl TryFrom<Row> for SecondFactor {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            user_id: UserId::try_from(row.user_id)
                .map_err(|_invalid| corrupt("second_factors", "user_id"))?,
            encrypted: EncryptedSecret(row.sealed),
            created_at: row.created_at,
            confirmed_at: row.confirmed_at,
            last_step: row.last_step.map(TotpStep),
        })
    }
}

impl From<&SecondFactor> for Row {
    fn from(factor: &SecondFactor) -> Self {
        Self {
            user_id: factor.user_id.to_string(),
            sealed: factor.encrypted.0.clone(),
            created_at: factor.created_at,
            confirmed_at: factor.confirmed_at,
            last_step: factor.last_step.map(|TotpStep(step)| step),
        }
    }
}

#[async_trait]
impl SecondFactors for PgSecondFactors {
    async fn codes_left(&self, user: &UserId) -> Result<u32, StoreError> {
        let scope = Scope::of_reader(&self.database, user);
        let left: i64 = scoped!(self.database, scope, connection => recovery_codes::table
            .filter(recovery_codes::user_id.eq(user.as_str()))
            .count()
            .get_result(connection))?;
        u32::try_from(left).map_err(|_negative| corrupt("recovery_codes", "count"))
    }
}

#[async_trait]
impl SecondFactorRepository for PgUnitOfWork {
    async fn find(&mut self, user: &UserId) -> Result<Option<SecondFactor>, StoreError> {
        let row: Option<Row> = step!(self, connection => second_factors::table
            .find(user.as_str())
            .select(Row::as_select())
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(SecondFactor::try_from).transpose()
    }

    async fn put(&mut self, factor: &SecondFactor) -> Result<(), StoreError> {
        let row = Row::from(factor);
        step!(self, connection => diesel::insert_into(second_factors::table)
            .values(&row)
            .on_conflict(second_factors::user_id)
            .do_update()
            .set(&row)
            .execute(connection))?;
        Ok(())
    }

    async fn spend(&mut self, user: &UserId, digest: &TokenDigest) -> Result<bool, StoreError> {
        let spent = step!(self, connection => diesel::delete(recovery_codes::table)
            .filter(recovery_codes::user_id.eq(user.as_str()))
            .filter(recovery_codes::digest.eq(digest.expose()))
            .execute(connection))?;
        Ok(spent == 1)
    }

    async fn replace_codes(&mut self, user: &UserId, digests: &[TokenDigest]) -> Result<(), StoreError> {
        forget_codes(self, user).await?;
        let rows: Vec<_> = digests
            .iter()
            .map(|digest| {
                (recovery_codes::user_id.eq(user.as_str()), recovery_codes::digest.eq(digest.expose()))
            })
            .collect();
        step!(self, connection => diesel::insert_into(recovery_codes::table).values(&rows).execute(connection))?;
        Ok(())
    }

    async fn remove(&mut self, user: &UserId) -> Result<(), StoreError> {
        forget_codes(self, user).await?;
        step!(self, connection => diesel::delete(second_factors::table.find(user.as_str())).execute(connection))?;
        Ok(())
    }
}

/// Writes the factors of accounts that are new, and have none.
pub(crate) async fn add_all(unit: &mut PgUnitOfWork, factors: &[&SecondFactor]) -> Result<(), StoreError> {
    let rows: Vec<Row> = factors.iter().map(|factor| Row::from(*factor)).collect();
    step!(unit, connection => diesel::insert_into(second_factors::table).values(rows).execute(connection))?;
    Ok(())
}

async fn forget_codes(unit: &mut PgUnitOfWork, user: &UserId) -> Result<(), StoreError> {
    step!(unit, connection => diesel::delete(recovery_codes::table)
        .filter(recovery_codes::user_id.eq(user.as_str()))
        .execute(connection))?;
    Ok(())
}
