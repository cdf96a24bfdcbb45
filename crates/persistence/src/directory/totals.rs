//! How many accounts there are, from the counts that triggers keep: by the day of their creation, tier and role.

use chrono::{Days, NaiveDate, NaiveTime};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Date, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use subtle_domain::Timestamp;
use subtle_domain::directory::UserQuery;
use subtle_domain::user::{Role, SubscriptionTier};

use crate::prepared::Prepare;

const TOTAL: &str = "
    SELECT coalesce(sum(accounts), 0)::bigint AS accounts FROM user_counts
    WHERE ($1 IS NULL OR subscription_tier = $1) AND ($2 IS NULL OR role = $2)";

/// The last day that begins at or before a place of the list, and how many accounts come before it.
macro_rules! day_of {
    ($direction:literal) => {
        concat!(
            "SELECT day, before FROM (
                 SELECT day, sum(accounts) AS accounts,
                     (sum(sum(accounts)) OVER (ORDER BY day ",
            $direction,
            ") - sum(accounts))::bigint AS before
                 FROM user_counts
                 WHERE ($1 IS NULL OR subscription_tier = $1) AND ($2 IS NULL OR role = $2)
                 GROUP BY day
             ) AS days
             WHERE before <= $3 AND accounts > 0
             ORDER BY before DESC LIMIT 1"
        )
    };
}

#[derive(QueryableByName)]
struct Total {
    #[diesel(sql_type = BigInt)]
    accounts: i64,
}

#[derive(QueryableByName)]
struct DayRow {
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = BigInt)]
    before: i64,
}

/// From where it is not far to a place of the list in the order of creation.
pub(super) struct Landmark {
    /// Who comes earlier in the list was created at this time or later, or, where the list ascends, before it.
    pub(super) bound: Timestamp,
    /// How many these are.
    pub(super) before: i64,
}

/// How many accounts of the query's tier and role there are.
pub(super) async fn total(query: &UserQuery, connection: &mut &AsyncPgConnection) -> QueryResult<i64> {
    let total: Total = sql_query(TOTAL)
        .bind::<Nullable<Text>, _>(query.tier.map(SubscriptionTier::as_str))
        .bind::<Nullable<Text>, _>(query.role.map(Role::as_str))
        .prepared()
        .get_result(connection)
        .await?;
    Ok(total.accounts)
}

/// The last day's begin before `skip` accounts of the query's tier and role; none if there are none.
pub(super) async fn landmark(
    query: &UserQuery,
    skip: i64,
    connection: &mut &AsyncPgConnection,
) -> QueryResult<Option<Landmark>> {
    let descending = query.sort.descending;
    let text = if descending { day_of!("DESC") } else { day_of!("ASC") };
    let found: Option<DayRow> = sql_query(text)
        .bind::<Nullable<Text>, _>(query.tier.map(SubscriptionTier::as_str))
        .bind::<Nullable<Text>, _>(query.role.map(Role::as_str))
        .bind::<BigInt, _>(skip)
        .prepared()
        .get_result(connection)
        .await
        .optional()?;
    Ok(found.and_then(|DayRow { day, before }| {
        let day = if descending { day.checked_add_days(Days::new(1))? } else { day };
        Some(Landmark { bound: day.and_time(NaiveTime::MIN).and_utc(), before })
    }))
}
