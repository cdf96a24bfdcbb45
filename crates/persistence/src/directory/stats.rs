//! The figures over all accounts.

use chrono::{NaiveTime, TimeDelta};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use subtle_domain::Timestamp;
use subtle_domain::directory::UserStats;

use crate::prepared::Prepare;

/// What `get_user_stats()` counts, for any day: `$1` is its midnight, `$2` that of a week before. Tests hold the two equal.
const STATS: &str = "
    WITH accounts AS (
        SELECT coalesce(sum(accounts), 0)::bigint AS total,
            coalesce(sum(accounts) FILTER (WHERE day >= ($2 AT TIME ZONE 'UTC')::date), 0)::bigint AS this_week,
            coalesce(sum(accounts) FILTER (WHERE day >= ($1 AT TIME ZONE 'UTC')::date), 0)::bigint AS today
        FROM user_counts
    )
    SELECT total AS total_users,
        (SELECT coalesce(sum(accounts), 0)::bigint FROM active_user_counts
            WHERE day = ($1 AT TIME ZONE 'UTC')::date) AS active_users_today,
        this_week AS new_users_this_week,
        (SELECT coalesce(sum(events), 0)::bigint FROM usage_counts) AS total_usage_metrics,
        today AS new_users_today
    FROM accounts";

#[derive(QueryableByName)]
struct StatsRow {
    #[diesel(sql_type = BigInt)]
    total_users: i64,
    #[diesel(sql_type = BigInt)]
    active_users_today: i64,
    #[diesel(sql_type = BigInt)]
    new_users_this_week: i64,
    #[diesel(sql_type = BigInt)]
    total_usage_metrics: i64,
    #[diesel(sql_type = BigInt)]
    new_users_today: i64,
}

impl From<StatsRow> for UserStats {
    fn from(row: StatsRow) -> Self {
        Self {
            total_users: row.total_users,
            active_users_today: row.active_users_today,
            new_users_this_week: row.new_users_this_week,
            total_usage_metrics: row.total_usage_metrics,
            new_users_today: row.new_users_today,
        }
    }
}

pub(super) async fn read(now: Timestamp, connection: &mut AsyncPgConnection) -> QueryResult<UserStats> {
    let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    let row: StatsRow = sql_query(STATS)
        .bind::<Timestamptz, _>(midnight)
        .bind::<Timestamptz, _>(midnight - TimeDelta::days(7))
        .prepared()
        .get_result(connection)
        .await?;
    Ok(row.into())
}
