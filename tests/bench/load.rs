//! The load tool: many connections, one thread, nothing between a request's bytes and the socket.
//!
//! It takes about a tenth of what the server takes for the cheapest of its requests: [docs/performance.md] has the figures.

mod connection;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::histogram::Histogram;
use crate::trouble::{Outcome, Trouble};
use connection::{Connection, Step};

/// One connection's user: says what is asked next, and hears what comes.
pub(crate) trait Caller: Send {
    /// Writes the next request; `false` when there is nothing more to ask.
    fn ask(&mut self, request: &mut Vec<u8>) -> bool;

    /// Takes the answer; whether it is what was hoped for.
    fn hear(&mut self, status: u16, body: &[u8]) -> bool;
}

/// Whether answers count: at the beginning they do not.
#[derive(Debug, Default)]
pub(crate) struct Phase(AtomicU8);

const COUNTING: u8 = 1;
const OVER: u8 = 2;

impl Phase {
    /// Answers count from here on.
    pub(crate) fn count(&self) {
        self.0.store(COUNTING, Ordering::Relaxed);
    }

    /// No more is asked; what is under way is waited for.
    pub(crate) fn end(&self) {
        self.0.store(OVER, Ordering::Relaxed);
    }

    fn counts(&self) -> bool {
        self.0.load(Ordering::Relaxed) == COUNTING
    }

    fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) == OVER
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Driven {
    pub(crate) answers: u64,
    pub(crate) failures: u64,
    /// One of the failures.
    pub(crate) failure: Option<String>,
    pub(crate) times: Histogram,
}

impl Driven {
    fn fail(&mut self, why: String) {
        self.failures += 1;
        self.failure.get_or_insert(why);
    }
}

/// How long the end waits for what is under way.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether the phase has changed.
const LOOK: Duration = Duration::from_millis(20);
/// How many connections are looked at together.
const TOGETHER: usize = 1024;

/// Lets each caller ask on a connection of its own until the phase is over or none has anything to ask.
///
/// With a pace, each asks at fixed moments so far apart, and its times are counted from those: who is kept waiting by one answer is late
/// with the next request, and the time says so. Without, each asks as soon as it is answered.
pub(crate) fn drive<C: Caller>(
    address: &str,
    callers: Vec<C>,
    pace: Option<Duration>,
    phase: &Phase,
) -> Outcome<(Driven, Vec<C>)> {
    let trouble = || Trouble::when(format!("put load on {address}"));
    let address = address.parse().map_err(|_no_address| Trouble::new(format!("{address} is no address")))?;
    let mut poll = Poll::new().map_err(trouble())?;
    let mut events = Events::with_capacity(TOGETHER);
    let mut connections = Vec::with_capacity(callers.len());
    let begun = Instant::now();
    for (number, caller) in callers.into_iter().enumerate() {
        // Apart from each other from the beginning on, lest all ask at one moment.
        let offset = pace.unwrap_or_default().mul_f64(fraction(number));
        let connection = Connection::open(address, Token(number), poll.registry(), caller);
        connections.push(connection.map_err(trouble())?.due(begun + offset));
    }
    let (mut driven, mut ended) = (Driven::default(), None);
    while connections.iter().any(|connection| !connection.rests_for_ever()) {
        if phase.is_over() {
            let ended = *ended.get_or_insert_with(Instant::now);
            connections.iter_mut().for_each(Connection::ask_no_more);
            if ended.elapsed() > PATIENCE {
                driven.fail("no answer".to_owned());
                break;
            }
        }
        let now = Instant::now();
        for connection in &mut connections {
            if connection.is_due(now) {
                note(connection.ask(poll.registry(), now), &mut driven, phase);
            }
        }
        let next_due = connections.iter().filter_map(Connection::waits_until).min();
        let pause = next_due.map_or(LOOK, |due| due.saturating_duration_since(Instant::now()).min(LOOK));
        match poll.poll(&mut events, Some(pause)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(trouble()(error)),
            _ => {}
        }
        for event in &events {
            let connection = &mut connections[event.token().0];
            note(connection.advance(poll.registry(), pace), &mut driven, phase);
        }
    }
    Ok((driven, connections.into_iter().map(Connection::into_caller).collect()))
}

fn note(step: Step, driven: &mut Driven, phase: &Phase) {
    match step {
        Step::Waiting => {}
        Step::Answered(took) if phase.counts() => {
            driven.answers += 1;
            driven.times.record(took);
        }
        Step::Answered(_uncounted) => {}
        Step::Failed(why) => driven.fail(why),
    }
}

/// Numbers spread evenly over 0 to 1, however many are taken.
fn fraction(number: usize) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    (f64::from(u32::try_from(number).unwrap()) * GOLDEN).fract()
}
