use tokio::sync::mpsc::channel;
use tracing::field::Empty;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What comes of some work, by a queue of ten, and how much is dropped.
fn collected(ratio: &str, work: impl FnOnce()) -> (Vec<Span>, u64) {
    let (queue, mut finished) = channel(10);
    let outcomes = Arc::new(Outcomes::default());
    let collector = Collector::new(queue, ratio.parse().unwrap(), Arc::clone(&outcomes));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(collector.layer()), work);
    (std::iter::from_fn(|| finished.try_recv().ok()).collect(), outcomes.dropped.get())
}

fn request(traceparent: Option<&str>) -> tracing::Span {
    tracing::info_span!(
        target: TARGET, "request", otel.kind = "server", otel.name = "GET /v1/me", traceparent,
        http.route = "/v1/me", http.response.status_code = Empty, otel.status_code = Empty
    )
}

#[test]
fn a_request_and_what_it_waits_for_are_one_trace() {
    let (spans, _) = collected("1", || {
        let request = request(None);
        let _around = request.clone().entered();
        // A span of the log in between is no part of it.
        let _log = tracing::info_span!("request", path = "/v1/users/u1").entered();
        tracing::debug_span!(target: TARGET, "statement", otel.kind = "client", code.line.number = 3)
            .in_scope(|| {});
        request.record("http.response.status_code", 503_u16);
        request.record("otel.status_code", "ERROR");
    });
    let [inside, around] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(
        (inside.name.as_str(), inside.kind, inside.parent),
        ("statement", Kind::Client, Some(around.id))
    );
    assert_eq!((around.name.as_str(), around.kind, around.parent), ("GET /v1/me", Kind::Server, None));
    assert!(inside.trace == around.trace && inside.id != around.id && around.trace != 0);
    assert!(around.began <= inside.began && inside.began + inside.took <= around.began + around.took);
    assert_eq!(inside.attributes, [("code.line.number", number(3))]);
    let told = [("http.route", text("/v1/me")), ("http.response.status_code", number(503))];
    assert_eq!(around.attributes, told);
    assert!(around.has_failed && !inside.has_failed);
}

#[test]
fn what_is_formatted_for_the_log_is_not_told() {
    let (spans, _) = collected("1", || {
        let span = request(None);
        tracing::info_span!(target: TARGET, parent: &span, "inside", a = ?"s3cret", b = %"s3cret").in_scope(
            || {
                tracing::info!(target: TARGET, secret = "s3cret", "an event");
            },
        );
    });
    assert_eq!(spans.len(), 2);
    assert!(!format!("{spans:?}").contains("s3cret"), "{spans:?}");
}

#[test]
fn a_callers_trace_goes_on_and_the_caller_decides_whether_it_is_kept() {
    let of = |ratio, parent: &str| collected(ratio, || drop(request(Some(parent)))).0;
    let known = Context::parse(PARENT).unwrap();
    let [span] = &of("0", PARENT)[..] else { panic!() };
    assert_eq!((span.trace, span.parent), (known.trace, Some(known.span)));
    assert!(of("1", &PARENT.replace("-01", "-00")).is_empty(), "the caller does not keep it");
    let [own] = &of("1", "nonsense")[..] else { panic!() };
    assert!(own.parent.is_none() && own.trace != known.trace);
    assert!(of("0", "nonsense").is_empty());
}

#[test]
fn what_happens_outside_of_a_kept_request_is_not_traced() {
    let inside = || tracing::debug_span!(target: TARGET, "statement", otel.kind = "client").in_scope(|| {});
    assert!(collected("1", inside).0.is_empty(), "nobody asked for it");
    assert!(collected("0", || request(None).in_scope(inside)).0.is_empty());
}

#[test]
fn where_there_is_no_room_spans_are_dropped_and_counted() {
    let (spans, dropped) = collected("1", || (0..15).for_each(|_| drop(request(None))));
    assert_eq!((spans.len(), dropped), (10, 5));
    let traces: std::collections::HashSet<_> = spans.iter().map(|span| span.trace).collect();
    assert_eq!(traces.len(), 10, "each is a trace of its own");
}

#[test]
fn lines_of_the_log_can_name_the_trace() {
    use tracing_subscriber::registry::{Registry, Scope};

    struct Names(std::sync::mpsc::Sender<Option<String>>);
    impl Layer<Subscribed> for Names {
        fn on_event(&self, event: &tracing::Event<'_>, context: Layered<'_, Subscribed>) {
            let scope = context.event_scope(event);
            let named = scope.into_iter().flat_map(Scope::from_root).find_map(|span| trace_id(&span));
            self.0.send(named).unwrap();
        }
    }
    type Subscribed = tracing_subscriber::layer::Layered<Box<dyn Layer<Registry> + Send + Sync>, Registry>;

    let (queue, _finished) = channel(10);
    let collector = Collector::new(queue, "0".parse().unwrap(), Arc::default());
    let (sender, names) = std::sync::mpsc::channel();
    let subscriber = tracing_subscriber::registry().with(collector.layer().boxed()).with(Names(sender));
    tracing::subscriber::with_default(subscriber, || {
        request(Some(PARENT)).in_scope(|| tracing::info!("traced"));
        request(None).in_scope(|| tracing::info!("not traced"));
    });
    let told: Vec<_> = names.try_iter().collect();
    assert_eq!(told, [Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()), None]);
}
