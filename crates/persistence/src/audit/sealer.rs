use std::collections::HashSet;

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use subtle_domain::Timestamp;
use subtle_domain::ports::{StoreError, UnitOfWork as _};
use subtle_domain::seal::{ProvenRow, Seal, SealedHead};

use super::records::{self, Linked};
use super::seals;
use crate::schema::{audit_seals, audit_unsealed};
use crate::unit_of_work::{BEGIN, PgStore, PgUnitOfWork};

/// How many rows one seal has at most.
const CHUNK: i64 = 1_000;
/// How many rows that can't be sealed are remembered, so that each is told once.
const REMEMBERED: usize = 10_000;

/// Why nothing is sealed, until somebody has looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsealable {
    /// The last seal proves by none of the servers' secrets: a forged one, or one of a secret that was given up too early.
    #[error("the last seal of the audit trail was made with none of the servers' secrets")]
    OtherSecret,
    /// Seals that this process has seen are not there any more.
    #[error("seals of the audit trail were removed")]
    SealsGone,
}

/// Binds what was committed to the audit trail into seals.
pub struct PgAuditSealer {
    store: PgStore,
    /// The number and hash of the last seal that this process has seen.
    seen: Option<(i64, Vec<u8>)>,
    told: HashSet<String>,
}

impl PgAuditSealer {
    /// Seals the trail that `store` writes.
    #[must_use]
    pub fn new(store: PgStore) -> Self {
        Self { store, seen: None, told: HashSet::new() }
    }

    /// Seals what is committed and unsealed; tells how many rows that were. None if another server was faster.
    ///
    /// A row that carries no MAC of ours is left out and logged. Only the first call of all takes rows without any: they are
    /// older than MACs. The very first seal is empty, so that nothing that comes later passes for old.
    ///
    /// After a rotation of secrets the new one seals at once, if need be nothing, while the older one is still known: the verifier
    /// needs no other secret than the last seal's. A last seal that none of them proves is not continued.
    pub async fn seal(&mut self, now: Timestamp) -> Result<Result<usize, Unsealable>, StoreError> {
        if self.seen.is_some() && !self.is_called_for().await? {
            return Ok(Ok(0));
        }
        let mut unit = self.store.open(BEGIN).await?;
        let last = seals::last(&mut unit).await?;
        if let Err(why) = self.check(last.as_ref()) {
            Box::new(unit).rollback().await?;
            return Ok(Err(why));
        }
        match self.seal_behind(&mut unit, last, now).await? {
            Some((last, sealed)) => {
                Box::new(unit).commit().await?;
                self.seen = Some((last.number, last.hash(self.store.proof())));
                Ok(Ok(sealed))
            }
            None => Box::new(unit).rollback().await.map(|()| Ok(0)),
        }
    }

    /// The newest seal, signed to be kept elsewhere: what the verifier holds the trail against. `None` before the first seal.
    pub async fn head(&self) -> Result<Option<Result<SealedHead, Unsealable>>, StoreError> {
        let proof = self.store.proof();
        let head = |seal: Seal| {
            if seal.is_ours(proof) { Ok(SealedHead::of(&seal, proof)) } else { Err(Unsealable::OtherSecret) }
        };
        Ok(self.last().await?.map(head))
    }

    async fn last(&self) -> Result<Option<Seal>, StoreError> {
        let mut unit = self.store.open("BEGIN READ ONLY").await?;
        let last = seals::last(&mut unit).await?;
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

    /// Whether the chain may be continued behind this seal.
    fn check(&self, last: Option<&Seal>) -> Result<(), Unsealable> {
        let proof = self.store.proof();
        if let Some(last) = last
            && !last.is_ours(proof)
        {
            return Err(Unsealable::OtherSecret);
        }
        let Some((number, hash)) = &self.seen else { return Ok(()) };
        match last {
            Some(last) if last.number > *number => Ok(()),
            Some(last) if last.number == *number && last.hash(proof) == *hash => Ok(()),
            Some(_) | None => Err(Unsealable::SealsGone),
        }
    }

    /// The last seal and the number of rows sealed; `None` if another server was faster.
    async fn seal_behind(
        &mut self,
        unit: &mut PgUnitOfWork,
        last: Option<Seal>,
        now: Timestamp,
    ) -> Result<Option<(Seal, usize)>, StoreError> {
        let is_first = last.is_none();
        let mut last = match last {
            Some(last) if self.seen.is_some() || last.is_by_newest(self.store.proof()) => last,
            earlier => match self.add(unit, earlier.as_ref(), &[], now).await? {
                Some(seal) => seal,
                None => return Ok(None),
            },
        };
        let (mut sealed, mut after) = (0, None);
        loop {
            let ids = waiting(unit, after.as_deref()).await?;
            let Some(end) = ids.last() else { return Ok(Some((last, sealed))) };
            let rows = self.fit(&ids, records::rows(unit, &ids).await?, is_first);
            if !rows.is_empty() {
                let Some(seal) = self.add(unit, Some(&last), &rows, now).await? else { return Ok(None) };
                (last, sealed) = (seal, sealed + rows.len());
            }
            after = Some(end.clone());
        }
    }

    /// The rows that may be sealed.
    fn fit(&mut self, ids: &[String], rows: Vec<Option<Linked>>, is_first: bool) -> Vec<ProvenRow> {
        let mut fit = Vec::with_capacity(rows.len());
        for (id, row) in ids.iter().zip(rows) {
            let is_old = |row: &ProvenRow| is_first && row.mac.is_none();
            match row {
                Some(Linked { row, .. }) if row.is_ours(self.store.proof()) || is_old(&row) => fit.push(row),
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
        rows: &[ProvenRow],
        now: Timestamp,
    ) -> Result<Option<Seal>, StoreError> {
        let seal = Seal::over(rows, last, now, self.store.proof());
        if !seals::add(unit, &seal).await? {
            return Ok(None);
        }
        step!(unit, connection => diesel::delete(audit_unsealed::table)
            .filter(audit_unsealed::audit_id.eq_any(&seal.row_ids))
            .execute(connection))?;
        Ok(Some(seal))
    }
}

/// The next rows that wait for a seal: the first, or those behind an identifier.
async fn waiting(unit: &mut PgUnitOfWork, after: Option<&str>) -> Result<Vec<String>, StoreError> {
    step!(unit, connection => {
        let mut page = audit_unsealed::table
            .order(audit_unsealed::audit_id)
            .limit(CHUNK)
            .select(audit_unsealed::audit_id)
            .into_boxed();
        if let Some(after) = after {
            page = page.filter(audit_unsealed::audit_id.gt(after));
        }
        page.load(connection)
    })
}
