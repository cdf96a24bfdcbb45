//! Seals over the audit trail: what they bind, how they chain, and what is found when somebody has changed either.
//!
//! A row carries a MAC under the server's key. A seal names rows, has the hash of each and that of the seal before, and is signed; so
//! the signature of the last seal speaks for all of the chain, and secrets that were given up since are not missed.

mod canonical;
mod chain;

use crate::Timestamp;
use crate::ports::AuditProof;
use canonical::Canonical;

pub use chain::{AuditBreach, Chain};

/// What the first seal has for the one before it.
const NO_SEAL: [u8; 32] = [0; 32];
/// The bytes of a row's hash.
const HASH: usize = 32;

/// A row of the audit trail, as far as it is proven. The link to the account is not: it goes with the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenRow {
    /// Its identifier.
    pub id: String,
    /// Who did it.
    pub actor: String,
    /// To whose account.
    pub subject: Option<String>,
    /// What was done.
    pub action: String,
    /// What it changed and was about, always written the same way.
    pub details: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// When, in milliseconds since 1970; `None` for a time that is none.
    pub at: Option<i64>,
    /// The MAC; rows that are older than MACs have none.
    pub mac: Option<Vec<u8>>,
}

impl ProvenRow {
    /// Gives it its MAC.
    #[must_use]
    pub fn prove(self, proof: &dyn AuditProof) -> Self {
        Self { mac: Some(proof.mac(&self.canonical())), ..self }
    }

    /// Whether its MAC is ours.
    #[must_use]
    pub fn is_ours(&self, proof: &dyn AuditProof) -> bool {
        self.mac.as_deref().is_some_and(|mac| proof.is_mac(&self.canonical(), mac))
    }

    /// What a seal keeps of it: a hash over all it says and its MAC.
    fn hash(&self, proof: &dyn AuditProof) -> Vec<u8> {
        let sealed = Canonical::new("subtle sealed audit row v1").bytes(&self.canonical());
        proof.hash(&sealed.optional(self.mac.as_deref()).done())
    }

    fn canonical(&self) -> Vec<u8> {
        Canonical::new("subtle audit row v1")
            .text(&self.id)
            .text(&self.actor)
            .optional(self.subject.as_deref().map(str::as_bytes))
            .text(&self.action)
            .optional(self.details.as_deref().map(str::as_bytes))
            .optional(self.address.as_deref().map(str::as_bytes))
            .optional(self.at.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice))
            .done()
    }
}

/// A seal: what was committed up to a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Its place in the chain, from 1.
    pub number: i64,
    /// When it was made.
    pub sealed_at: Timestamp,
    /// The rows it binds.
    pub row_ids: Vec<String>,
    /// The rows' hashes one after another, so that the verifier can tell which row differs.
    pub rows_hash: Vec<u8>,
    /// The hash of the seal before.
    pub previous: Vec<u8>,
    /// Ours, over all of this.
    pub signature: Vec<u8>,
}

impl Seal {
    /// The seal over `rows` that comes behind `last`.
    #[must_use]
    pub fn over(
        rows: &[ProvenRow],
        last: Option<&Self>,
        sealed_at: Timestamp,
        proof: &dyn AuditProof,
    ) -> Self {
        let mut seal = Self {
            number: last.map_or(1, |last| last.number.saturating_add(1)),
            sealed_at,
            row_ids: rows.iter().map(|row| row.id.clone()).collect(),
            rows_hash: rows.iter().flat_map(|row| row.hash(proof)).collect(),
            previous: last.map_or_else(|| NO_SEAL.to_vec(), |last| last.hash(proof)),
            signature: Vec::new(),
        };
        seal.signature = proof.sign(&seal.canonical());
        seal
    }

    /// What the next seal keeps of it.
    #[must_use]
    pub fn hash(&self, proof: &dyn AuditProof) -> Vec<u8> {
        let whole = Canonical::new("subtle audit seal hash v1").bytes(&self.canonical());
        proof.hash(&whole.bytes(&self.signature).done())
    }

    /// Whether it has a hash for each of its rows, and our signature.
    #[must_use]
    pub fn is_ours(&self, proof: &dyn AuditProof) -> bool {
        self.is_whole() && proof.is_signature(&self.canonical(), &self.signature)
    }

    /// Whether it was signed with the newest secret. A signature of Ed25519 is the same each time (RFC 8032).
    #[must_use]
    pub fn is_by_newest(&self, proof: &dyn AuditProof) -> bool {
        proof.sign(&self.canonical()) == self.signature
    }

    /// What is wrong with one of its rows as it is found, in the place where the seal has it.
    #[must_use]
    pub fn breach_of(
        &self,
        place: usize,
        found: Option<&ProvenRow>,
        proof: &dyn AuditProof,
    ) -> Option<AuditBreach> {
        let (id, seal) = (self.row_ids.get(place)?.clone(), self.number);
        let Some(row) = found else { return Some(AuditBreach::Removed { id, seal: Some(seal) }) };
        let kept = self.rows_hash.chunks(HASH).nth(place);
        if kept == Some(&row.hash(proof)[..]) {
            return None;
        }
        // A row that its own MAC clears is not the one that lies.
        Some(if row.is_ours(proof) {
            AuditBreach::SealForged { number: seal }
        } else {
            AuditBreach::Edited { id, seal }
        })
    }

    fn is_whole(&self) -> bool {
        self.rows_hash.len() == HASH * self.row_ids.len()
    }

    fn canonical(&self) -> Vec<u8> {
        let start = Canonical::new("subtle audit seal v1").number(self.number).time(self.sealed_at);
        let named = self.row_ids.iter().fold(start.count(self.row_ids.len()), |all, id| all.text(id));
        named.bytes(&self.rows_hash).bytes(&self.previous).done()
    }
}

/// The end of the trail at some moment, to be kept where nobody who can write to the database can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedHead {
    /// The newest seal's number.
    pub number: i64,
    /// When it was made.
    pub sealed_at: Timestamp,
    /// Its hash.
    pub hash: Vec<u8>,
    /// Ours, over all this.
    pub signature: Vec<u8>,
}

impl SealedHead {
    /// The head of a trail that ends with this seal.
    #[must_use]
    pub fn of(seal: &Seal, proof: &dyn AuditProof) -> Self {
        let (number, sealed_at, hash) = (seal.number, seal.sealed_at, seal.hash(proof));
        let mut head = Self { number, sealed_at, hash, signature: Vec::new() };
        head.signature = proof.sign(&head.canonical());
        head
    }

    fn is_ours(&self, proof: &dyn AuditProof) -> bool {
        proof.is_signature(&self.canonical(), &self.signature)
    }

    fn canonical(&self) -> Vec<u8> {
        Canonical::new("subtle audit head v1")
            .number(self.number)
            .time(self.sealed_at)
            .bytes(&self.hash)
            .done()
    }
}

#[cfg(test)]
pub(crate) mod tests;
