//! The ledger: its records, what they add up to, and the close of a month.

use async_trait::async_trait;
use bigdecimal::BigDecimal;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Date, Nullable, Numeric, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::billing::{
    BillingCursor, BillingQuery, BillingRecord, BillingStatus, BillingTotal, Closing, MonthlyCost,
};
use subtle_domain::ids::{BillingId, UserId};
use subtle_domain::money::Amount;
use subtle_domain::ports::{Billing, BillingRepository, StoreError};
use subtle_domain::text::Description;
use subtle_domain::usage::Month;

use crate::error::corrupt;
use crate::pool::Database;
use crate::prepared::Prepare;
use crate::schema::billing_history;
use crate::scope::Scope;
use crate::unit_of_work::PgUnitOfWork;

/// Sums of a month that are not closed, by user behind `$3`. Planned anew for each page: a plan that knows neither the days nor
/// where the page begins reads and sorts the whole month.
const OPEN: &str = "
    SELECT daily.user_id, sum(daily.total_cost) AS total
    FROM usage_daily daily
    LEFT JOIN billing_closings closed ON closed.user_id = daily.user_id AND closed.month = $1
    WHERE daily.day BETWEEN $1 AND $2 AND closed.user_id IS NULL AND ($3 IS NULL OR daily.user_id > $3)
    GROUP BY daily.user_id
    HAVING sum(daily.total_cost) > 0
    ORDER BY daily.user_id
    LIMIT $4";

/// Keeps usage of these users from being recorded: its rows refer to theirs. In the order of identifiers, as usage is.
const HOLD_USAGE: &str = "SELECT id FROM users WHERE id = ANY ($1) ORDER BY id FOR UPDATE";

/// Sums of a month for these users.
const COSTS: &str = "
    SELECT user_id, sum(total_cost) AS total
    FROM usage_daily
    WHERE user_id = ANY ($1) AND day BETWEEN $2 AND $3
    GROUP BY user_id
    ORDER BY user_id";

/// Closes months; makes the bills of those that were not closed before.
const CLOSE: &str = "
    WITH asked AS (
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6)
            AS asked (user_id, month, total_cost, billing_id, amount, description)
    ), closed AS (
        INSERT INTO billing_closings (user_id, month, billing_id, total_cost, closed_at)
        SELECT user_id, month, billing_id, total_cost, $7 FROM asked ORDER BY user_id, month
        ON CONFLICT DO NOTHING
        RETURNING user_id, billing_id
    ), billed AS (
        INSERT INTO billing_history (id, user_id, amount, currency, status, description, created_at)
        SELECT asked.billing_id, asked.user_id, asked.amount, 'USD', 'pending', asked.description, $7
        FROM asked JOIN closed ON closed.user_id = asked.user_id AND closed.billing_id = asked.billing_id
    )
    SELECT user_id FROM closed";

/// Writes a record of an account that is there and not erased.
const ADD: &str = "
    INSERT INTO billing_history (id, user_id, amount, currency, status, description, created_at)
    SELECT $1, id, $3, $4, $5, $6, $7 FROM users WHERE id = $2 AND deleted_at IS NULL FOR SHARE";

/// The ledger in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgBilling {
    database: Database,
}

impl PgBilling {
    /// That of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = billing_history)]
struct RecordRow {
    id: String,
    user_id: String,
    amount: BigDecimal,
    currency: String,
    status: String,
    description: Option<String>,
    created_at: Timestamp,
}

fn status(text: &str) -> Result<BillingStatus, StoreError> {
    let known = BillingStatus::ALL.into_iter().find(|status| status.as_str() == text);
    known.ok_or_else(|| corrupt("billing_history", "status"))
}

fn user(id: String, table: &'static str) -> Result<UserId, StoreError> {
    UserId::try_from(id).ok().ok_or_else(|| corrupt(table, "user_id"))
}

impl TryFrom<RecordRow> for BillingRecord {
    type Error = StoreError;

    fn try_from(row: RecordRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: BillingId::try_from(row.id).ok().ok_or_else(|| corrupt("billing_history", "id"))?,
            user_id: user(row.user_id, "billing_history")?,
            amount: Amount::from_stored(row.amount),
            currency: row.currency,
            status: status(&row.status)?,
            description: row.description.map(Description::from_stored),
            created_at: row.created_at,
        })
    }
}

#[derive(QueryableByName)]
struct CostRow {
    #[diesel(sql_type = Text)]
    user_id: String,
    #[diesel(sql_type = Numeric)]
    total: BigDecimal,
}

impl TryFrom<CostRow> for MonthlyCost {
    type Error = StoreError;

    fn try_from(row: CostRow) -> Result<Self, StoreError> {
        Ok(Self { user_id: user(row.user_id, "usage_daily")?, total: row.total })
    }
}

#[derive(QueryableByName)]
struct ClosedRow {
    #[diesel(sql_type = Text)]
    user_id: String,
}

/// Whose role looks at the ledger: that of whose records are wanted. All of them are nobody's.
fn scope(database: &Database, query: &BillingQuery) -> Option<Scope> {
    query.user_id.as_ref().and_then(|user| Scope::of_reader(database, user))
}

/// The part of the ledger that is wanted.
fn matching(query: &BillingQuery) -> billing_history::BoxedQuery<'_, diesel::pg::Pg> {
    let mut records = billing_history::table.into_boxed();
    if let Some(user) = &query.user_id {
        records = records.filter(billing_history::user_id.eq(user.as_str()));
    }
    if let Some(status) = query.status {
        records = records.filter(billing_history::status.eq(status.as_str()));
    }
    records
}

#[async_trait]
impl Billing for PgBilling {
    async fn records(
        &self,
        query: &BillingQuery,
        after: Option<BillingCursor>,
        limit: u32,
    ) -> Result<Vec<BillingRecord>, StoreError> {
        let scope = scope(&self.database, query);
        let rows: Vec<RecordRow> = scoped!(self.database, scope, connection => {
            let mut records = matching(query);
            if let Some((at, id)) = &after {
                let earlier = billing_history::created_at.lt(*at);
                // The first condition is where the index is entered; with the second alone it is walked from its start.
                records = records
                    .filter(billing_history::created_at.le(*at))
                    .filter(earlier.or(billing_history::id.lt(id.as_str())));
            }
            records
                .order((billing_history::created_at.desc(), billing_history::id.desc()))
                .limit(limit.into())
                .select(RecordRow::as_select())
                .load(connection)
        })?;
        rows.into_iter().map(BillingRecord::try_from).collect()
    }

    async fn totals(&self, query: &BillingQuery) -> Result<Vec<BillingTotal>, StoreError> {
        // Planned anew each time: of all or of one person, that makes two plans.
        const TOTALS: &str = "
            SELECT currency, status, count(*) AS records, sum(amount) AS amount FROM billing_history
            WHERE ($1 IS NULL OR user_id = $1) AND ($2 IS NULL OR status = $2)
            GROUP BY currency, status ORDER BY currency, status";
        let scope = scope(&self.database, query);
        let rows: Vec<TotalRow> = scoped!(self.database, scope, connection => sql_query(TOTALS)
            .bind::<Nullable<Text>, _>(query.user_id.as_ref().map(UserId::as_str))
            .bind::<Nullable<Text>, _>(query.status.map(BillingStatus::as_str))
            .load(connection))?;
        rows.into_iter().map(BillingTotal::try_from).collect()
    }

    async fn open_month(
        &self,
        month: Month,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<MonthlyCost>, StoreError> {
        let days = month.days();
        let rows: Vec<CostRow> = repeatable!(self.database, connection => sql_query(OPEN)
            .bind::<Date, _>(days.from)
            .bind::<Date, _>(days.to)
            .bind::<Nullable<Text>, _>(after.as_ref().map(UserId::as_str))
            .bind::<BigInt, _>(i64::from(limit))
            .load(connection))?;
        rows.into_iter().map(MonthlyCost::try_from).collect()
    }
}

#[derive(QueryableByName)]
struct TotalRow {
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = BigInt)]
    records: i64,
    #[diesel(sql_type = Numeric)]
    amount: BigDecimal,
}

impl TryFrom<TotalRow> for BillingTotal {
    type Error = StoreError;

    fn try_from(row: TotalRow) -> Result<Self, StoreError> {
        let status = status(&row.status)?;
        Ok(Self { currency: row.currency, status, records: row.records, amount: row.amount })
    }
}

#[async_trait]
impl BillingRepository for PgUnitOfWork {
    async fn add(&mut self, record: &BillingRecord) -> Result<bool, StoreError> {
        let added = step!(self, connection => sql_query(ADD)
            .bind::<Text, _>(record.id.as_str())
            .bind::<Text, _>(record.user_id.as_str())
            .bind::<Numeric, _>(record.amount.value())
            .bind::<Text, _>(&record.currency)
            .bind::<Text, _>(record.status.as_str())
            .bind::<Nullable<Text>, _>(record.description.as_ref().map(Description::as_str))
            .bind::<Timestamptz, _>(record.created_at).prepared()
            .execute(connection))?;
        Ok(added == 1)
    }

    async fn find(&mut self, id: &BillingId) -> Result<Option<BillingRecord>, StoreError> {
        let row = step!(self, connection => billing_history::table
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
        let moved = step!(self, connection => diesel::update(billing_history::table.find(record.id.as_str()))
            .filter(billing_history::user_id.eq(record.user_id.as_str()))
            .filter(billing_history::status.eq(from.as_str()))
            .set(billing_history::status.eq(to.as_str()))
            .execute(connection))?;
        Ok(moved == 1)
    }

    async fn settled_costs(
        &mut self,
        month: Month,
        users: &[UserId],
    ) -> Result<Vec<MonthlyCost>, StoreError> {
        let users: Vec<_> = users.iter().map(UserId::as_str).collect();
        step!(self, connection => sql_query(HOLD_USAGE).bind::<Array<Text>, _>(&users).prepared().execute(connection))?;
        let days = month.days();
        let rows: Vec<CostRow> = step!(self, connection => sql_query(COSTS)
            .bind::<Array<Text>, _>(&users)
            .bind::<Date, _>(days.from)
            .bind::<Date, _>(days.to).prepared()
            .load(connection))?;
        rows.into_iter().map(MonthlyCost::try_from).collect()
    }

    async fn close(&mut self, closings: &[Closing]) -> Result<Vec<UserId>, StoreError> {
        let Some(first) = closings.first() else { return Ok(Vec::new()) };
        let at = closings.iter().find_map(|closing| closing.record.as_ref()).map(|record| record.created_at);
        let users: Vec<_> = closings.iter().map(|closing| closing.cost.user_id.as_str()).collect();
        let months: Vec<_> = closings.iter().map(|closing| closing.month.days().from).collect();
        let totals: Vec<_> = closings.iter().map(|closing| &closing.cost.total).collect();
        let records: Vec<_> = closings.iter().map(|closing| closing.record.as_ref()).collect();
        let ids: Vec<_> = records.iter().map(|record| record.map(|record| record.id.as_str())).collect();
        let amounts: Vec<_> =
            records.iter().map(|record| record.map(|record| record.amount.value())).collect();
        let described =
            |record: &BillingRecord| record.description.as_ref().map(|text| text.as_str().to_owned());
        let descriptions: Vec<_> = records.iter().map(|record| record.and_then(described)).collect();
        let rows: Vec<ClosedRow> = step!(self, connection => sql_query(CLOSE)
            .bind::<Array<Text>, _>(&users)
            .bind::<Array<Date>, _>(&months)
            .bind::<Array<Numeric>, _>(&totals)
            .bind::<Array<Nullable<Text>>, _>(&ids)
            .bind::<Array<Nullable<Numeric>>, _>(&amounts)
            .bind::<Array<Nullable<Text>>, _>(&descriptions)
            .bind::<Timestamptz, _>(at.unwrap_or_else(|| first.month.end())).prepared()
            .load(connection))?;
        rows.into_iter().map(|row| user(row.user_id, "billing_closings")).collect()
    }
}
