//! One measurement: a load for some seconds, what came back, what it cost.

use std::thread;
use std::time::{Duration, Instant};

use crate::common::machine;
use crate::cpu::memory;
use crate::load::{Caller, Driven, Phase, drive};
use crate::progress::Progress;
use crate::stage::Stage;
use crate::trouble::Outcome;

/// How much is asked of the server, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) connections: u16,
    /// What is not counted, at the beginning.
    pub(crate) warm_up: Duration,
    pub(crate) length: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) connections: u64,
    pub(crate) per_second: f64,
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
    /// CPU time of a request, where it is told.
    pub(crate) cost: Option<Cost>,
    /// Of the server afterwards, in bytes, where it is told.
    pub(crate) memory: Option<u64>,
    /// Answers that were not hoped for, and one of them.
    pub(crate) failures: u64,
    pub(crate) failure: Option<String>,
    /// The machine's average load before it began.
    pub(crate) machine: String,
}

/// CPU time of one request in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) server: f64,
    pub(crate) postgres: f64,
    pub(crate) load_tool: f64,
}

/// Puts load on the server; the callers come back as they are then.
pub(crate) fn measure<C: Caller>(
    stage: &Stage,
    what: &str,
    callers: Vec<C>,
    pace: Option<Duration>,
    plan: Plan,
) -> Outcome<(Measured, Vec<C>)> {
    let machine = machine::load();
    stage.database.checkpoint()?;
    let connections = callers.len() as u64;
    let phase = Phase::default();
    let (elapsed, spent, driven) = thread::scope(|scope| {
        let driving = scope.spawn(|| drive(stage.server.address(), callers, pace, &phase));
        thread::sleep(plan.warm_up);
        let before = stage.meter().read();
        let begun = Instant::now();
        phase.count();
        wait(what, plan.length);
        let elapsed = begun.elapsed();
        phase.end();
        let spent = before.zip(stage.meter().read()).map(|(before, after)| after.since(before));
        (elapsed, spent, driving.join().unwrap())
    });
    let (driven, callers) = driven?;
    let Driven { answers, failures, failure, times } = driven;
    #[expect(clippy::cast_precision_loss, reason = "no run makes 2⁵² requests")]
    let requests = answers as f64;
    let each = |seconds: f64| seconds * 1e6 / requests.max(1.0);
    let cost = spent.map(|cpu| Cost {
        server: each(cpu.server),
        postgres: each(cpu.postgres),
        load_tool: each(cpu.ourselves),
    });
    let measured = Measured {
        connections,
        per_second: requests / elapsed.as_secs_f64(),
        p50: times.quantile(0.5),
        p99: times.quantile(0.99),
        cost,
        memory: memory(stage.server.pid()).map(|memory| memory.now),
        failures,
        failure,
        machine,
    };
    Ok((measured, callers))
}

/// Lets time pass, and shows that it does.
fn wait(what: &str, length: Duration) {
    let (begun, millis) = (Instant::now(), |time: Duration| u64::try_from(time.as_millis()).unwrap());
    let mut progress = Progress::begin(what, millis(length));
    while let Some(left) = length.checked_sub(begun.elapsed()) {
        thread::sleep(left.min(Duration::from_millis(200)));
        progress.reached(millis(begun.elapsed()));
    }
}
