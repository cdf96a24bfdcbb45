//! The ledger inside a unit of work.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{Array, Date, Nullable, Numeric, Text, Timestamptz};
use diesel::{IntoSql, sql_query};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::billing::{BillingRecord, BillingStatus, Closing};
use subtle_domain::ids::{BillingId, UserId};
use subtle_domain::ports::{BillingRepository, StoreError};
use subtle_domain::text::Description;

use super::rows::{Columns, RecordRow};
use crate::error::corrupt;
use crate::schema::{billing_history, users};
use crate::unit_of_work::PgUnitOfWork;

/// Closes months and writes the bills of those that it has closed. In the order of users, so that two that close the same wait for
/// each other and don't lock each other out.
const CLOSE: &str = "
    WITH closing AS (
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
            AS closing (user_id, month, total, billing_id, amount, currency, status, description, created_at)
    ), closed AS (
        INSERT INTO billing_closings (user_id, month, billing_id, total_cost, closed_at)
        SELECT user_id, month, billing_id, total, coalesce(created_at, CURRENT_TIMESTAMP)
        FROM closing ORDER BY user_id, month
        ON CONFLICT DO NOTHING
        RETURNING user_id, billing_id
    ), billed AS (
        INSERT INTO billing_history (id, user_id, amount, currency, status, description, created_at)
        SELECT closing.billing_id, closing.user_id, amount, currency, status, description, created_at
        FROM closing JOIN closed ON closed.user_id = closing.user_id AND closed.billing_id = closing.billing_id
    )
    SELECT user_id FROM closed ORDER BY user_id";

#[derive(QueryableByName)]
struct Closed {
    #[diesel(sql_type = Text)]
    user_id: String,
}

#[async_trait]
impl BillingRepository for PgUnitOfWork {
    async fn add(&mut self, record: &BillingRecord) -> Result<bool, StoreError> {
        // The lock waits for an erasure that is about to commit.
        let added = step!(self, connection => users::table
            .filter(users::id.eq(record.user_id.as_str()))
            .filter(users::deleted_at.is_null())
            .select((
                record.id.as_str().into_sql::<Text>(),
                users::id,
                record.amount.value().into_sql::<Numeric>(),
                record.currency.as_str().into_sql::<Text>(),
                record.status.as_str().into_sql::<Text>(),
                record.description.as_ref().map(Description::as_str).into_sql::<Nullable<Text>>(),
                record.created_at.into_sql::<Timestamptz>(),
            ))
            .for_share()
            .insert_into(billing_history::table)
            .into_columns((
                billing_history::id,
                billing_history::user_id,
                billing_history::amount,
                billing_history::currency,
                billing_history::status,
                billing_history::description,
                billing_history::created_at,
            ))
            .execute(connection))?;
        Ok(added == 1)
    }

    async fn find(&mut self, id: &BillingId) -> Result<Option<BillingRecord>, StoreError> {
        let row: Option<RecordRow> = step!(self, connection => billing_history::table
            .find(id.as_str())
            .select(RecordRow::as_select())
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(BillingRecord::try_from).transpose()
    }

    async fn transition(
        &mut self,
        record: &BillingRecord,
        from: BillingStatus,
        to: BillingStatus,
    ) -> Result<bool, StoreError> {
        let moved = step!(self, connection => diesel::update(billing_history::table)
            .filter(billing_history::id.eq(record.id.as_str()))
            .filter(billing_history::user_id.eq(record.user_id.as_str()))
            .filter(billing_history::status.eq(from.as_str()))
            .set(billing_history::status.eq(to.as_str()))
            .execute(connection))?;
        Ok(moved == 1)
    }

    async fn close(&mut self, closings: &[Closing]) -> Result<Vec<UserId>, StoreError> {
        let columns = Columns::of(closings);
        let closed: Vec<Closed> = step!(self, connection => sql_query(CLOSE)
            .bind::<Array<Text>, _>(&columns.users)
            .bind::<Array<Date>, _>(&columns.months)
            .bind::<Array<Numeric>, _>(&columns.totals)
            .bind::<Array<Nullable<Text>>, _>(&columns.ids)
            .bind::<Array<Nullable<Numeric>>, _>(&columns.amounts)
            .bind::<Array<Nullable<Text>>, _>(&columns.currencies)
            .bind::<Array<Nullable<Text>>, _>(&columns.states)
            .bind::<Array<Nullable<Text>>, _>(&columns.descriptions)
            .bind::<Array<Nullable<Timestamptz>>, _>(&columns.times)
            .load(connection))?;
        let id = |row: Closed| {
            UserId::try_from(row.user_id).map_err(|_invalid| corrupt("billing_closings", "user_id"))
        };
        closed.into_iter().map(id).collect()
    }
}
