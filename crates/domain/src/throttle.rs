//! Rate limits by the generic cell rate algorithm: one point in time per key, nothing to sweep on each call.

use std::time::Duration;

use chrono::TimeDelta;

use crate::Timestamp;

/// How many in a row, and how soon again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// This many may come at once.
    pub burst: u32,
    /// One more may come each `interval`.
    pub interval: TimeDelta,
}

/// The call came too soon; `0` says when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter(pub Duration);

impl RetryAfter {
    /// Whole seconds, rounded up, at least one: what the header `Retry-After` takes (RFC 9110, 10.2.3).
    #[must_use]
    pub fn seconds(self) -> u64 {
        (self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0)).max(1)
    }
}

impl Rate {
    /// So many times as many, in the same time.
    #[must_use]
    pub fn times(&self, shares: u32) -> Self {
        let slower = i32::try_from(shares.max(1)).unwrap_or(i32::MAX);
        Self { burst: self.burst.saturating_mul(shares), interval: self.interval / slower }
    }

    /// Time in which a full burst comes back.
    #[must_use]
    pub fn window(&self) -> TimeDelta {
        self.interval * i32::try_from(self.burst).unwrap_or(i32::MAX)
    }

    /// Decides on one call at `now` for a key whose bucket is empty again at `empty_at` (its theoretical arrival time): the
    /// new such time, or how long to wait.
    pub fn admit(&self, empty_at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, RetryAfter> {
        let next = empty_at.map_or(now, |at| at.max(now)) + self.interval;
        let too_soon = next - now - self.window();
        if too_soon > TimeDelta::zero() {
            return Err(RetryAfter(too_soon.to_std().unwrap_or_default()));
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 10, interval: TimeDelta::seconds(60) };

    fn start() -> Timestamp {
        chrono::DateTime::from_timestamp_millis(1_700_000_000_000).unwrap()
    }

    fn spend(
        times: u32,
        mut state: Option<Timestamp>,
        now: Timestamp,
    ) -> (u32, Option<Timestamp>, Option<RetryAfter>) {
        let mut admitted = 0;
        for _ in 0..times {
            match RATE.admit(state, now) {
                Ok(next) => (admitted, state) = (admitted + 1, Some(next)),
                Err(wait) => return (admitted, state, Some(wait)),
            }
        }
        (admitted, state, None)
    }

    #[test]
    fn a_burst_is_admitted_and_the_next_waits_one_interval() {
        let (admitted, _, wait) = spend(50, None, start());
        assert_eq!(admitted, 10);
        assert_eq!(wait.unwrap().seconds(), 60);
    }

    #[test]
    fn nobody_is_locked_out_for_ever() {
        let (_, state, _) = spend(50, None, start());
        assert_eq!(spend(50, state, start() + TimeDelta::seconds(60)).0, 1);
        assert_eq!(spend(50, state, start() + TimeDelta::seconds(600)).0, 10);
        assert_eq!(spend(50, state, start() + TimeDelta::days(1)).0, 10);
    }

    #[test]
    fn so_many_shares_are_so_many_times_as_many_in_the_same_time() {
        let all = RATE.times(10);
        assert_eq!(all, Rate { burst: 100, interval: TimeDelta::seconds(6) });
        assert_eq!(all.window(), RATE.window());
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_rounded_up() {
        assert_eq!(RetryAfter(Duration::from_millis(1)).seconds(), 1);
        assert_eq!(RetryAfter(Duration::from_millis(1001)).seconds(), 2);
        assert_eq!(RetryAfter(Duration::ZERO).seconds(), 1);
    }
}
