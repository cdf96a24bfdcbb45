use subtle_domain::Timestamp;
use subtle_domain::ports::AuditProof;

use super::canonical::Canonical;

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
    pub(super) fn sign(number: i64, sealed_at: Timestamp, hash: Vec<u8>, proof: &dyn AuditProof) -> Self {
        let mut head = Self { number, sealed_at, hash, signature: Vec::new() };
        head.signature = proof.sign(&head.canonical());
        head
    }

    pub(super) fn is_ours(&self, proof: &dyn AuditProof) -> bool {
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

/// What the verifier found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditVerdict {
    /// Rows that were held against their proofs, up to the first breach.
    pub rows: u64,
    /// Seals that were.
    pub seals: u64,
    /// How many of the rows no seal has yet.
    pub unsealed: u64,
    /// The first thing that is wrong.
    pub breach: Option<AuditBreach>,
}

/// What is wrong with a trail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditBreach {
    /// A row of a seal says something else than when it was sealed.
    #[error("row {id} was edited after seal {seal}")]
    Edited {
        /// The row.
        id: String,
        /// The seal that has it.
        seal: i64,
    },
    /// A row that was committed is not there.
    #[error("row {id} was removed")]
    Removed {
        /// The row.
        id: String,
        /// The seal that has it, if it was sealed.
        seal: Option<i64>,
    },
    /// A row that is in no seal carries no MAC of ours.
    #[error("row {id} was put in from outside, or edited before it was sealed")]
    Foreign {
        /// The row.
        id: String,
    },
    /// A row of ours is in no seal and does not wait for one.
    #[error("row {id} is in no seal: its seal was removed, or it was taken out of the queue")]
    Unqueued {
        /// The row.
        id: String,
    },
    /// There are later seals, but not this one.
    #[error("seal {number} was removed")]
    SealMissing {
        /// Its number.
        number: i64,
    },
    /// It is not signed by us, or edited since.
    #[error("seal {number} is forged or was edited")]
    SealForged {
        /// Its number.
        number: i64,
    },
    /// It does not continue the seal before it.
    #[error("seal {number} does not continue the seal before it")]
    SealUnchained {
        /// Its number.
        number: i64,
    },
    /// The head was not signed by us.
    #[error("the head {number} was not made with any of the server's secrets")]
    HeadForeign {
        /// Its number.
        number: i64,
    },
    /// The trail ends before a head that it had.
    #[error("the trail was cut off or rewritten since: it ends with seal {last}, and had seal {head}")]
    CutOff {
        /// The newest seal there is; 0 without any.
        last: i64,
        /// The head's number.
        head: i64,
    },
    /// The seal of a head's number is another one.
    #[error("the trail was cut off or rewritten since: seal {number} is not the one of the head")]
    Rewritten {
        /// The head's number.
        number: i64,
    },
}
