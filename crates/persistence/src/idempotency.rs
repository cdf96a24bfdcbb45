//! Keys of repeated requests, inside the unit of work that has the effect.

use async_trait::async_trait;
use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::idempotency::{Claim, Claimed};
use subtle_domain::ports::{IdempotencyKeys, StoreError};

use crate::prepared::Prepare;
use crate::schema::idempotency_keys;
use crate::unit_of_work::PgUnitOfWork;

/// How long an answer is kept.
const KEPT: TimeDelta = TimeDelta::days(3);
/// How many that are older are cleared away by one that comes.
const SWEPT: i64 = 16;

const SWEEP: &str = "
    DELETE FROM idempotency_keys kept
    USING (
        SELECT caller, key FROM idempotency_keys WHERE created_at < $1
        ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ) AS old
    WHERE kept.caller = old.caller AND kept.key = old.key";

#[async_trait]
impl IdempotencyKeys for PgUnitOfWork {
    async fn claim(&mut self, claim: &Claim) -> Result<Claimed, StoreError> {
        let key = claim.request.key.as_str();
        // Whoever has inserted the row and not committed yet is waited for here.
        let claimed = step!(self, connection => diesel::insert_into(idempotency_keys::table)
            .values((
                idempotency_keys::caller.eq(&claim.caller),
                idempotency_keys::key.eq(key),
                idempotency_keys::fingerprint.eq(&claim.request.fingerprint[..]),
                idempotency_keys::created_at.eq(claim.at),
            ))
            .on_conflict_do_nothing()
            .execute(connection))?;
        if claimed == 1 {
            self.sweep(claim.at - KEPT).await?;
            return Ok(Claimed::First);
        }
        let known: Option<(Vec<u8>, Option<String>)> = step!(self, connection => idempotency_keys::table
            .find((&claim.caller, key))
            .select((idempotency_keys::fingerprint, idempotency_keys::answer))
            .first(connection)
            .map(OptionalExtension::optional))?;
        match known {
            Some((fingerprint, _)) if fingerprint != claim.request.fingerprint => Ok(Claimed::Taken),
            Some((_, Some(answer))) => Ok(Claimed::Answered(answer)),
            // Swept in between.
            Some((_, None)) | None => Err(StoreError::Again("the key was given up meanwhile".into())),
        }
    }

    async fn keep(&mut self, claim: &Claim, answer: &str) -> Result<(), StoreError> {
        let row = idempotency_keys::table.find((&claim.caller, claim.request.key.as_str()));
        step!(self, connection => diesel::update(row)
            .set(idempotency_keys::answer.eq(answer))
            .execute(connection))?;
        Ok(())
    }
}

impl PgUnitOfWork {
    async fn sweep(&mut self, before: Timestamp) -> Result<(), StoreError> {
        step!(self, connection => sql_query(SWEEP)
            .bind::<Timestamptz, _>(before)
            .bind::<BigInt, _>(SWEPT).prepared()
            .execute(connection))?;
        Ok(())
    }
}
