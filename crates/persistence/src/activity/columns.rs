//! The statements behind the log, on entries turned into columns.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, Jsonb, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityEntry;

use crate::prepared::Prepare;
use crate::schema::{user_activity, users};

/// Writes entries whose account is there and not erased. An entry that is there already is left alone, so a statement whose
/// answer was lost can be sent again.
const INSERT: &str = "
    INSERT INTO user_activity (id, user_id, action, data, created_at)
    SELECT entry.id, entry.user_id, entry.action, entry.data, entry.created_at
    FROM unnest($1, $2, $3, $4, $5) AS entry (id, user_id, action, data, created_at)
    JOIN users ON users.id = entry.user_id
    WHERE users.deleted_at IS NULL
    ON CONFLICT DO NOTHING";

/// Entries, column by column.
pub(super) struct Columns<'a> {
    ids: Vec<&'a str>,
    users: Vec<&'a str>,
    actions: Vec<&'static str>,
    data: Vec<Option<Value>>,
    times: Vec<Timestamp>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(entries: &'a [ActivityEntry]) -> Self {
        Self {
            ids: entries.iter().map(|entry| entry.id.as_str()).collect(),
            users: entries.iter().map(|entry| entry.user_id.as_str()).collect(),
            actions: entries.iter().map(|entry| entry.action.as_str()).collect(),
            data: entries.iter().map(data).collect(),
            times: entries.iter().map(|entry| entry.at).collect(),
        }
    }

    pub(super) async fn insert(&self, connection: &mut AsyncPgConnection) -> QueryResult<usize> {
        sql_query(INSERT)
            .bind::<Array<Text>, _>(&self.ids)
            .bind::<Array<Text>, _>(&self.users)
            .bind::<Array<Text>, _>(&self.actions)
            .bind::<Array<Nullable<Jsonb>>, _>(&self.data)
            .bind::<Array<Timestamptz>, _>(&self.times)
            .prepared()
            .execute(connection)
            .await
    }

    /// Deletes entries whose account was erased while they were written. The insert saw the account as it was before; its foreign
    /// key waits for the erasure to commit, but a tombstone satisfies it.
    pub(super) async fn take_back(&self, connection: &mut AsyncPgConnection) -> QueryResult<usize> {
        let erased = users::table
            .filter(users::id.eq_any(&self.users))
            .filter(users::deleted_at.is_not_null())
            .select(users::id);
        let written = user_activity::table
            .filter(user_activity::id.eq_any(&self.ids))
            .filter(user_activity::user_id.eq_any(erased));
        diesel::delete(written).execute(connection).await
    }
}

/// The details as a JSON object, if there are any.
fn data(entry: &ActivityEntry) -> Option<Value> {
    let details = entry.details.iter().map(|(name, text)| ((*name).to_owned(), Value::from(text.as_str())));
    (!entry.details.is_empty()).then(|| Value::Object(details.collect()))
}
