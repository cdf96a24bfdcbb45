//! Who is signed in already.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Whether somebody who is signed in was served of late: for them the threads that hash passwords make room.
#[derive(Debug, Clone)]
pub struct Foreground {
    epoch: Instant,
    /// Milliseconds from the epoch until nobody is expected any more.
    until: Arc<AtomicU64>,
}

impl Foreground {
    /// Who is served once may come again for so long, in milliseconds.
    const LINGER: u64 = 200;

    /// Notes that somebody is served.
    pub(crate) fn serve(&self) {
        self.serve_at(Instant::now());
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy_at(Instant::now())
    }

    fn serve_at(&self, now: Instant) {
        self.until.store(self.millis(now) + Self::LINGER, Ordering::Relaxed);
    }

    fn is_busy_at(&self, now: Instant) -> bool {
        self.millis(now) < self.until.load(Ordering::Relaxed)
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX - Self::LINGER)
    }
}

impl Default for Foreground {
    fn default() -> Self {
        Self { epoch: Instant::now(), until: Arc::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_busy_for_a_while() {
        let foreground = Foreground::default();
        let at = |millis| foreground.epoch + Duration::from_millis(millis);
        assert!(!foreground.is_busy_at(at(0)));
        foreground.clone().serve_at(at(1000));
        for (millis, busy) in
            [(1000, true), (999 + Foreground::LINGER, true), (1000 + Foreground::LINGER, false)]
        {
            assert_eq!(foreground.is_busy_at(at(millis)), busy, "{millis}");
        }
    }
}
