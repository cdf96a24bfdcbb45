use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;
use subtle_domain::Timestamp;
use subtle_domain::ids::ServiceKeyId;
use subtle_domain::service_key::{ServiceKey, ServiceKeyDigest};

/// How long a key is believed without asking again: by then every replica knows that it was revoked.
const FRESH: TimeDelta = TimeDelta::milliseconds(800);
/// Most keys that are remembered: more than anybody has, few enough for memory.
const MOST: usize = 1_024;

/// The keys that were lately used here, so that not every request asks the database. Only keys that exist are in it.
#[derive(Debug, Default)]
pub struct KeyCache(Mutex<Keys>);

#[derive(Debug, Default)]
struct Keys {
    used: HashMap<ServiceKeyDigest, (ServiceKey, Timestamp)>,
    /// Those that were revoked here: a request that read one just before must not bring it back.
    revoked: HashSet<ServiceKeyId>,
}

impl KeyCache {
    pub(crate) fn find(&self, digest: &ServiceKeyDigest, now: Timestamp) -> Option<ServiceKey> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, read_at) = keys.used.get(digest)?;
        // A clock that was set back must not keep a key for longer.
        let age = now - *read_at;
        (TimeDelta::zero() <= age && age < FRESH).then(|| key.clone())
    }

    pub(crate) fn remember(&self, digest: ServiceKeyDigest, key: ServiceKey, now: Timestamp) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.revoked.contains(&key.id) {
            return;
        }
        if keys.used.len() >= MOST {
            keys.used.clear();
        }
        keys.used.insert(digest, (key, now));
    }

    pub(crate) fn forget(&self, id: &ServiceKeyId) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.used.retain(|_, (key, _)| key.id != *id);
        if keys.revoked.len() >= MOST {
            keys.revoked.clear();
        }
        keys.revoked.insert(id.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::super::authenticate::tests::key;
    use super::*;
    use crate::test_ports::NOW;

    const DIGEST: ServiceKeyDigest = ServiceKeyDigest([1; 32]);

    #[test]
    fn a_key_is_believed_for_less_than_a_second_and_not_after_its_revocation_here() {
        let cache = KeyCache::default();
        assert_eq!(cache.find(&DIGEST, NOW), None);
        cache.remember(DIGEST, key(), NOW);
        assert_eq!(cache.find(&DIGEST, NOW + TimeDelta::milliseconds(799)), Some(key()));
        assert_eq!(cache.find(&DIGEST, NOW + TimeDelta::milliseconds(800)), None);
        assert_eq!(cache.find(&DIGEST, NOW - TimeDelta::milliseconds(1)), None);
        cache.forget(&key().id);
        assert_eq!(cache.find(&DIGEST, NOW), None);
        cache.remember(DIGEST, key(), NOW);
        assert_eq!(cache.find(&DIGEST, NOW), None);
    }

    #[test]
    fn memory_stays_bounded() {
        let cache = KeyCache::default();
        for number in 0..10_000_u16 {
            let mut digest = [0; 32];
            digest[..2].copy_from_slice(&number.to_be_bytes());
            cache.remember(ServiceKeyDigest(digest), key(), NOW);
        }
        assert!(cache.0.lock().unwrap().used.len() <= MOST);
    }
}
