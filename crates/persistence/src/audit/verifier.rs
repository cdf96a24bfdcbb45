use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use diesel_async::RunQueryDsl;
use subtle_domain::ports::{StoreError, UnitOfWork as _};
use subtle_domain::seal::{AuditBreach, Chain, Seal, SealedHead};

use super::{records, seals};
use crate::prepared::Prepare;
use crate::unit_of_work::{PgStore, PgUnitOfWork};

/// One moment's state of everything, however long it takes to read.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0";
/// Longest wait for one answer: that over all rows and seals grows with the trail.
const PATIENCE: Duration = Duration::from_mins(30);
/// How many seals are read at once.
const SEALS: i64 = 16;
/// How many unsealed rows are.
const ROWS: i64 = 1_000;

/// What is in none of the seals up to the last of the chain: rows, and names in the queue whose rows are gone.
const UNSEALED: &str = "
    SELECT coalesce(a.id, q.audit_id) AS id, q.audit_id IS NOT NULL AS is_queued
    FROM audit_logs a
    FULL JOIN audit_unsealed q ON q.audit_id = a.id
    LEFT JOIN (
        SELECT unnest(row_ids) AS id FROM audit_seals WHERE number BETWEEN 1 AND $3
    ) s ON s.id = coalesce(a.id, q.audit_id)
    WHERE s.id IS NULL AND ($1 IS NULL OR coalesce(a.id, q.audit_id) > $1)
    ORDER BY 1
    LIMIT $2";

/// What the verifier found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditVerdict {
    /// Rows that were held against their proofs, up to the first breach.
    pub rows: u64,
    /// How many of them are older than MACs: the first seals took them in as they were then.
    pub old: u64,
    /// Seals that were.
    pub seals: u64,
    /// How many of the rows no seal has yet.
    pub unsealed: u64,
    /// The first thing that is wrong.
    pub breach: Option<AuditBreach>,
}

#[derive(QueryableByName)]
struct Unsealed {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Bool)]
    is_queued: bool,
}

/// Finds out whether the audit trail is what was written.
pub struct PgAuditVerifier {
    store: PgStore,
}

impl PgAuditVerifier {
    /// Of the trail that `store` writes.
    #[must_use]
    pub fn new(store: PgStore) -> Self {
        Self { store }
    }

    /// Holds every row and every seal against its proofs, and the chain of seals against an earlier `head`. Stops at the first
    /// breach: in the order of seals, then among unsealed rows in that of identifiers. Tells `progress` of each batch.
    pub async fn verify(
        &self,
        head: Option<&SealedHead>,
        progress: &mut (dyn FnMut(&AuditVerdict) + Send),
    ) -> Result<AuditVerdict, StoreError> {
        let mut unit = self.store.open(BEGIN).await?;
        unit.be_patient(PATIENCE);
        let chain = Chain::new(self.store.proof(), head);
        let mut walk = Walk { store: &self.store, unit, chain, found: AuditVerdict::default(), progress };
        let breach = walk.breach().await?;
        let Walk { unit, found, .. } = walk;
        Box::new(unit).rollback().await?;
        Ok(AuditVerdict { breach, ..found })
    }
}

struct Walk<'a> {
    store: &'a PgStore,
    unit: PgUnitOfWork,
    chain: Chain<'a>,
    found: AuditVerdict,
    progress: &'a mut (dyn FnMut(&AuditVerdict) + Send),
}

type Found = Result<Option<AuditBreach>, StoreError>;

impl Walk<'_> {
    async fn breach(&mut self) -> Found {
        let mut after = None;
        loop {
            let seals = seals::behind(&mut self.unit, after, SEALS).await?;
            let Some(end) = seals.last() else { break };
            after = Some(end.number);
            for seal in &seals {
                if let Some(breach) = self.in_seal(seal).await? {
                    return Ok(Some(breach));
                }
            }
            (self.progress)(&self.found);
        }
        match self.chain.end() {
            Some(breach) => Ok(Some(breach)),
            None => self.in_unsealed().await,
        }
    }

    async fn in_seal(&mut self, seal: &Seal) -> Found {
        if let Some(breach) = self.chain.follow(seal) {
            return Ok(Some(breach));
        }
        let rows = records::rows(&mut self.unit, &seal.row_ids).await?;
        let there = records::subjects_there(&mut self.unit, &rows).await?;
        for (place, linked) in rows.iter().enumerate() {
            let row = linked.as_ref().map(|linked| &linked.row);
            if let Some(breach) = seal.breach_of(place, row, self.store.proof()) {
                return Ok(Some(breach));
            }
            if let Some(linked) = linked.as_ref().filter(|linked| !linked.is_linked_well(&there)) {
                return Ok(Some(AuditBreach::Relinked { id: linked.row.id.clone() }));
            }
            self.found.rows += 1;
            self.found.old += u64::from(row.is_some_and(|row| row.mac.is_none()));
        }
        self.found.seals += 1;
        Ok(None)
    }

    async fn in_unsealed(&mut self) -> Found {
        let mut after: Option<String> = None;
        loop {
            let page: Vec<Unsealed> = step!(&mut self.unit, connection => diesel::sql_query(UNSEALED)
                .bind::<Nullable<Text>, _>(&after)
                .bind::<BigInt, _>(ROWS)
                .bind::<BigInt, _>(self.chain.last()).prepared()
                .load(connection))?;
            let Some(end) = page.last() else { return Ok(None) };
            after = Some(end.id.clone());
            let ids: Vec<String> = page.iter().map(|unsealed| unsealed.id.clone()).collect();
            let rows = records::rows(&mut self.unit, &ids).await?;
            let there = records::subjects_there(&mut self.unit, &rows).await?;
            for (Unsealed { id, is_queued }, linked) in page.into_iter().zip(rows) {
                let Some(linked) = linked else { return Ok(Some(AuditBreach::Removed { id, seal: None })) };
                // Before the first seal there are rows from before there were MACs.
                let is_old = self.chain.last() == 0 && linked.row.mac.is_none();
                if !is_old && !linked.row.is_ours(self.store.proof()) {
                    return Ok(Some(AuditBreach::Foreign { id }));
                }
                if !linked.is_linked_well(&there) {
                    return Ok(Some(AuditBreach::Relinked { id }));
                }
                if !is_queued {
                    return Ok(Some(AuditBreach::Unqueued { id }));
                }
                self.found.rows += 1;
                self.found.old += u64::from(is_old);
                self.found.unsealed += 1;
            }
            (self.progress)(&self.found);
        }
    }
}
