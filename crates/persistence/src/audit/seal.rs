use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::ports::{AuditProof, StoreError};

use super::canonical::Canonical;
use crate::error::corrupt;
use crate::schema::audit_seals;
use crate::unit_of_work::PgUnitOfWork;

/// What the first seal has for the one before it.
pub(super) const NO_SEAL: [u8; 32] = [0; 32];
/// The bytes of a row's hash.
pub(super) const HASH: usize = 32;

/// A seal: what was committed up to a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) number: i64,
    pub(super) sealed_at: Timestamp,
    pub(super) row_ids: Vec<String>,
    /// The rows' hashes, one after another, so that the verifier can tell which row differs.
    pub(super) rows_hash: Vec<u8>,
    /// The hash of the seal before.
    pub(super) previous: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_seals)]
struct SealRow {
    number: i64,
    sealed_at: Timestamp,
    row_ids: Vec<Option<String>>,
    rows_hash: Vec<u8>,
    previous: Vec<u8>,
    signature: Vec<u8>,
}

impl TryFrom<SealRow> for Seal {
    type Error = StoreError;

    fn try_from(row: SealRow) -> Result<Self, StoreError> {
        let row_ids = row.row_ids.into_iter().collect::<Option<_>>();
        Ok(Self {
            number: row.number,
            sealed_at: row.sealed_at,
            row_ids: row_ids.ok_or_else(|| corrupt("audit_seals", "row_ids"))?,
            rows_hash: row.rows_hash,
            previous: row.previous,
            signature: row.signature,
        })
    }
}

impl Seal {
    /// What its signature is over.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let start = Canonical::new("subtle audit seal v1").number(self.number).time(self.sealed_at);
        let named = self.row_ids.iter().fold(start.count(self.row_ids.len()), |all, id| all.text(id));
        named.bytes(&self.rows_hash).bytes(&self.previous).done()
    }

    /// What the next seal keeps of it.
    pub(super) fn hash(&self, proof: &dyn AuditProof) -> Vec<u8> {
        let whole = Canonical::new("subtle audit seal hash v1").bytes(&self.canonical());
        proof.hash(&whole.bytes(&self.signature).done())
    }

    /// Whether it has a hash for each of its rows.
    pub(super) fn is_whole(&self) -> bool {
        self.rows_hash.len() == HASH * self.row_ids.len()
    }

    pub(super) fn is_ours(&self, proof: &dyn AuditProof) -> bool {
        self.is_whole() && proof.is_signature(&self.canonical(), &self.signature)
    }

    /// Whether it was signed with the newest secret. A signature of Ed25519 is the same each time (RFC 8032).
    pub(super) fn is_by_newest(&self, proof: &dyn AuditProof) -> bool {
        proof.sign(&self.canonical()) == self.signature
    }
}

/// The newest seal.
pub(super) async fn last(unit: &mut PgUnitOfWork) -> Result<Option<Seal>, StoreError> {
    let row: Option<SealRow> = step!(unit, connection => audit_seals::table
        .order(audit_seals::number.desc())
        .select(SealRow::as_select())
        .first(connection)
        .map(OptionalExtension::optional))?;
    row.map(Seal::try_from).transpose()
}

/// At most `limit` seals behind a number, in order.
pub(super) async fn behind(
    unit: &mut PgUnitOfWork,
    number: i64,
    limit: i64,
) -> Result<Vec<Seal>, StoreError> {
    let rows: Vec<SealRow> = step!(unit, connection => audit_seals::table
        .filter(audit_seals::number.gt(number))
        .order(audit_seals::number)
        .limit(limit)
        .select(SealRow::as_select())
        .load(connection))?;
    rows.into_iter().map(Seal::try_from).collect()
}

pub(super) async fn add(unit: &mut PgUnitOfWork, seal: &Seal) -> Result<(), StoreError> {
    let row = SealRow {
        number: seal.number,
        sealed_at: seal.sealed_at,
        row_ids: seal.row_ids.iter().cloned().map(Some).collect(),
        rows_hash: seal.rows_hash.clone(),
        previous: seal.previous.clone(),
        signature: seal.signature.clone(),
    };
    step!(unit, connection => diesel::insert_into(audit_seals::table).values(&row).execute(connection))?;
    Ok(())
}
