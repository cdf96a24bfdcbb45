//! Keeps what spans tell until they are over, and hands them on. Never waits.

use std::collections::hash_map::RandomState;
use std::fmt::Debug;
use std::hash::BuildHasher as _;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc::Sender;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Context as Layered;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::context::{Context, Ratio};
use super::span::{Kind, Span, number, text};
use super::{Outcomes, TARGET};

/// A part of the subscriber: sees the spans of [`TARGET`].
pub(crate) struct Collector {
    queue: Sender<Span>,
    ratio: Ratio,
    outcomes: Arc<Outcomes>,
    /// Where identifiers come from, by hashing a count under a key of the process: they must differ, and are no secret.
    chance: RandomState,
    count: AtomicU64,
}

/// A span that is not over.
struct Open {
    span: Span,
    clock: Stopwatch,
}

/// The time of day when a trace began here, and what has passed since by a clock that never goes back: so the spans of a trace fit
/// together, and it fits those of other machines.
#[derive(Clone, Copy)]
struct Stopwatch {
    time_of_day: Duration,
    begun: Instant,
}

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "this tells when something happened, and nothing is decided by it"
    )]
    fn start() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self { time_of_day: now.unwrap_or_default(), begun: Instant::now() }
    }

    fn now(&self) -> Duration {
        self.time_of_day + self.begun.elapsed()
    }
}

/// The fields of a span. Only texts and numbers: what would have to be formatted first is meant for the log.
#[derive(Default)]
struct Fields {
    name: Option<String>,
    kind: Option<Kind>,
    caller: Option<Context>,
    has_failed: bool,
    attributes: Vec<(&'static str, serde_json::Value)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "otel.name" => self.name = Some(value.to_owned()),
            "otel.kind" if value == "server" => self.kind = Some(Kind::Server),
            "otel.kind" if value == "client" => self.kind = Some(Kind::Client),
            "otel.status_code" => self.has_failed = value == "ERROR",
            "traceparent" => self.caller = Context::parse(value),
            name => self.attributes.push((name, text(value))),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.attributes.push((field.name(), number(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attributes.push((field.name(), number(value)));
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

impl Collector {
    pub(super) fn new(queue: Sender<Span>, ratio: Ratio, outcomes: Arc<Outcomes>) -> Self {
        Self { queue, ratio, outcomes, chance: RandomState::new(), count: AtomicU64::new(0) }
    }

    /// This, for the spans that it is about.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(self) -> impl Layer<S> {
        let ours = filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET);
        self.with_filter(ours.with_max_level_hint(LevelFilter::DEBUG))
    }

    /// Never 0, which would be none.
    fn identifier(&self) -> u64 {
        self.chance.hash_one(self.count.fetch_add(1, Ordering::Relaxed)).max(1)
    }

    /// Where a span of these fields belongs: below that of a request, or, if it is itself one, into its caller's trace or a new one.
    /// `None` if nobody is to see it.
    fn place(
        &self,
        around: Option<(u128, u64, Stopwatch)>,
        fields: &Fields,
    ) -> Option<(u128, Option<u64>, Stopwatch)> {
        if let Some((trace, parent, clock)) = around {
            return Some((trace, Some(parent), clock));
        }
        if fields.kind != Some(Kind::Server) {
            return None;
        }
        if let Some(Context { trace, span, is_sampled }) = fields.caller {
            return is_sampled.then(|| (trace, Some(span), Stopwatch::start()));
        }
        let trace = (u128::from(self.identifier()) << 64) | u128::from(self.identifier());
        self.ratio.keeps(trace).then(|| (trace, None, Stopwatch::start()))
    }
}

/// The trace that a span belongs to, as others write it; `None` if it is not traced.
pub(crate) fn trace_id<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> Option<String> {
    span.extensions().get::<Open>().map(|open| format!("{:032x}", open.span.trace))
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collector {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Layered<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let around = span.parent().and_then(|parent| {
            parent.extensions().get::<Open>().map(|open| (open.span.trace, open.span.id, open.clock))
        });
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let Some((trace, parent, clock)) = self.place(around, &fields) else { return };
        let span_of = Span {
            trace,
            id: self.identifier(),
            parent,
            name: fields.name.unwrap_or_else(|| span.name().to_owned()),
            kind: fields.kind.unwrap_or(Kind::Internal),
            began: clock.now(),
            took: Duration::ZERO,
            attributes: fields.attributes,
            has_failed: fields.has_failed,
        };
        span.extensions_mut().insert(Open { span: span_of, clock });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Layered<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        let Some(Open { span, .. }) = extensions.get_mut::<Open>() else { return };
        let attributes = mem::take(&mut span.attributes);
        let mut fields = Fields { attributes, has_failed: span.has_failed, ..Fields::default() };
        values.record(&mut fields);
        (span.attributes, span.has_failed) = (fields.attributes, fields.has_failed);
    }

    fn on_close(&self, id: Id, context: Layered<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Open { mut span, clock }) = span.extensions_mut().remove::<Open>() else { return };
        span.took = clock.now().saturating_sub(span.began);
        if self.queue.try_send(span).is_err() {
            self.outcomes.dropped.count();
        }
    }
}

#[cfg(test)]
mod tests;
