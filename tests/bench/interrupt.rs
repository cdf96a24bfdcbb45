//! What is to be ended when the run is told to end in the middle: PostgreSQL has a process group of its own, and would run on.

use std::path::Path;
use std::process::{Command, Stdio, exit};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use crate::progress::note;
use crate::trouble::{Outcome, Trouble};

/// Processes that were begun.
static BEGUN: Mutex<Vec<i32>> = Mutex::new(Vec::new());
/// Longest wait for their end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process of ours.
pub(crate) fn begun(pid: i32) {
    BEGUN.lock().unwrap().push(pid);
}

/// It was ended.
pub(crate) fn ended(pid: i32) {
    BEGUN.lock().unwrap().retain(|other| *other != pid);
}

/// Waits for Ctrl-C and SIGTERM on a thread of its own.
pub(crate) fn watch(folder: &Path) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Trouble::when("start a runtime"))?;
    let folder = folder.to_owned();
    thread::spawn(move || {
        runtime.block_on(async {
            let mut term = signal(SignalKind::terminate()).unwrap();
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term.recv() => {}
            }
        });
        note("interrupted");
        let pids: Vec<_> = BEGUN.lock().unwrap().iter().map(ToString::to_string).collect();
        let begun = Instant::now();
        kill("INT", &pids);
        while kill("0", &pids) && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(50));
        }
        let _left_for_the_next_run = std::fs::remove_dir_all(&folder);
        exit(1);
    });
    Ok(())
}

/// Sends processes a signal; whether one of them could be sent it. By the shell, for not every machine has the program.
fn kill(signal: &str, pids: &[String]) -> bool {
    let each = pids.iter().map(|pid| format!("kill -{signal} {pid} && sent=0")).collect::<Vec<_>>();
    let script = format!("sent=1; {}; exit $sent", each.join("; "));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).stderr(Stdio::null());
    !pids.is_empty() && shell.status().is_ok_and(|status| status.success())
}
