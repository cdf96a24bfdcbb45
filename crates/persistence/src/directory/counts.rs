//! What the accounts of one page have in the growing tables.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use subtle_domain::directory::UserRow;
use subtle_domain::user::User;

use crate::prepared::Prepare;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    user_id: String,
    #[diesel(sql_type = BigInt)]
    activity: i64,
    #[diesel(sql_type = BigInt)]
    usage: i64,
}

/// Counts by account; where nothing is there, nothing is counted.
pub(super) struct Counts(HashMap<String, Row>);

impl Counts {
    /// Counts for these accounts only, along the indexes on `user_id`: the function sees to that.
    pub(super) async fn read(ids: &[&str], connection: &mut AsyncPgConnection) -> QueryResult<Self> {
        let query = sql_query("SELECT user_id, activity, usage FROM count_user_rows($1)");
        let rows: Vec<Row> = query.bind::<Array<Text>, _>(ids).prepared().load(connection).await?;
        Ok(Self(rows.into_iter().map(|row| (row.user_id.clone(), row)).collect()))
    }

    /// An account with its counts.
    pub(super) fn row(&self, user: User) -> UserRow {
        let (activity, usage) = self.0.get(user.id.as_str()).map_or((0, 0), |row| (row.activity, row.usage));
        UserRow { user, activity, usage }
    }
}
