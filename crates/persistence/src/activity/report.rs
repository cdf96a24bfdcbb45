//! What other programs tell, inside a unit of work.

use std::collections::HashSet;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use subtle_domain::activity::ReportedActivity;
use subtle_domain::ports::{ActivityRepository, StoreError};

use crate::prepared::Prepare;
use crate::schema::users;
use crate::unit_of_work::PgUnitOfWork;

/// Writes rows. The documents travel as text: a parser of ours would not keep every number.
const INSERT: &str = "
    INSERT INTO user_activity (id, user_id, action, data, created_at)
    SELECT id, user_id, action, data::jsonb, created_at
    FROM unnest($1, $2, $3, $4, $5) AS told (id, user_id, action, data, created_at)";

#[async_trait]
impl ActivityRepository for PgUnitOfWork {
    async fn report(&mut self, reported: &[ReportedActivity]) -> Result<Vec<bool>, StoreError> {
        let asked: Vec<&str> = reported.iter().map(|told| told.user_id.as_str()).collect();
        // An erasure waits, or has been waited for. In the order of identifiers, as everywhere.
        let there: Vec<String> = step!(self, connection => users::table
            .filter(users::id.eq_any(&asked))
            .filter(users::deleted_at.is_null())
            .order(users::id)
            .select(users::id)
            .for_share()
            .load(connection))?;
        let there: HashSet<&str> = there.iter().map(String::as_str).collect();
        let known = || reported.iter().filter(|told| there.contains(told.user_id.as_str()));
        step!(self, connection => sql_query(INSERT)
            .bind::<Array<Text>, _>(known().map(|told| told.id.as_str()).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(known().map(|told| told.user_id.as_str()).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(known().map(|told| told.action.as_str()).collect::<Vec<_>>())
            .bind::<Array<Nullable<Text>>, _>(known().map(|told| told.data.as_deref()).collect::<Vec<_>>())
            .bind::<Array<Timestamptz>, _>(known().map(|told| told.at).collect::<Vec<_>>()).prepared()
            .execute(connection))?;
        Ok(reported.iter().map(|told| there.contains(told.user_id.as_str())).collect())
    }
}
