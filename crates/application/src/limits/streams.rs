use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use subtle_domain::ids::UserId;

/// How many streams each account has open at this server.
#[derive(Debug, Clone)]
pub struct Streams {
    most: u32,
    open: Arc<Mutex<HashMap<UserId, u32>>>,
}

/// An account's open stream. It counts until it is dropped.
#[derive(Debug)]
pub struct OpenStream {
    streams: Streams,
    user: UserId,
}

/// An account has as many streams open as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many streams of this account are open")]
pub struct TooManyStreams;

impl Streams {
    /// So many at most of each account.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { most, open: Arc::default() }
    }

    /// Counts one more.
    pub fn open(&self, user: &UserId) -> Result<OpenStream, TooManyStreams> {
        let mut open = self.counts();
        let count = open.get(user).copied().unwrap_or(0);
        if count >= self.most {
            return Err(TooManyStreams);
        }
        open.insert(user.clone(), count + 1);
        Ok(OpenStream { streams: self.clone(), user: user.clone() })
    }

    /// How many are open, of all accounts together.
    #[must_use]
    pub fn open_now(&self) -> usize {
        self.counts().values().map(|count| usize::try_from(*count).unwrap_or(usize::MAX)).sum()
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<UserId, u32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Streams {
    /// As many as anybody wants.
    fn default() -> Self {
        Self::new(u32::MAX)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.streams.counts();
        match open.get_mut(&self.user) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.user)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::ada;

    #[test]
    fn each_account_has_so_many_and_a_closed_one_makes_room() {
        let streams = Streams::new(2);
        let bob = UserId::parse("bob").unwrap();
        let one = streams.open(&ada().id).unwrap();
        let _two = streams.open(&ada().id).unwrap();
        assert_eq!(streams.open(&ada().id).unwrap_err(), TooManyStreams);
        let bobs = streams.open(&bob).unwrap();
        assert_eq!(streams.open_now(), 3);
        drop(one);
        let _three = streams.open(&ada().id).unwrap();
        assert_eq!(streams.open(&ada().id).unwrap_err(), TooManyStreams);
        drop(bobs);
        assert_eq!(streams.counts().len(), 1, "who has none is forgotten");
    }
}
