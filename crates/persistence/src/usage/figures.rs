//! Reading what was used: rows along the user's index, sums from the daily rollup.

use async_trait::async_trait;
use bigdecimal::BigDecimal;
use chrono::{NaiveDate, NaiveTime};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Date, Nullable, Numeric, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use subtle_domain::Timestamp;
use subtle_domain::ids::UserId;
use subtle_domain::ports::{StoreError, UsageReports};
use subtle_domain::quota::{Limit, Metric, QuotaFigures};
use subtle_domain::usage::{Days, Month, UsageCursor, UsageGroup, UsageGrouping, UsageRow, UsageTotals};

use crate::error::corrupt;
use crate::pool::Database;
use crate::prepared::Prepare;
use crate::schema::user_usage_metrics;
use crate::scope::Scope;

/// The sums of a user's days.
const BY_DAY: &str = "
    SELECT day, sum(request_count)::bigint AS requests, sum(total_tokens)::bigint AS tokens, sum(total_cost) AS cost
    FROM usage_daily
    WHERE user_id = $1 AND day BETWEEN $2 AND $3
    GROUP BY day ORDER BY day";

/// The sums of a user's last days that begin before a moment.
const LAST_DAYS: &str = "
    SELECT day, sum(request_count)::bigint AS requests, sum(total_tokens)::bigint AS tokens, sum(total_cost) AS cost
    FROM usage_daily
    WHERE user_id = $1 AND day < $2
    GROUP BY day ORDER BY day DESC LIMIT $3";

/// The sums of a user's features, in the same order whatever the database's collation: usage without one first.
const BY_FEATURE: &str = "
    SELECT feature_type, sum(request_count)::bigint AS requests, sum(total_tokens)::bigint AS tokens,
        sum(total_cost) AS cost
    FROM usage_daily
    WHERE user_id = $1 AND day BETWEEN $2 AND $3
    GROUP BY feature_type ORDER BY feature_type COLLATE \"C\"";

/// What a user's budget is made of, seen at one moment: a row for each limit of their own, or one without any.
const QUOTA: &str = "
    WITH used AS (
        SELECT coalesce(sum(request_count), 0)::bigint AS used_requests,
            coalesce(sum(total_tokens), 0)::bigint AS used_tokens, coalesce(sum(total_cost), 0) AS used_cost
        FROM usage_daily
        WHERE user_id = $1 AND day BETWEEN $2 AND $3
    ), held AS (
        SELECT coalesce(sum(request_count), 0)::bigint AS held_requests,
            coalesce(sum(total_tokens), 0)::bigint AS held_tokens, coalesce(sum(total_cost), 0) AS held_cost
        FROM usage_reservations
        WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $4
    )
    SELECT used.*, held.*, own.metric, own.amount
    FROM used CROSS JOIN held LEFT JOIN user_quotas own ON own.user_id = $1
    ORDER BY own.metric";

/// Behind the last day of the years that are kept.
const LAST_DAY: NaiveDate = NaiveDate::from_ymd_opt(10_000, 1, 1).unwrap();

/// The first day that does not begin before a moment.
fn first_day_from(moment: Timestamp) -> NaiveDate {
    let day = moment.date_naive();
    let begins = day.and_time(NaiveTime::MIN).and_utc() == moment;
    if begins { day } else { day.succ_opt().unwrap_or(day) }
}

/// Reads usage in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgUsageReports {
    database: Database,
}

impl PgUsageReports {
    /// That of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = user_usage_metrics, check_for_backend(diesel::pg::Pg))]
struct MetricsRow {
    id: String,
    request_count: i32,
    total_tokens: i32,
    total_cost: BigDecimal,
    feature_type: Option<String>,
    created_at: Timestamp,
}

impl From<MetricsRow> for UsageRow {
    fn from(row: MetricsRow) -> Self {
        Self {
            id: row.id,
            requests: row.request_count,
            tokens: row.total_tokens,
            cost: row.total_cost,
            feature: row.feature_type,
            at: row.created_at,
        }
    }
}

#[derive(QueryableByName)]
struct Sums {
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    tokens: i64,
    #[diesel(sql_type = Numeric)]
    cost: BigDecimal,
}

impl From<Sums> for UsageTotals {
    fn from(sums: Sums) -> Self {
        Self { requests: sums.requests, tokens: sums.tokens, cost: sums.cost }
    }
}

#[derive(QueryableByName)]
struct DayRow {
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(embed)]
    sums: Sums,
}

impl From<DayRow> for (UsageGroup, UsageTotals) {
    fn from(row: DayRow) -> Self {
        (UsageGroup::Day(row.day), row.sums.into())
    }
}

#[derive(QueryableByName)]
struct FeatureRow {
    #[diesel(sql_type = Text)]
    feature_type: String,
    #[diesel(embed)]
    sums: Sums,
}

impl From<FeatureRow> for (UsageGroup, UsageTotals) {
    fn from(row: FeatureRow) -> Self {
        let feature = Some(row.feature_type).filter(|feature| !feature.is_empty());
        (UsageGroup::Feature(feature), row.sums.into())
    }
}

/// The sums, beside a limit of the user's own if there is one.
#[derive(QueryableByName)]
pub(super) struct QuotaRow {
    #[diesel(sql_type = BigInt)]
    used_requests: i64,
    #[diesel(sql_type = BigInt)]
    used_tokens: i64,
    #[diesel(sql_type = Numeric)]
    used_cost: BigDecimal,
    #[diesel(sql_type = BigInt)]
    held_requests: i64,
    #[diesel(sql_type = BigInt)]
    held_tokens: i64,
    #[diesel(sql_type = Numeric)]
    held_cost: BigDecimal,
    #[diesel(sql_type = Nullable<Text>)]
    metric: Option<String>,
    #[diesel(sql_type = Nullable<Numeric>)]
    amount: Option<BigDecimal>,
}

/// Asks for what a user's budget is made of.
pub(super) async fn quota(
    user: &UserId,
    month: Month,
    now: Timestamp,
    mut connection: &AsyncPgConnection,
) -> QueryResult<Vec<QuotaRow>> {
    let days = month.days();
    sql_query(QUOTA)
        .bind::<Text, _>(user.as_str())
        .bind::<Date, _>(days.from)
        .bind::<Date, _>(days.to)
        .bind::<Timestamptz, _>(now)
        .prepared()
        .load(&mut connection)
        .await
}

/// Puts the rows of [`quota`] together.
pub(super) fn into_quota(rows: Vec<QuotaRow>) -> Result<QuotaFigures, StoreError> {
    let mut figures = QuotaFigures::default();
    for row in rows {
        if let Some(metric) = row.metric {
            let metric = Metric::parse(&metric).ok_or_else(|| corrupt("user_quotas", "metric"))?;
            figures.own.push((metric, row.amount.map_or(Limit::Unlimited, Limit::AtMost)));
        }
        figures.used =
            UsageTotals { requests: row.used_requests, tokens: row.used_tokens, cost: row.used_cost };
        figures.reserved =
            UsageTotals { requests: row.held_requests, tokens: row.held_tokens, cost: row.held_cost };
    }
    Ok(figures)
}

#[async_trait]
impl UsageReports for PgUsageReports {
    async fn rows(
        &self,
        user: &UserId,
        after: Option<UsageCursor>,
        limit: u32,
    ) -> Result<Vec<UsageRow>, StoreError> {
        let scope = Scope::of_reader(&self.database, user);
        let rows: Vec<MetricsRow> = scoped!(self.database, scope, connection => {
            let mut query = user_usage_metrics::table
                .filter(user_usage_metrics::user_id.eq(user.as_str()))
                .order((user_usage_metrics::created_at.desc(), user_usage_metrics::id.desc()))
                .limit(limit.into())
                .select(MetricsRow::as_select())
                .into_boxed();
            if let Some((at, id)) = &after {
                let earlier = user_usage_metrics::created_at.lt(*at);
                let tied =
                    user_usage_metrics::created_at.eq(*at).and(user_usage_metrics::id.lt(id.as_str()));
                // The first of these is where the walk along the index begins: the second alone would have it start at the top.
                query = query.filter(user_usage_metrics::created_at.le(*at)).filter(earlier.or(tied));
            }
            query.load(connection)
        })?;
        Ok(rows.into_iter().map(UsageRow::from).collect())
    }

    async fn groups(
        &self,
        user: &UserId,
        days: Days,
        by: UsageGrouping,
    ) -> Result<Vec<(UsageGroup, UsageTotals)>, StoreError> {
        let asked = |text: &'static str| {
            sql_query(text)
                .bind::<Text, _>(user.as_str())
                .bind::<Date, _>(days.from)
                .bind::<Date, _>(days.to)
                .prepared()
        };
        let scope = Scope::of_reader(&self.database, user);
        match by {
            UsageGrouping::Day => {
                let rows: Vec<DayRow> =
                    scoped!(self.database, scope, connection => asked(BY_DAY).load(connection))?;
                Ok(rows.into_iter().map(Into::into).collect())
            }
            UsageGrouping::Feature => {
                let rows: Vec<FeatureRow> =
                    scoped!(self.database, scope, connection => asked(BY_FEATURE).load(connection))?;
                Ok(rows.into_iter().map(Into::into).collect())
            }
        }
    }

    async fn days(
        &self,
        user: &UserId,
        before: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<(NaiveDate, UsageTotals)>, StoreError> {
        let first_too_late = before.map_or(LAST_DAY, first_day_from);
        let scope = Scope::of_reader(&self.database, user);
        let rows: Vec<DayRow> = scoped!(self.database, scope, connection => sql_query(LAST_DAYS)
            .bind::<Text, _>(user.as_str())
            .bind::<Date, _>(first_too_late)
            .bind::<BigInt, _>(i64::from(limit)).prepared()
            .load(connection))?;
        Ok(rows.into_iter().map(|row| (row.day, row.sums.into())).collect())
    }

    async fn quota(&self, user: &UserId, month: Month, now: Timestamp) -> Result<QuotaFigures, StoreError> {
        let scope = Scope::of_reader(&self.database, user);
        into_quota(scoped!(self.database, scope, connection => quota(user, month, now, connection))?)
    }
}
