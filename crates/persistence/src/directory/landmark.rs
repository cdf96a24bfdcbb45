//! Where in the list a place lies, from the counts that triggers keep: by range of the list, tier and role.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use subtle_domain::Timestamp;
use subtle_domain::directory::{UserQuery, UserSortKey};
use subtle_domain::user::{Role, SubscriptionTier};

use super::list::{Key, Place};
use crate::prepared::Prepare;

/// Nobody was created before our era.
const LANDMARK: &str = "
    SELECT greatest(low_time, '0001-01-01Z') AS time, low_text AS text, low_id AS place_id, skipped, total
    FROM user_landmark($1, $2, $3, $4, $5)";

#[derive(QueryableByName)]
struct LandmarkRow {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    time: Option<Timestamp>,
    #[diesel(sql_type = Nullable<Text>)]
    text: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    place_id: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    skipped: Option<i64>,
    #[diesel(sql_type = BigInt)]
    total: i64,
}

/// From where it is not far to a place of the list.
pub(super) struct Landmark {
    /// A range's low end; none for the begin of a list that descends.
    pub(super) place: Option<Place>,
    /// How many come before it; none if there are not so many in the list.
    pub(super) skipped: Option<i64>,
    /// How many there are in the whole list.
    pub(super) total: i64,
}

/// The low end nearest before a place of the list that so many of the query's tier and role come before.
pub(super) async fn landmark(
    query: &UserQuery,
    skip: i64,
    connection: &mut AsyncPgConnection,
) -> QueryResult<Landmark> {
    let LandmarkRow { time, text, place_id, skipped, total } = sql_query(LANDMARK)
        .bind::<Text, _>(name(query.sort.key))
        .bind::<Bool, _>(query.sort.descending)
        .bind::<Text, _>(query.tier.map_or("", SubscriptionTier::as_str))
        .bind::<Text, _>(query.role.map_or("", Role::as_str))
        .bind::<BigInt, _>(skip)
        .prepared()
        .get_result(connection)
        .await?;
    let key = match query.sort.key {
        UserSortKey::CreatedAt => time.map(Key::Time),
        UserSortKey::Email | UserSortKey::FullName => text.map(Key::Text),
    };
    let place = key.zip(place_id).map(|(key, id)| Place { key, id });
    Ok(Landmark { place, skipped, total })
}

/// What ranges of this order are called.
fn name(key: UserSortKey) -> &'static str {
    match key {
        UserSortKey::CreatedAt => "createdAt",
        UserSortKey::Email => "email",
        UserSortKey::FullName => "fullName",
    }
}
