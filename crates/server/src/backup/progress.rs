//! How far it is, on standard error: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

/// How often a plain line tells of the same piece of work.
const EVERY: Duration = Duration::from_secs(5);
/// How many characters a bar has.
const WIDTH: usize = 24;

pub(super) struct Progress {
    on_terminal: bool,
    what: &'static str,
    done: usize,
    all: Option<usize>,
    told: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { on_terminal: stderr().is_terminal(), what: "", done: 0, all: None, told: Instant::now() }
    }

    /// Begins a piece of work of so many steps.
    pub(super) fn begin(&mut self, what: &'static str, all: Option<usize>) {
        (self.what, self.done, self.all) = (what, 0, all);
        self.tell("");
    }

    /// One step is being made.
    pub(super) fn step(&mut self, of: &str) {
        self.done += 1;
        if self.on_terminal || self.told.elapsed() >= EVERY {
            self.tell(of);
        }
    }

    /// Leaves the line to others.
    pub(super) fn end(&mut self) {
        if self.on_terminal {
            write("\r\x1b[K");
        }
    }

    fn tell(&mut self, of: &str) {
        self.told = Instant::now();
        let line = line(self.what, self.done, self.all, of);
        if self.on_terminal { write(&format!("\r\x1b[K{line}")) } else { write(&format!("{line}\n")) }
    }
}

/// There is nobody to tell when this fails.
fn write(text: &str) {
    let mut out = stderr();
    let _told = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn line(what: &str, done: usize, all: Option<usize>, of: &str) -> String {
    let Some(all) = all.filter(|all| *all > 0) else { return format!("{what} …") };
    let filled = (done.min(all) * WIDTH) / all;
    let bar = format!("{}{}", "#".repeat(filled), "-".repeat(WIDTH - filled));
    format!("{what:<10} [{bar}] {done}/{all} {of}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_up() {
        assert_eq!(line("dumping", 0, Some(2), ""), "dumping    [------------------------] 0/2");
        assert_eq!(line("dumping", 1, Some(2), "users"), "dumping    [############------------] 1/2 users");
        assert_eq!(line("dumping", 3, Some(2), ""), "dumping    [########################] 3/2");
        assert_eq!(line("counting", 0, None, ""), "counting …");
    }
}
