//! Reading in a person's activity timeline. Every statement carries the user's identifier and walks along one index.

use async_trait::async_trait;
use chrono::{NaiveTime, TimeDelta};
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use subtle_domain::Timestamp;
use subtle_domain::activity::{ActivityCursor, ActivitySummary, RecordedActivity};
use subtle_domain::ids::UserId;
use subtle_domain::ports::{StoreError, Timelines};

use crate::pool::Database;
use crate::prepared::Prepare;
use crate::schema::user_activity;
use crate::scope::Scope;

/// What `get_user_activity_summary()` tells, for any day: `$2` is the midnight of a week before. Tests hold the two equal, but that
/// this one breaks ties.
const SUMMARY: &str = "
    WITH by_action AS (SELECT action, count(*) AS events FROM user_activity WHERE user_id = $1 GROUP BY action)
    SELECT
        (SELECT coalesce(sum(events), 0)::bigint FROM by_action) AS total_actions,
        (SELECT count(*) FROM user_activity WHERE user_id = $1 AND created_at >= $2) AS actions_this_week,
        (SELECT max(created_at) FROM user_activity WHERE user_id = $1) AS last_activity,
        (SELECT action FROM by_action ORDER BY events DESC, action LIMIT 1) AS most_common_action";

/// Timelines in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgTimelines {
    database: Database,
}

impl PgTimelines {
    /// Those of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = user_activity)]
struct ActivityRow {
    id: String,
    action: String,
    // As PostgreSQL prints it: a parser of ours would not keep every number.
    #[diesel(select_expression = sql::<Nullable<Text>>("data::text"))]
    #[diesel(select_expression_type = SqlLiteral<Nullable<Text>>)]
    data: Option<String>,
    created_at: Timestamp,
}

impl From<ActivityRow> for RecordedActivity {
    fn from(row: ActivityRow) -> Self {
        Self { id: row.id, action: row.action, data: row.data, at: row.created_at }
    }
}

#[derive(QueryableByName)]
struct SummaryRow {
    #[diesel(sql_type = BigInt)]
    total_actions: i64,
    #[diesel(sql_type = BigInt)]
    actions_this_week: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_activity: Option<Timestamp>,
    #[diesel(sql_type = Nullable<Text>)]
    most_common_action: Option<String>,
}

#[async_trait]
impl Timelines for PgTimelines {
    async fn activity(
        &self,
        user: &UserId,
        after: Option<ActivityCursor>,
        limit: u32,
    ) -> Result<Vec<RecordedActivity>, StoreError> {
        let scope = Scope::of_reader(&self.database, user);
        let rows: Vec<ActivityRow> = scoped!(self.database, scope, connection => {
            let mut query = user_activity::table
                .filter(user_activity::user_id.eq(user.as_str()))
                .order((user_activity::created_at.desc(), user_activity::id.desc()))
                .limit(limit.into())
                .select(ActivityRow::as_select())
                .into_boxed();
            if let Some((at, id)) = &after {
                let earlier = user_activity::created_at.lt(*at);
                let tied = user_activity::created_at.eq(*at).and(user_activity::id.lt(id.as_str()));
                // The index is entered at the bound; the rest alone would be a filter over all that is newer.
                query = query.filter(user_activity::created_at.le(*at)).filter(earlier.or(tied));
            }
            query.prepared().load(connection)
        })?;
        Ok(rows.into_iter().map(RecordedActivity::from).collect())
    }

    async fn summary(&self, user: &UserId, now: Timestamp) -> Result<ActivitySummary, StoreError> {
        let week = now.date_naive().and_time(NaiveTime::MIN).and_utc() - TimeDelta::days(7);
        let scope = Scope::of_reader(&self.database, user);
        let row: SummaryRow = scoped!(self.database, scope, connection => sql_query(SUMMARY)
            .bind::<Text, _>(user.as_str())
            .bind::<Timestamptz, _>(week).prepared()
            .get_result(connection))?;
        Ok(ActivitySummary {
            total_actions: row.total_actions,
            actions_this_week: row.actions_this_week,
            last_activity: row.last_activity,
            most_common_action: row.most_common_action,
        })
    }
}
