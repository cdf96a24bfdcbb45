//! What is counted of requests, for Prometheus.
//!
//! Every label is a word of ours: a method that is known, the template of a route, a status, the name of a problem. So there are only
//! so many of them, whatever is asked for, and none tells of a person.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use subtle_application::Ports;
use subtle_metrics::{Counter, Exposition, Histogram, Tally};

use crate::paths::{Paths, Route};

/// The methods that are told apart.
const METHODS: [Method; 7] =
    [Method::DELETE, Method::GET, Method::HEAD, Method::OPTIONS, Method::PATCH, Method::POST, Method::PUT];

/// Writes what only the wiring can see: the pool, the queues, the process.
#[derive(Clone)]
pub struct Gauges(Arc<dyn Fn(&mut Exposition) + Send + Sync>);

impl Gauges {
    /// Those that `write` writes, at each scrape. It must not wait for anything.
    pub fn new(write: impl Fn(&mut Exposition) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }
}

/// What was counted since the start.
pub(crate) struct Metrics {
    paths: Data<Paths>,
    requests: RwLock<BTreeMap<Kind, Histogram>>,
    in_flight: AtomicUsize,
    pub(crate) problems: Tally,
    /// First steps of sign-ins, by what became of them.
    pub(crate) sign_ins: Tally,
    /// Second steps.
    pub(crate) sign_in_codes: Tally,
    pub(crate) refreshes: Tally,
    /// Sessions that began, by what began them.
    pub(crate) sessions: Tally,
    pub(crate) usage: Tally,
    /// Events that were handed to the connection of a stream.
    pub(crate) streamed: Counter,
    /// Connections that were given up because their client did not read its answer.
    pub(crate) slow_readers: Counter,
}

/// Requests that are counted together. The method is a place in [`METHODS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    route: Option<Route>,
    method: Option<usize>,
    status: u16,
}

impl Metrics {
    pub(crate) fn new(paths: Data<Paths>) -> Self {
        Self {
            paths,
            requests: RwLock::default(),
            in_flight: AtomicUsize::new(0),
            problems: Tally::of(&[]),
            sign_ins: Tally::of(&["succeeded", "wrong_credentials", "throttled", "second_factor_asked"]),
            sign_in_codes: Tally::of(&["succeeded", "wrong_code", "throttled"]),
            refreshes: Tally::of(&["rotated", "repeated", "reused", "refused"]),
            sessions: Tally::of(&["registration", "password", "second_factor", "bridge"]),
            usage: Tally::of(&["accepted", "duplicate", "conflict", "rejected"]),
            streamed: Counter::default(),
            slow_readers: Counter::default(),
        }
    }

    /// A request has come in. It counts as being in flight until what this gives is gone.
    pub(crate) fn begin(this: &Data<Self>, method: &Method, path: &str) -> InFlight {
        this.in_flight.fetch_add(1, Ordering::Relaxed);
        let method = METHODS.iter().position(|known| known == method);
        InFlight { metrics: this.clone(), begun: Instant::now(), route: this.paths.find(path), method }
    }

    fn observe(&self, kind: Kind, begun: Instant) {
        let took = begun.elapsed();
        if let Some(times) = self.requests.read().unwrap_or_else(PoisonError::into_inner).get(&kind) {
            return times.observe(took);
        }
        let mut requests = self.requests.write().unwrap_or_else(PoisonError::into_inner);
        requests.entry(kind).or_insert_with(|| Histogram::new(Histogram::ANSWERS)).observe(took);
    }

    /// Writes all that there is to tell.
    pub(crate) fn write(&self, ports: &Ports, gauges: &Gauges, to: &mut Exposition) {
        self.write_requests(to);
        to.gauge("subtle_http_requests_in_flight", "Requests that are being worked on, this one too.")
            .is(self.in_flight.load(Ordering::Relaxed));
        to.counter("subtle_http_problems_total", "Answers that were problems, by their type.")
            .tallies("type", &self.problems);
        to.counter("subtle_http_slow_readers_total", "Connections given up because nobody read the answer.")
            .is(self.slow_readers.get());
        to.counter("subtle_sign_ins_total", "Sign-ins by password, by what became of them.")
            .tallies("outcome", &self.sign_ins);
        to.counter("subtle_sign_in_codes_total", "Second steps of sign-ins, by what became of them.")
            .tallies("outcome", &self.sign_in_codes);
        to.counter("subtle_refreshes_total", "Refresh tokens that were presented, by what became of them.")
            .tallies("outcome", &self.refreshes);
        to.counter("subtle_sessions_begun_total", "Sessions that began, by what began them.")
            .tallies("by", &self.sessions);
        to.counter("subtle_usage_events_total", "Usage events that were told, by what became of them.")
            .tallies("outcome", &self.usage);
        to.gauge("subtle_streams_open", "Sync streams that are open.").is(ports.streams.open_now());
        to.counter("subtle_stream_events_total", "Events that were sent into sync streams.")
            .is(self.streamed.get());
        gauges.0(to);
    }

    fn write_requests(&self, to: &mut Exposition) {
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        let named = requests.iter().map(|(kind, times)| {
            let method = method_text(kind.method).unwrap_or("other");
            let route = kind.route.and_then(|route| self.paths.text(route)).unwrap_or("unmatched");
            (method, route, kind.status.to_string(), times)
        });
        let named: Vec<_> = named.collect();
        let mut family = to.counter("subtle_http_requests_total", "Requests that were answered.");
        for (method, route, status, times) in &named {
            family.has(&[("method", method), ("route", route), ("status", status)], times.count());
        }
        let help = "Time from a request's headers to those of its answer.";
        let mut family = to.histogram("subtle_http_request_duration_seconds", help);
        for (method, route, status, times) in &named {
            family.times(&[("method", method), ("route", route), ("status", status)], times);
        }
    }
}

fn method_text(method: Option<usize>) -> Option<&'static str> {
    method.and_then(|place| METHODS.get(place)).map(Method::as_str)
}

/// A request that is being worked on.
pub(crate) struct InFlight {
    metrics: Data<Metrics>,
    begun: Instant,
    route: Option<Route>,
    method: Option<usize>,
}

impl InFlight {
    /// Its method; `None` if it is none that is told apart.
    pub(crate) fn method(&self) -> Option<&'static str> {
        method_text(self.method)
    }

    /// The template of its route; `None` if there is none.
    pub(crate) fn route(&self) -> Option<&str> {
        self.route.and_then(|route| self.metrics.paths.text(route))
    }

    /// It was answered, perhaps with the problem of that name.
    pub(crate) fn answered(self, status: StatusCode, problem: Option<&'static str>) {
        let kind = Kind { route: self.route, method: self.method, status: status.as_u16() };
        self.metrics.observe(kind, self.begun);
        if let Some(problem) = problem {
            self.metrics.problems.count(problem);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.metrics.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use subtle_metrics::Format;

    use super::*;

    fn metrics() -> Data<Metrics> {
        let paths = vec![("/v1/users/{id}".to_owned(), vec![Method::GET])];
        Data::new(Metrics::new(Data::new(Paths::new(paths))))
    }

    fn shown(metrics: &Metrics) -> Vec<String> {
        let mut exposition = Exposition::new(Format::Prometheus);
        metrics.write_requests(&mut exposition);
        let text = exposition.finish();
        let counts = text.lines().filter(|line| line.starts_with("subtle_http_requests_total{"));
        counts.map(|line| line.trim_start_matches("subtle_http_requests_total").to_owned()).collect()
    }

    #[test]
    fn whatever_is_asked_for_there_are_only_so_many_kinds() {
        let metrics = metrics();
        for number in 0..1_000 {
            for path in [format!("/v1/users/{number}"), format!("/{number}")] {
                let method = format!("M{number}").parse().unwrap();
                Metrics::begin(&metrics, &method, &path).answered(StatusCode::NOT_FOUND, Some("not-found"));
                Metrics::begin(&metrics, &Method::GET, &path).answered(StatusCode::OK, None);
            }
        }
        let line = |method, route, status| {
            format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} 1000")
        };
        let mut shown = shown(&metrics);
        shown.sort();
        let mut expected = vec![
            line("GET", "unmatched", 200),
            line("GET", "/v1/users/{id}", 200),
            line("other", "unmatched", 404),
            line("other", "/v1/users/{id}", 404),
        ];
        expected.sort();
        assert_eq!(shown, expected);
        assert_eq!(metrics.problems.get(), [("not-found", 2_000)]);
    }

    #[test]
    fn a_request_is_in_flight_until_it_is_answered_or_given_up() {
        let metrics = metrics();
        let now = || metrics.in_flight.load(Ordering::Relaxed);
        let (one, other) =
            (Metrics::begin(&metrics, &Method::GET, "/a"), Metrics::begin(&metrics, &Method::GET, "/b"));
        assert_eq!(now(), 2);
        one.answered(StatusCode::OK, None);
        drop(other);
        assert_eq!((now(), shown(&metrics).len()), (0, 1));
    }
}
