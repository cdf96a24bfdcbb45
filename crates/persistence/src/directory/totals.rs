//! How many accounts there are, and where in the list they lie, from the counts that triggers keep: by range of the list, tier and role.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use subtle_domain::Timestamp;
use subtle_domain::directory::{UserQuery, UserSortKey};
use subtle_domain::user::{Role, SubscriptionTier};

use super::list::{Key, Place};
use crate::prepared::Prepare;

const TOTAL: &str = "
    SELECT coalesce(sum(accounts), 0)::bigint AS accounts FROM user_range_counts
    WHERE sort = 'createdAt' AND subscription_tier = $1 AND role = $2";

/// The range whose low end is nearest before a place of the list, how many accounts come before it there, and how many there are. `above` is
/// how many are at that end or above; of a list that ascends (`$5` is false) all others come before it. Nobody was created before our era.
const LANDMARK: &str = "
    SELECT greatest(low_time, '0001-01-01Z') AS time, low_text AS text, low_id AS place_id, before, total FROM (
        SELECT low_time, low_text, low_id, total, CASE WHEN $5 THEN above ELSE total - above END AS before FROM (
            SELECT low_time, low_text, low_id, sum(accounts) OVER () AS total,
                sum(accounts) OVER (ORDER BY low_time DESC, low_text DESC, low_id DESC) AS above
            FROM user_range_counts WHERE sort = $4 AND subscription_tier = $1 AND role = $2
        ) AS counted
    ) AS ranges
    WHERE before <= $3
    ORDER BY before DESC LIMIT 1";

#[derive(QueryableByName)]
struct Total {
    #[diesel(sql_type = BigInt)]
    accounts: i64,
}

#[derive(QueryableByName)]
struct RangeRow {
    #[diesel(sql_type = Timestamptz)]
    time: Timestamp,
    #[diesel(sql_type = Text)]
    text: String,
    #[diesel(sql_type = Text)]
    place_id: String,
    #[diesel(sql_type = BigInt)]
    before: i64,
    #[diesel(sql_type = BigInt)]
    total: i64,
}

/// From where it is not far to a place of the list.
pub(super) struct Landmark {
    /// A range's low end.
    pub(super) place: Place,
    /// How many come before it.
    pub(super) before: i64,
    /// How many there are in the whole list.
    pub(super) total: i64,
}

/// The tier and role whose rows count: empty where the query does not choose.
fn counted(query: &UserQuery) -> (&'static str, &'static str) {
    (query.tier.map_or("", SubscriptionTier::as_str), query.role.map_or("", Role::as_str))
}

/// How many accounts of the query's tier and role there are.
pub(super) async fn total(query: &UserQuery, connection: &mut &AsyncPgConnection) -> QueryResult<i64> {
    let (tier, role) = counted(query);
    let total: Total = sql_query(TOTAL)
        .bind::<Text, _>(tier)
        .bind::<Text, _>(role)
        .prepared()
        .get_result(connection)
        .await?;
    Ok(total.accounts)
}

/// The low end nearest before a place of the list that so many of the query's tier and role come before; none where a list that descends
/// has not come to the first.
pub(super) async fn landmark(
    query: &UserQuery,
    skip: i64,
    connection: &mut &AsyncPgConnection,
) -> QueryResult<Option<Landmark>> {
    let (tier, role) = counted(query);
    let found: Option<RangeRow> = sql_query(LANDMARK)
        .bind::<Text, _>(tier)
        .bind::<Text, _>(role)
        .bind::<BigInt, _>(skip)
        .bind::<Text, _>(name(query.sort.key))
        .bind::<Bool, _>(query.sort.descending)
        .prepared()
        .get_result(connection)
        .await
        .optional()?;
    Ok(found.map(|RangeRow { time, text, place_id, before, total }| {
        let key = match query.sort.key {
            UserSortKey::CreatedAt => Key::Time(time),
            UserSortKey::Email | UserSortKey::FullName => Key::Text(text),
        };
        Landmark { place: Place { key, id: place_id }, before, total }
    }))
}

/// What ranges of this order are called.
fn name(key: UserSortKey) -> &'static str {
    match key {
        UserSortKey::CreatedAt => "createdAt",
        UserSortKey::Email => "email",
        UserSortKey::FullName => "fullName",
    }
}
