use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::RunQueryDsl;
use subtle_domain::ports::{StoreError, UnitOfWork as _};

use super::records;
use super::seal::{self, HASH, NO_SEAL, Seal};
use super::verdict::{AuditBreach, AuditVerdict, SealedHead};
use crate::unit_of_work::{PgStore, PgUnitOfWork};

/// One moment's state of everything, however long it takes to read.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0";
/// Longest wait for one answer: that over all rows and seals grows with the trail.
const PATIENCE: Duration = Duration::from_mins(30);
/// How many seals are read at once.
const SEALS: i64 = 16;
/// How many unsealed rows are.
const ROWS: i64 = 1_000;

/// What is in no seal: rows, and names in the queue whose rows are gone.
const UNSEALED: &str = "
SELECT coalesce(a.id, q.audit_id) AS id, q.audit_id IS NOT NULL AS is_queued
FROM audit_logs a
FULL JOIN audit_unsealed q ON q.audit_id = a.id
LEFT JOIN (SELECT unnest(row_ids) AS id FROM audit_seals) s ON s.id = coalesce(a.id, q.audit_id)
WHERE s.id IS NULL AND coalesce(a.id, q.audit_id) > $1
ORDER BY 1
LIMIT $2";

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
    /// breach: in the order of seals, then among unsealed rows in that of identifiers.
    pub async fn verify(&self, head: Option<&SealedHead>) -> Result<AuditVerdict, StoreError> {
        let mut unit = self.store.open(BEGIN).await?;
        unit.be_patient(PATIENCE);
        let mut walk = Walk {
            store: &self.store,
            unit,
            head,
            rows: 0,
            seals: 0,
            unsealed: 0,
            last: None,
            unproven: None,
        };
        let breach = walk.breach().await?;
        let Walk { unit, rows, seals, unsealed, .. } = walk;
        Box::new(unit).rollback().await?;
        Ok(AuditVerdict { rows, seals, unsealed, breach })
    }
}

/// A walk along the seals, which are a chain: each has the hash of the one before. So the signature of the last one speaks for all,
/// and secrets that were given up since are not missed.
struct Walk<'a> {
    store: &'a PgStore,
    unit: PgUnitOfWork,
    head: Option<&'a SealedHead>,
    rows: u64,
    seals: u64,
    unsealed: u64,
    /// The number and hash of the seal before.
    last: Option<(i64, Vec<u8>)>,
    /// The first of the seals up to there whose signature we can't tell, with none behind them that vouches for it.
    unproven: Option<i64>,
}

type Found = Result<Option<AuditBreach>, StoreError>;

impl Walk<'_> {
    async fn breach(&mut self) -> Found {
        if let Some(head) = self.head
            && !head.is_ours(self.store.proof())
        {
            return Ok(Some(AuditBreach::HeadForeign { number: head.number }));
        }
        loop {
            let after = self.last.as_ref().map_or(i64::MIN, |(number, _)| *number);
            let seals = seal::behind(&mut self.unit, after, SEALS).await?;
            if seals.is_empty() {
                break;
            }
            for seal in &seals {
                if let Some(breach) = self.in_seal(seal).await? {
                    return Ok(Some(breach));
                }
            }
        }
        if let Some(number) = self.unproven {
            return Ok(Some(AuditBreach::SealForged { number }));
        }
        let last = self.last.as_ref().map_or(0, |(number, _)| *number);
        match self.head {
            Some(head) if head.number > last => Ok(Some(AuditBreach::CutOff { last, head: head.number })),
            _ => self.in_unsealed().await,
        }
    }

    async fn in_seal(&mut self, seal: &Seal) -> Found {
        if let Some(breach) = self.in_chain(seal) {
            return Ok(Some(breach));
        }
        let proof = self.store.proof();
        let rows = records::rows(&mut self.unit, &seal.row_ids).await?;
        let there = records::subjects_there(&mut self.unit, &rows).await?;
        for ((id, row), hash) in seal.row_ids.iter().zip(rows).zip(seal.rows_hash.chunks(HASH)) {
            let (id, number) = (id.clone(), seal.number);
            match row {
                None => return Ok(Some(AuditBreach::Removed { id, seal: Some(number) })),
                Some(row) if row.hash(proof) != hash || !row.is_linked_well(&there) => {
                    return Ok(Some(AuditBreach::Edited { id, seal: number }));
                }
                Some(_) => self.rows += 1,
            }
        }
        self.seals += 1;
        Ok(None)
    }

    /// Whether it is the seal that comes next, and ours.
    fn in_chain(&mut self, seal: &Seal) -> Option<AuditBreach> {
        let proof = self.store.proof();
        let number = seal.number;
        let (expected, previous) = match &self.last {
            Some((last, hash)) => (last + 1, hash.as_slice()),
            None => (1, NO_SEAL.as_slice()),
        };
        if number > expected {
            return Some(AuditBreach::SealMissing { number: expected });
        }
        if number < expected || !seal.is_whole() {
            return Some(AuditBreach::SealForged { number });
        }
        if seal.previous != previous {
            return Some(match self.unproven {
                Some(number) => AuditBreach::SealForged { number },
                None => AuditBreach::SealUnchained { number },
            });
        }
        if seal.is_ours(proof) {
            self.unproven = None;
        } else {
            self.unproven.get_or_insert(number);
        }
        let hash = seal.hash(proof);
        if self.head.is_some_and(|head| head.number == number && head.hash != hash) {
            return Some(AuditBreach::Rewritten { number });
        }
        self.last = Some((number, hash));
        None
    }

    async fn in_unsealed(&mut self) -> Found {
        let (proof, mut after) = (self.store.proof(), String::new());
        loop {
            let page: Vec<Unsealed> = step!(&mut self.unit, connection => diesel::sql_query(UNSEALED)
                .bind::<Text, _>(&after)
                .bind::<BigInt, _>(ROWS)
                .load(connection))?;
            let Some(end) = page.last() else { return Ok(None) };
            after.clone_from(&end.id);
            let ids: Vec<String> = page.iter().map(|unsealed| unsealed.id.clone()).collect();
            let rows = records::rows(&mut self.unit, &ids).await?;
            let there = records::subjects_there(&mut self.unit, &rows).await?;
            for (Unsealed { id, is_queued }, row) in page.into_iter().zip(rows) {
                let Some(row) = row else { return Ok(Some(AuditBreach::Removed { id, seal: None })) };
                // Before the first seal there are rows from before there were MACs.
                let is_old = self.last.is_none() && row.mac.is_none();
                if !(row.is_ours(proof) || is_old) || !row.is_linked_well(&there) {
                    return Ok(Some(AuditBreach::Foreign { id }));
                }
                if !is_queued {
                    return Ok(Some(AuditBreach::Unqueued { id }));
                }
                self.rows += 1;
                self.unsealed += 1;
            }
        }
    }
}
