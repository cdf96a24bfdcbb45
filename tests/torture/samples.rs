//! Requests and what became of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a client heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Heard {
    /// What it hoped for.
    Yes,
    /// Another status.
    Status(u16),
    /// A 503 that does not say when to come back.
    WithoutRetry,
    /// The connection broke, or could not be made.
    Broken,
    /// Nothing, for as long as a client waits.
    Nothing,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// `POST /v1/me`
    pub(crate) what: String,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    /// Whether it only asks.
    pub(crate) reads: bool,
    pub(crate) heard: Heard,
}

/// Requests of some time, added up.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: usize,
    pub(crate) acknowledged: usize,
    /// What was not hoped for, and how often.
    pub(crate) refused: BTreeMap<Heard, usize>,
    /// Reads among those.
    pub(crate) reads_refused: usize,
    /// The longest time to any answer.
    pub(crate) slowest: Duration,
    /// The longest time to one that was not hoped for, and what that was.
    pub(crate) slowest_refusal: Duration,
    pub(crate) refusal_was: String,
    /// The last moment at which somebody heard what they had not hoped for.
    pub(crate) last_refusal: Option<Instant>,
}

impl Tally {
    pub(crate) fn of(samples: &[Sample]) -> Self {
        let mut tally = Self { requests: samples.len(), ..Self::default() };
        for sample in samples {
            let time = sample.ended - sample.begun;
            tally.slowest = tally.slowest.max(time);
            if sample.heard == Heard::Yes {
                tally.acknowledged += 1;
                continue;
            }
            if time > tally.slowest_refusal {
                tally.slowest_refusal = time;
                tally.refusal_was = format!("{} ({:?})", sample.what, sample.heard);
            }
            *tally.refused.entry(sample.heard).or_default() += 1;
            tally.reads_refused += usize::from(sample.reads);
            tally.last_refusal = tally.last_refusal.max(Some(sample.ended));
        }
        tally
    }

    /// `12 × 503, 3 × broken`
    pub(crate) fn refusals(&self) -> String {
        let told = |(heard, times): (&Heard, &usize)| match heard {
            Heard::Yes => format!("{times} × as hoped"),
            Heard::Status(status) => format!("{times} × {status}"),
            Heard::WithoutRetry => format!("{times} × 503 without Retry-After"),
            Heard::Broken => format!("{times} × broken"),
            Heard::Nothing => format!("{times} × no answer"),
        };
        let told: Vec<_> = self.refused.iter().map(told).collect();
        if told.is_empty() { "none".to_owned() } else { told.join(", ") }
    }
}
