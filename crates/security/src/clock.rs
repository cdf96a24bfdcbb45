//! The system's clock.

use chrono::{SubsecRound, Utc};
use subtle_domain::Timestamp;
use subtle_domain::ports::Clock;

/// Tells the system's time, in whole milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter behind which the system's time lies")]
    fn now(&self) -> Timestamp {
        Utc::now().trunc_subsecs(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_has_no_more_than_milliseconds() {
        for _ in 0..100 {
            assert_eq!(SystemClock.now().timestamp_subsec_nanos() % 1_000_000, 0);
        }
    }

    #[test]
    fn the_time_is_that_of_the_system() {
        let before = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let told = u128::try_from(SystemClock.now().timestamp_millis()).unwrap();
        let after = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        assert!((before..=after).contains(&told), "{before} {told} {after}");
    }
}
