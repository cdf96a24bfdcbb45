//! How long to wait before a lost connection is made again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(1);

/// Pauses that double from 250 ms to 1 s, each cut by chance to between its half and its whole: replicas that lost their
/// connections together do not come back together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next pause.
    pub(super) fn pause(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.tries.min(4)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        // The keys of the hasher are the chance: good enough to spread load, and no secret hangs on it.
        let chance = RandomState::new().hash_one(self.tries) % 512;
        let share = u32::try_from(chance).unwrap_or_default() + 512;
        whole * share / 1024
    }

    /// It went well: the next pause is a first one.
    pub(super) fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_one_second_and_are_never_less_than_half() {
        let mut backoff = Backoff::default();
        for whole in [250, 500, 1000, 1000, 1000, 1000, 1000].map(Duration::from_millis) {
            let pause = backoff.pause();
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?} of {whole:?}");
        }
    }

    #[test]
    fn after_success_the_pause_is_a_first_one_again() {
        let mut backoff = Backoff::default();
        for _ in 0..9 {
            backoff.pause();
        }
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
    }
}
