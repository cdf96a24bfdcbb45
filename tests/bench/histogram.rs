//! How long things took, in buckets so fine that a percentile is off by less than two in a hundred.

use std::time::Duration;

/// Each power of two is parted into so many buckets.
const PARTS: u64 = 1 << PARTS_BITS;
const PARTS_BITS: u32 = 6;
/// Of the largest duration that is told from a longer one: 2³⁶ µs, some nineteen hours.
const LARGEST_BITS: u32 = 36;
const BUCKETS: usize = (LARGEST_BITS as usize - PARTS_BITS as usize + 2) << PARTS_BITS;

/// Counts durations by their length in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, longest: Duration::ZERO }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, took: Duration) {
        self.counts[bucket(took)] += 1;
        self.total += 1;
        self.longest = self.longest.max(took);
    }

    /// The time within which that share of all were done; `None` of nothing.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        if self.total == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "no run makes 2⁵² requests")]
        let wanted = share * self.total as f64;
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            #[expect(clippy::cast_precision_loss, reason = "no run makes 2⁵² requests")]
            let enough = seen as f64 >= wanted;
            enough && seen > 0
        });
        Some(place.map_or(self.longest, |place| upper_end(place).min(self.longest)))
    }
}

/// Below `PARTS` a bucket for each microsecond; from there on `PARTS` for each power of two.
fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min((1 << LARGEST_BITS) - 1);
    if micros < PARTS {
        return usize::try_from(micros).unwrap();
    }
    let shift = micros.ilog2() - PARTS_BITS;
    usize::try_from(u64::from(shift) * PARTS + (micros >> shift)).unwrap()
}

/// The longest duration of a bucket.
fn upper_end(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    if bucket < PARTS {
        return Duration::from_micros(bucket);
    }
    let shift = bucket / PARTS - 1;
    Duration::from_micros((((bucket - shift * PARTS) + 1) << shift) - 1)
}
