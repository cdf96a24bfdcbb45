//! Traces by OTLP over HTTP, as JSON: a span for each request, and below it those for what it waited for.
//!
//! What is told stands where a span is opened, with the target [`TARGET`]: its fields are the attributes that leave the process, under
//! the names of OpenTelemetry's semantic conventions. They are words of the program, numbers, and the request's identifier. Spans of any
//! other target are for the log alone.
//!
//! In reading order: `context` is where a request stands among those that its caller traces, `span` what is told and how it is written,
//! `collect` keeps the spans that are not over, `export` sends the others, `endpoint` where to and how. Nobody waits for the collector:
//! what finds no room in the queue is dropped, and counted.

mod collect;
mod context;
mod endpoint;
mod export;
mod span;

use std::sync::Arc;

use subtle_metrics::{Counter, Exposition};

pub(crate) use collect::{Collector, trace_id};
pub(crate) use context::Ratio;
pub(crate) use endpoint::Endpoint;
pub(crate) use export::Exporting;
use span::Span;
use tokio::sync::mpsc::{self, Receiver};

/// What is opened with this target is exported, and never logged.
pub(crate) const TARGET: &str = "traces";

/// How many finished spans wait to be sent: about a second of a busy server, and some megabytes.
const QUEUE: usize = 8_192;

/// What became of spans.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    /// The collector took them.
    exported: Counter,
    /// There was no room for them.
    dropped: Counter,
    /// The collector did not take them.
    failed: Counter,
}

impl Outcomes {
    pub(crate) fn write(&self, to: &mut Exposition) {
        let mut family = to.counter("subtle_trace_spans_total", "Spans of traces, by what became of them.");
        for (outcome, count) in
            [("exported", &self.exported), ("dropped", &self.dropped), ("failed", &self.failed)]
        {
            family.has(&[("outcome", outcome)], count.get());
        }
    }
}

/// The way from requests to the collector.
pub(crate) struct Traces {
    endpoint: Endpoint,
    finished: Receiver<Span>,
    outcomes: Arc<Outcomes>,
}

impl Traces {
    /// What gathers spans, for the subscriber, and what carries them to `endpoint` once it is [started](Exporting::start).
    pub(crate) fn new(endpoint: Endpoint, ratio: Ratio) -> (Collector, Self) {
        let (queue, finished) = mpsc::channel(QUEUE);
        let outcomes = Arc::new(Outcomes::default());
        let collector = Collector::new(queue, ratio, Arc::clone(&outcomes));
        (collector, Self { endpoint, finished, outcomes })
    }

    pub(crate) fn outcomes(&self) -> Arc<Outcomes> {
        Arc::clone(&self.outcomes)
    }
}
