use std::sync::mpsc::{Sender, channel};

use super::*;

impl Workers {
    /// Keeps a thread busy until the sender is used or dropped.
    pub(in crate::passwords) fn hold(&self) -> (Sender<()>, oneshot::Receiver<()>) {
        let (release, gate) = channel();
        let (started, is_started) = channel();
        let held = self.submit(move || {
            started.send(()).unwrap();
            gate.recv().unwrap_or(());
        });
        is_started.recv().unwrap();
        (release, held.unwrap())
    }
}

fn workers(threads: usize, queue: usize) -> Workers {
    Workers::start(NonZeroUsize::new(threads).unwrap(), queue, Duration::from_secs(2)).unwrap()
}

#[test]
fn work_is_done_on_threads_of_its_own() {
    let workers = workers(1, 0);
    let name = workers.submit(|| std::thread::current().name().map(str::to_owned)).unwrap();
    assert_eq!(name.blocking_recv().unwrap().as_deref(), Some("password-0"));
}

#[test]
fn as_many_run_as_there_are_threads_and_as_many_wait_as_may() {
    let workers = workers(2, 3);
    let held = [workers.hold(), workers.hold()];
    let waiting: Vec<_> = (0..3).map(|number| workers.submit(move || number).unwrap()).collect();
    assert_eq!((workers.running(), workers.waiting()), (2, 3));
    let Full { drained_in } = workers.submit(|| 3).unwrap_err();
    assert_eq!(drained_in, Duration::from_secs(5), "5 jobs of 2 s on 2 threads");
    drop(held);
    let answers: Vec<_> = waiting.into_iter().map(|answer| answer.blocking_recv().unwrap()).collect();
    assert_eq!(answers, [0, 1, 2]);
}

#[test]
fn idle_threads_are_never_too_busy() {
    let workers = workers(8, 0);
    let answers: Vec<_> = (0..8).map(|number| workers.submit(move || number).unwrap()).collect();
    assert_eq!(answers.into_iter().map(|answer| answer.blocking_recv().unwrap()).sum::<i32>(), 28);
}

#[test]
fn work_that_nobody_waits_for_any_more_is_skipped() {
    let workers = workers(1, 2);
    let (release, held) = workers.hold();
    let (done, record) = channel();
    let leaving = workers.submit({
        let done = done.clone();
        move || done.send("left")
    });
    let staying = workers.submit(move || done.send("stayed")).unwrap();
    drop(leaving);
    drop(release);
    held.blocking_recv().unwrap();
    staying.blocking_recv().unwrap().unwrap();
    assert_eq!(record.into_iter().collect::<Vec<_>>(), ["stayed"]);
}

#[test]
fn who_goes_away_gives_the_place_up() {
    let workers = workers(1, 1);
    let held = workers.hold();
    let leaving = workers.submit(|| 1).unwrap();
    assert!(workers.submit(|| 2).is_err());
    drop(leaving);
    let staying = workers.submit(|| 3).unwrap();
    drop(held);
    assert_eq!(staying.blocking_recv().unwrap(), 3);
}

#[test]
fn a_panic_costs_its_caller_the_answer_and_nobody_a_thread() {
    let workers = workers(1, 1);
    for _ in 0..3 {
        // Not `panic!`: its message would go to the tests' output.
        let failing = loop {
            if let Ok(failing) = workers.submit(|| std::panic::resume_unwind(Box::new("on purpose"))) {
                break failing;
            }
        };
        let answer: Result<(), _> = failing.blocking_recv();
        assert!(answer.is_err());
    }
    let answer = workers.submit(|| 4).unwrap();
    assert_eq!(answer.blocking_recv().unwrap(), 4);
}

#[test]
fn the_threads_end_with_the_workers() {
    let mut workers = workers(3, 5);
    let threads = std::mem::take(&mut workers.threads);
    let held = [workers.hold(), workers.hold(), workers.hold()];
    let waiting = workers.submit(|| ()).unwrap();
    drop(workers);
    assert!(waiting.blocking_recv().is_err(), "what still waited is dropped");
    drop(held);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn the_time_of_a_job_is_learnt() {
    let mut state = State {
        waiting: VecDeque::new(),
        running: 100,
        most: 100,
        threads: 1,
        mean: Duration::from_secs(1),
        closed: false,
    };
    for _ in 0..50 {
        state.finish(Duration::from_millis(10));
    }
    let expected = Duration::from_millis(500)..Duration::from_millis(600);
    assert!(expected.contains(&state.drained_in()), "{:?}", state.drained_in());
}
