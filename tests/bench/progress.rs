//! How far the run is, on stderr: a bar on a terminal, a line for each step elsewhere.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

const WIDTH: usize = 30;
/// Between two looks at a bar.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two lines where there is no terminal.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// Something that takes its time.
pub(crate) struct Progress {
    what: String,
    of: u64,
    done: u64,
    begun: Instant,
    told: Instant,
    on_terminal: bool,
}

impl Progress {
    pub(crate) fn begin(what: impl Into<String>, of: u64) -> Self {
        let (now, on_terminal) = (Instant::now(), stderr().is_terminal());
        let progress = Self { what: what.into(), of, done: 0, begun: now, told: now, on_terminal };
        progress.tell();
        progress
    }

    /// So much of it is done by now.
    pub(crate) fn reached(&mut self, done: u64) {
        self.done = done;
        let pause = if self.on_terminal { PAUSE } else { LONG_PAUSE };
        if self.told.elapsed() >= pause {
            self.told = Instant::now();
            self.tell();
        }
    }

    /// So much more of it is done.
    pub(crate) fn advance(&mut self, by: u64) {
        self.reached(self.done + by);
    }

    fn tell(&self) {
        if self.on_terminal {
            let share = usize::try_from(self.done.min(self.of) * WIDTH as u64 / self.of.max(1)).unwrap();
            eprint!("\r\x1b[K{} [{}{}]", self.what, "#".repeat(share), " ".repeat(WIDTH - share));
        } else if self.done == 0 {
            eprintln!("{}", self.what);
        } else {
            eprintln!("{}: {} of {}", self.what, self.done, self.of);
        }
        let _nobody_reads = stderr().flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on_terminal {
            eprintln!("\r\x1b[K{}: {:.1} s", self.what, self.begun.elapsed().as_secs_f64());
        }
    }
}

/// Says what happens now.
pub(crate) fn note(what: &str) {
    eprintln!("{what}");
}
