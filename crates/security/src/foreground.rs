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
        self.until.store(self.now() + Self::LINGER, Ordering::Relaxed);
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.now() < self.until.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX - Self::LINGER)
    }
}

impl Default for Foreground {
    fn default() -> Self {
        Self { epoch: Instant::now(), until: Arc::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_busy_for_a_while() {
        let (foreground, began) = (Foreground::default(), Instant::now());
        assert!(!foreground.is_busy());
        foreground.clone().serve();
        assert!(foreground.is_busy() || began.elapsed() >= Duration::from_millis(Foreground::LINGER));
        thread::sleep(Duration::from_millis(Foreground::LINGER + 1));
        assert!(!foreground.is_busy());
    }
}
