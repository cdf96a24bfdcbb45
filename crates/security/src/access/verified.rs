//! Tokens that were found good before: a signature costs far more to check than a digest, and most tokens come many times.
//!
//! What is remembered is what no time changes: that one of our keys has signed these bytes, and what they say. Whether they are in force is
//! asked each time.

use std::array;
use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

use super::Signed;

/// So many parts, that threads seldom meet.
const PARTS: usize = 16;
/// How many tokens a part remembers before it forgets those that were not asked for since it last did. With as many of the older ones, all
/// parts hold 32,768 tokens in about 12 MB.
const FULL: usize = 1024;

/// The SHA-256 of a token. Nobody finds another text of the same one.
type Digest = [u8; 32];

/// Tokens that were found good before.
pub(super) struct Verified {
    parts: [Mutex<Part>; PARTS],
}

#[derive(Default)]
struct Part {
    young: HashMap<Digest, Signed>,
    old: HashMap<Digest, Signed>,
}

impl Verified {
    pub(super) fn new() -> Self {
        Self { parts: array::from_fn(|_| Mutex::default()) }
    }

    /// What `token` says: as remembered, or as `verify` finds it.
    pub(super) fn or_else(&self, token: &str, verify: impl FnOnce() -> Option<Signed>) -> Option<Signed> {
        let key = key(token);
        let part = self.parts.get(usize::from(key[0]) % PARTS)?;
        if let Some(known) = locked(part, |part| part.recall(&key)) {
            return Some(known);
        }
        let signed = verify()?;
        locked(part, |part| part.keep(key, signed.clone()));
        Some(signed)
    }
}

fn key(token: &str) -> Digest {
    let mut key = Digest::default();
    key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    key
}

fn locked<T>(part: &Mutex<Part>, work: impl FnOnce(&mut Part) -> T) -> T {
    work(&mut part.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Part {
    fn recall(&mut self, key: &Digest) -> Option<Signed> {
        if let Some(known) = self.young.get(key) {
            return Some(known.clone());
        }
        let known = self.old.remove(key)?;
        self.keep(*key, known.clone());
        Some(known)
    }

    fn keep(&mut self, key: Digest, signed: Signed) {
        if self.young.len() >= FULL {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, signed);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use subtle_domain::Timestamp;

    use super::*;
    use crate::access::tests::claims;

    fn signed() -> Signed {
        Signed { claims: claims(), not_before: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn a_good_token_is_verified_once_and_a_bad_one_each_time() {
        let (verified, looks) = (Verified::new(), Cell::new(0));
        let look = |found: Option<Signed>| {
            looks.set(looks.get() + 1);
            found
        };
        assert!(verified.or_else("bad", || look(None)).is_none());
        assert!(verified.or_else("bad", || look(None)).is_none());
        assert_eq!(looks.get(), 2);
        assert_eq!(
            verified.or_else("good", || look(Some(signed()))).map(|found| found.claims),
            Some(claims())
        );
        assert_eq!(verified.or_else("good", || look(None)).map(|found| found.claims), Some(claims()));
        assert_eq!(looks.get(), 3);
        assert!(verified.or_else("good ", || look(None)).is_none());
    }

    #[test]
    fn however_many_come_so_many_are_remembered_and_those_in_use_stay() {
        let mut part = Part::default();
        let key = |number: usize| {
            let mut key = Digest::default();
            key[..8].copy_from_slice(&number.to_le_bytes());
            key
        };
        for number in 0..10 * FULL {
            part.keep(key(number), signed());
            assert!(part.recall(&key(0)).is_some(), "{number}");
            assert!(part.young.len() + part.old.len() <= 2 * FULL);
        }
        assert!(part.recall(&key(1)).is_none());
    }
}
