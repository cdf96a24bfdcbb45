use super::{NO_SEAL, Seal, SealedHead};
use crate::ports::AuditProof;

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
    /// A row's link leads to another account than it is about, or to none while that account is there.
    #[error("row {id} was cut off from the account that it is about, or linked to another")]
    Relinked {
        /// The row.
        id: String,
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
    /// The head is neither that of a seal of the chain nor signed by us.
    #[error("the head {number} was not made with any of the servers' secrets")]
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

/// A walk along the seals in the order of their numbers, from the first.
pub struct Chain<'a> {
    proof: &'a dyn AuditProof,
    head: Option<&'a SealedHead>,
    /// The number and hash of the seal before.
    last: Option<(i64, Vec<u8>)>,
    /// The first of the seals so far whose signature we can't tell, with none behind it that vouches for it.
    unproven: Option<i64>,
}

impl<'a> Chain<'a> {
    /// Before the first seal, on the way to an earlier `head`.
    #[must_use]
    pub fn new(proof: &'a dyn AuditProof, head: Option<&'a SealedHead>) -> Self {
        Self { proof, head, last: None, unproven: None }
    }

    /// The number of the last seal so far; 0 before the first.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.last.as_ref().map_or(0, |(number, _)| *number)
    }

    /// Goes on to the next seal there is, and tells what is wrong with it.
    pub fn follow(&mut self, seal: &Seal) -> Option<AuditBreach> {
        let number = seal.number;
        let (expected, previous) = match &self.last {
            Some((last, hash)) => (last.saturating_add(1), hash.as_slice()),
            None => (1, NO_SEAL.as_slice()),
        };
        if number > expected {
            return Some(AuditBreach::SealMissing { number: expected });
        }
        if number < expected || !seal.is_whole() {
            return Some(AuditBreach::SealForged { number });
        }
        if seal.previous != previous {
            // A seal that nobody vouches for is the more likely culprit.
            return Some(match self.unproven {
                Some(number) => AuditBreach::SealForged { number },
                None => AuditBreach::SealUnchained { number },
            });
        }
        if seal.is_ours(self.proof) {
            self.unproven = None;
        } else {
            self.unproven.get_or_insert(number);
        }
        let hash = seal.hash(self.proof);
        let other = self.head.filter(|head| head.number == number && head.hash != hash);
        self.last = Some((number, hash));
        other.map(|head| self.unless_foreign(head, AuditBreach::Rewritten { number }))
    }

    /// Tells what is wrong with the chain as a whole, behind its last seal.
    #[must_use]
    pub fn end(&self) -> Option<AuditBreach> {
        if let Some(number) = self.unproven {
            return Some(AuditBreach::SealForged { number });
        }
        let (head, last) = (self.head?, self.last());
        let beyond = head.number > last || head.number < 1;
        beyond.then(|| self.unless_foreign(head, AuditBreach::CutOff { last, head: head.number }))
    }

    fn unless_foreign(&self, head: &SealedHead, breach: AuditBreach) -> AuditBreach {
        if head.is_ours(self.proof) { breach } else { AuditBreach::HeadForeign { number: head.number } }
    }
}
