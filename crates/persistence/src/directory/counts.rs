//! What the accounts of one page have in the growing tables.

use std::collections::HashMap;

use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::future::join;
use subtle_domain::directory::UserRow;
use subtle_domain::user::User;

use crate::schema::{user_activity, user_usage_metrics};

/// Counts by account; where nothing is there, nothing is counted.
pub(super) struct Counts {
    activity: HashMap<String, i64>,
    usage: HashMap<String, i64>,
}

impl Counts {
    /// Counts for these accounts only, from the indexes on `user_id`.
    pub(super) async fn read(ids: &[&str], connection: &mut AsyncPgConnection) -> QueryResult<Self> {
        let activity = user_activity::table
            .filter(user_activity::user_id.eq_any(ids))
            .group_by(user_activity::user_id)
            .select((user_activity::user_id, count_star()));
        let usage = user_usage_metrics::table
            .filter(user_usage_metrics::user_id.eq_any(ids))
            .group_by(user_usage_metrics::user_id)
            .select((user_usage_metrics::user_id, count_star()));
        let (mut one, mut other) = (&*connection, &*connection);
        let (activity, usage) = join(activity.load(&mut one), usage.load(&mut other)).await;
        Ok(Self { activity: activity?.into_iter().collect(), usage: usage?.into_iter().collect() })
    }

    /// An account with its counts.
    pub(super) fn row(&self, user: User) -> UserRow {
        let count = |counts: &HashMap<String, i64>| counts.get(user.id.as_str()).copied().unwrap_or_default();
        UserRow { activity: count(&self.activity), usage: count(&self.usage), user }
    }
}
