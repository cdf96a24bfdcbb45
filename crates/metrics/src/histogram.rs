use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long things took: how many were within each of some bounds, and all of them together.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [Duration],
    /// One for each bound, and one for what took longer.
    buckets: Box<[AtomicU64]>,
    /// In nanoseconds: 584 years.
    sum: AtomicU64,
}

/// What a histogram has seen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Each bound, and how many were within it.
    pub(crate) within: Vec<(Duration, u64)>,
    pub(crate) count: u64,
    pub(crate) sum: Duration,
}

impl Histogram {
    /// For what an answer over the network waits for: from half a millisecond to ten seconds.
    pub const ANSWERS: &[Duration] = &[
        Duration::from_micros(500),
        Duration::from_millis(1),
        Duration::from_micros(2_500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2_500),
        Duration::from_secs(10),
    ];

    /// One that has seen nothing. The bounds are in ascending order.
    #[must_use]
    pub fn new(bounds: &'static [Duration]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0) }
    }

    /// Something took so long.
    pub fn observe(&self, took: Duration) {
        let bucket = self.bounds.partition_point(|bound| *bound < took);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sum.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// How much there was.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// All of it. The count comes from the buckets, so the two never contradict each other, however much is seen meanwhile.
    pub(crate) fn seen(&self) -> Seen {
        let mut count = 0;
        let mut running = self.buckets.iter().map(|bucket| {
            count += bucket.load(Ordering::Relaxed);
            count
        });
        let within = self.bounds.iter().copied().zip(running.by_ref()).collect();
        let count = running.next().unwrap_or_default();
        Seen { within, count, sum: Duration::from_nanos(self.sum.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: &[Duration] = &[Duration::from_millis(10), Duration::from_millis(100)];

    #[test]
    fn each_bound_holds_all_that_was_within_it() {
        let histogram = Histogram::new(BOUNDS);
        for milliseconds in [0, 10, 11, 100, 101, 5_000] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let within = vec![(BOUNDS[0], 2), (BOUNDS[1], 4)];
        assert_eq!(histogram.seen(), Seen { within, count: 6, sum: Duration::from_millis(5_222) });
        assert_eq!(histogram.count(), 6);
    }

    #[test]
    fn one_that_has_seen_nothing_says_so() {
        let within = vec![(BOUNDS[0], 0), (BOUNDS[1], 0)];
        assert_eq!(Histogram::new(BOUNDS).seen(), Seen { within, count: 0, sum: Duration::ZERO });
    }

    #[test]
    fn the_bounds_of_answers_ascend() {
        assert!(Histogram::ANSWERS.is_sorted());
    }
}
