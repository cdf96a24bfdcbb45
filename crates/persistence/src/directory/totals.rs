//! How many accounts there are, and where in the list they lie, from the counts that triggers keep: by range of the list, tier and role.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use subtle_domain::Timestamp;
use subtle_domain::directory::{UserQuery, UserSortKey};
use subtle_domain::user::{Role, SubscriptionTier};

use super::list::{Key, Place};
use crate::prepared::Prepare;

const TOTAL: &str = "
    SELECT coalesce(sum(accounts), 0)::bigint AS accounts FROM user_range_counts
    WHERE sort = 'createdAt' AND subscription_tier = ANY($1) AND role = ANY($2)";

/// The last range that begins at or before a place of the list, how many accounts come before it, and how many there are. Where the
/// list descends a range begins at its high end, which is the low one of the range before it.
macro_rules! range_of {
    ($direction:literal, $begins_with:literal) => {
        concat!(
            "SELECT time, text, place_id, before, total FROM (
                 SELECT lag(nullif(low_time, '-infinity'), ",
            $begins_with,
            ") OVER list AS time, lag(low_text, ",
            $begins_with,
            ") OVER list AS text, lag(low_id, ",
            $begins_with,
            ") OVER list AS place_id,
                     sum(accounts) AS accounts,
                     (sum(sum(accounts)) OVER list - sum(accounts))::bigint AS before,
                     (sum(sum(accounts)) OVER ())::bigint AS total
                 FROM user_range_counts
                 WHERE sort = $4 AND subscription_tier = ANY($1) AND role = ANY($2)
                 GROUP BY low_time, low_text, low_id
                 WINDOW list AS (ORDER BY low_time ",
            $direction,
            ", low_text ",
            $direction,
            ", low_id ",
            $direction,
            ")
             ) AS ranges
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
struct RangeRow {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    time: Option<Timestamp>,
    #[diesel(sql_type = Nullable<Text>)]
    text: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    place_id: Option<String>,
    #[diesel(sql_type = BigInt)]
    before: i64,
    #[diesel(sql_type = BigInt)]
    total: i64,
}

/// From where it is not far to a place of the list.
#[derive(Default)]
pub(super) struct Landmark {
    /// Where the range begins; `None` at the end of the list from which it is read.
    pub(super) begin: Option<Place>,
    /// How many come before it.
    pub(super) before: i64,
    /// How many there are in the whole list.
    pub(super) total: i64,
}

/// The tiers and roles whose rows count: the empty ones, which stand for all, unless the query chooses.
fn counted(query: &UserQuery) -> (Vec<&'static str>, Vec<&'static str>) {
    if query.tier.is_none() && query.role.is_none() {
        return (vec![""], vec![""]);
    }
    let tiers = query.tier.map_or_else(|| SubscriptionTier::ALL.to_vec(), |tier| vec![tier]);
    let roles = query.role.map_or_else(|| Role::ALL.to_vec(), |role| vec![role]);
    (tiers.into_iter().map(SubscriptionTier::as_str).collect(), roles.into_iter().map(Role::as_str).collect())
}

/// How many accounts of the query's tier and role there are.
pub(super) async fn total(query: &UserQuery, connection: &mut &AsyncPgConnection) -> QueryResult<i64> {
    let (tiers, roles) = counted(query);
    let total: Total = sql_query(TOTAL)
        .bind::<Array<Text>, _>(tiers)
        .bind::<Array<Text>, _>(roles)
        .prepared()
        .get_result(connection)
        .await?;
    Ok(total.accounts)
}

/// The last range's begin before `skip` accounts of the query's tier and role.
pub(super) async fn landmark(
    query: &UserQuery,
    skip: i64,
    connection: &mut &AsyncPgConnection,
) -> QueryResult<Landmark> {
    let text = if query.sort.descending { range_of!("DESC", "1") } else { range_of!("ASC", "0") };
    let (tiers, roles) = counted(query);
    let found: Option<RangeRow> = sql_query(text)
        .bind::<Array<Text>, _>(tiers)
        .bind::<Array<Text>, _>(roles)
        .bind::<BigInt, _>(skip)
        .bind::<Text, _>(name(query.sort.key))
        .prepared()
        .get_result(connection)
        .await
        .optional()?;
    let Some(RangeRow { time, text, place_id, before, total }) = found else {
        return Ok(Landmark::default());
    };
    let key = match query.sort.key {
        UserSortKey::CreatedAt => time.map(Key::Time),
        UserSortKey::Email | UserSortKey::FullName => text.map(Key::Text),
    };
    let begin = key.zip(place_id).map(|(key, id)| Place { key, id });
    Ok(Landmark { begin, before, total })
}

/// What ranges of this order are called.
fn name(key: UserSortKey) -> &'static str {
    match key {
        UserSortKey::CreatedAt => "createdAt",
        UserSortKey::Email => "email",
        UserSortKey::FullName => "fullName",
    }
}
