//! Guesses at passwords, counted exactly over all replicas: the rule is [`Rate::admit`], and one upsert under the row's own lock
//! follows it.

use async_trait::async_trait;
use diesel::IntoSql;
use diesel::pg::data_types::PgInterval;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Interval, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::ports::{StoreError, Throttle, ThrottleRepository};
use subtle_domain::throttle::{Rate, RetryAfter};

use crate::pool::Database;
use crate::schema::auth_throttle;
use crate::unit_of_work::PgUnitOfWork;

diesel::define_sql_function! {
    /// The later of two moments.
    fn greatest(one: Timestamptz, other: Timestamptz) -> Timestamptz;
}
diesel::define_sql_function! {
    fn convert_to(text: Text, encoding: Text) -> Binary;
}
diesel::define_sql_function! {
    fn sha256(bytes: Binary) -> Binary;
}
diesel::define_sql_function! {
    fn encode(bytes: Binary, format: Text) -> Text;
}

/// What an account is called in the table, so that no address lies there.
#[diesel::dsl::auto_type(no_type_alias)]
fn key<'a>(account: &'a str) -> _ {
    let account = account.into_sql::<Text>();
    encode(sha256(convert_to(account, "UTF8")), "hex")
}

/// Moves a bucket on, if the rate allows; tells where to.
macro_rules! advance {
    ($connection:ident, $account:expr, $rate:expr, $now:expr) => {{
        let (rate, now): (&Rate, Timestamp) = ($rate, $now);
        let first = now + rate.interval;
        // Never before `now`, so a bucket that has run full needs no case of its own.
        let latest = now + rate.window() - rate.interval;
        let interval = PgInterval::from_microseconds(rate.interval.num_microseconds().unwrap_or(i64::MAX));
        let upsert = diesel::insert_into(auth_throttle::table)
            .values((auth_throttle::key.eq(key($account)), auth_throttle::full_at.eq(first)))
            .on_conflict(auth_throttle::key)
            .do_update()
            .set(
                auth_throttle::full_at
                    .eq(greatest(auth_throttle::full_at + interval.into_sql::<Interval>(), first)),
            );
        // By its full name, as `QueryDsl` has a method of this name for queries.
        diesel::query_dsl::methods::FilterDsl::filter(upsert, auth_throttle::full_at.le(latest))
            .returning(auth_throttle::full_at)
            .get_result($connection)
            .map(OptionalExtension::optional)
    }};
}

/// How many buckets that have run full are cleared away by one call.
const SWEPT: i64 = 16;

/// Counts guesses in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgThrottle {
    database: Database,
}

impl PgThrottle {
    /// In `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Moves the bucket on, if the rate allows; tells where to.
    async fn advance(
        &self,
        account: &str,
        rate: &Rate,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        // A second run counts a guess twice. That errs on the safe side, and only after a broken connection.
        repeatable!(self.database, connection => advance!(connection, account, rate, now))
    }

    async fn full_at(&self, account: &str) -> Result<Option<Timestamp>, StoreError> {
        repeatable!(self.database, connection => auth_throttle::table
            .filter(auth_throttle::key.eq(key(account)))
            .select(auth_throttle::full_at)
            .first(connection)
            .map(OptionalExtension::optional))
    }

    /// Clears away some buckets that say no more than a missing one does.
    async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        let bucket = diesel::alias!(auth_throttle as bucket);
        let (key, full_at) = bucket.fields((auth_throttle::key, auth_throttle::full_at));
        repeatable!(self.database, connection => {
            let full = bucket.filter(full_at.lt(now)).order(full_at).limit(SWEPT).select(key);
            diesel::delete(auth_throttle::table)
                .filter(auth_throttle::key.eq_any(full.for_update().skip_locked()))
                .execute(connection)
        })?;
        Ok(())
    }
}

#[async_trait]
impl ThrottleRepository for PgUnitOfWork {
    async fn take(&mut self, key: &str, rate: &Rate, now: Timestamp) -> Result<bool, StoreError> {
        let moved: Option<Timestamp> = step!(self, connection => advance!(connection, key, rate, now))?;
        Ok(moved.is_some())
    }
}

#[async_trait]
impl Throttle for PgThrottle {
    async fn take(
        &self,
        account: &str,
        rate: &Rate,
        now: Timestamp,
    ) -> Result<Result<(), RetryAfter>, StoreError> {
        // A rate that admits nobody would still get its first row in.
        if let Err(never) = rate.admit(None, now) {
            return Ok(Err(never));
        }
        // Between the refusal and the look at it the bucket may have been emptied: then the next try gets in.
        for _ in 0..3 {
            if let Some(full_at) = self.advance(account, rate, now).await? {
                // As many rows are made in this way as are swept, so the table stays small.
                if full_at == now + rate.interval {
                    self.sweep(now).await?;
                }
                return Ok(Ok(()));
            }
            if let Err(wait) = rate.admit(self.full_at(account).await?, now) {
                return Ok(Err(wait));
            }
        }
        Ok(Err(RetryAfter(rate.interval.to_std().unwrap_or_default())))
    }

    async fn clear(&self, account: &str) -> Result<(), StoreError> {
        repeatable!(self.database, connection => diesel::delete(auth_throttle::table)
            .filter(auth_throttle::key.eq(key(account)))
            .execute(connection))?;
        Ok(())
    }
}
