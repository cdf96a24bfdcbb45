use std::collections::HashSet;

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use subtle_domain::Timestamp;
use subtle_domain::ports::{StoreError, UnitOfWork as _};

use super::records::{self, Row};
use super::seal::{self, NO_SEAL, Seal};
use super::verdict::SealedHead;
use crate::schema::{audit_seals, audit_unsealed};
use crate::unit_of_work::{PgStore, PgUnitOfWork};

diesel::define_sql_function! {
    fn pg_try_advisory_xact_lock(key: BigInt) -> diesel::sql_types::Bool;
}

/// "seal" in ASCII: the advisory lock that one who seals holds.
const LOCK: i64 = 1_936_023_916;
/// How many rows one seal has at most.
const CHUNK: i64 = 1_000;
/// How many rows that can't be sealed are remembered, so that each is told once.
const REMEMBERED: usize = 10_000;

/// Binds what was committed to the audit trail into seals.
pub struct PgAuditSealer {
    store: PgStore,
    /// Until the first seal of this process, or what was in its place.
    starting: bool,
    told: HashSet<String>,
}

impl PgAuditSealer {
    /// Seals the trail that `store` writes.
    #[must_use]
    pub fn new(store: PgStore) -> Self {
        Self { store, starting: true, told: HashSet::new() }
    }

    /// Seals what is committed and unsealed; tells how many rows that were. None while another server is at it.
    ///
    /// A row that carries no MAC of ours is left out and logged. Only the first call of all takes rows without any: they are
    /// older than MACs. The very first seal is empty, so that nothing that comes later passes for old.
    ///
    /// After a rotation of secrets the new one seals at once, if need be nothing, while the older one is still known: the verifier
    /// needs no other secret than the last seal's. A last seal that none of them proves is not continued.
    pub async fn seal(&mut self, now: Timestamp) -> Result<usize, StoreError> {
        if !self.starting && !self.is_called_for().await? {
            return Ok(0);
        }
        let mut unit = self.store.open("BEGIN").await?;
        if !step!(&mut unit, connection => diesel::select(pg_try_advisory_xact_lock(LOCK)).get_result(connection))?
        {
            Box::new(unit).rollback().await?;
            return Ok(0);
        }
        let mut last = seal::last(&mut unit).await?;
        if let Some(unproven) = last.as_ref().filter(|last| !last.is_ours(self.store.proof())) {
            let what =
                "the last seal was made with none of the server's secrets; nothing is sealed behind it";
            self.tell(&unproven.number.to_string(), what);
            Box::new(unit).rollback().await?;
            return Ok(0);
        }
        let is_first = last.is_none();
        let is_due = last.as_ref().is_none_or(|last| self.starting && !last.is_by_newest(self.store.proof()));
        if is_due {
            last = Some(self.add(&mut unit, last.as_ref(), &[], now).await?);
        }
        let (mut sealed, mut after) = (0, String::new());
        loop {
            let ids = waiting(&mut unit, &after).await?;
            let rows = self.fit(&ids, records::rows(&mut unit, &ids).await?, is_first);
            if !rows.is_empty() {
                last = Some(self.add(&mut unit, last.as_ref(), &rows, now).await?);
                sealed += rows.len();
            }
            match ids.last() {
                Some(id) => after.clone_from(id),
                None => break,
            }
        }
        Box::new(unit).commit().await?;
        self.starting = false;
        Ok(sealed)
    }

    /// Whether the trail is one that our secrets may be used on: its last seal is ours, or there is none yet.
    pub async fn is_ours(&self) -> Result<bool, StoreError> {
        let last = self.last().await?;
        Ok(last.is_none_or(|last| last.is_ours(self.store.proof())))
    }

    /// The newest seal, signed to be kept elsewhere: what the verifier holds the trail against. `None` before the first seal.
    pub async fn head(&self) -> Result<Option<SealedHead>, StoreError> {
        let proof = self.store.proof();
        Ok(self
            .last()
            .await?
            .map(|seal| SealedHead::sign(seal.number, seal.sealed_at, seal.hash(proof), proof)))
    }

    async fn last(&self) -> Result<Option<Seal>, StoreError> {
        let mut unit = self.store.open("BEGIN READ ONLY").await?;
        let last = seal::last(&mut unit).await?;
        Box::new(unit).commit().await?;
        Ok(last)
    }

    /// A read, so that idle servers write nothing.
    async fn is_called_for(&self) -> Result<bool, StoreError> {
        let waiting = exists(audit_unsealed::table.select(audit_unsealed::audit_id));
        let begun = exists(audit_seals::table.select(audit_seals::number));
        repeatable!(self.store.database(), connection =>
            diesel::select(waiting.or(not(begun))).get_result(connection))
    }

    /// The rows that may be sealed.
    fn fit(&mut self, ids: &[String], rows: Vec<Option<Row>>, is_first: bool) -> Vec<Row> {
        let store = self.store.clone();
        let proof = store.proof();
        let mut fit = Vec::with_capacity(rows.len());
        for (id, row) in ids.iter().zip(rows) {
            match row {
                Some(row) if row.is_ours(proof) || (is_first && row.mac.is_none()) => {
                    fit.push(row);
                }
                Some(_) => self.tell(id, "a row of the audit trail carries no MAC of ours; it is not sealed"),
                None => self.tell(id, "a row of the audit trail is gone before it was sealed"),
            }
        }
        fit
    }

    fn tell(&mut self, id: &str, what: &'static str) {
        if self.told.len() < REMEMBERED && self.told.insert(id.to_owned()) {
            tracing::error!(audit_id = id, "{what}");
        }
    }

    async fn add(
        &self,
        unit: &mut PgUnitOfWork,
        last: Option<&Seal>,
        rows: &[Row],
        now: Timestamp,
    ) -> Result<Seal, StoreError> {
        let proof = self.store.proof();
        let mut seal = Seal {
            number: last.map_or(1, |last| last.number + 1),
            sealed_at: now,
            row_ids: rows.iter().map(|row| row.id.clone()).collect(),
            rows_hash: rows.iter().flat_map(|row| row.hash(proof)).collect(),
            previous: last.map_or_else(|| NO_SEAL.to_vec(), |last| last.hash(proof)),
            signature: Vec::new(),
        };
        seal.signature = proof.sign(&seal.canonical());
        seal::add(unit, &seal).await?;
        step!(unit, connection => diesel::delete(audit_unsealed::table)
            .filter(audit_unsealed::audit_id.eq_any(&seal.row_ids))
            .execute(connection))?;
        Ok(seal)
    }
}

/// The next rows that wait for a seal, behind an identifier.
async fn waiting(unit: &mut PgUnitOfWork, after: &str) -> Result<Vec<String>, StoreError> {
    step!(unit, connection => audit_unsealed::table
        .filter(audit_unsealed::audit_id.gt(after))
        .order(audit_unsealed::audit_id)
        .limit(CHUNK)
        .select(audit_unsealed::audit_id)
        .load(connection))
}
