//! How the system asks us to stop.

use std::io;
use std::process;

use tokio::signal::unix::{self, SignalKind, signal};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// A supervisor: SIGTERM.
    Terminate,
    /// Somebody at the terminal: SIGINT.
    Interrupt,
    /// The terminal is gone: SIGHUP.
    HangUp,
}

impl Signal {
    /// What a shell makes of a process that such a signal has ended.
    fn exit_code(self) -> i32 {
        match self {
            Self::Terminate => 128 + 15,
            Self::Interrupt => 128 + 2,
            Self::HangUp => 128 + 1,
        }
    }
}

/// The signals that come from now on.
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hang_up: unix::Signal,
}

impl Signals {
    /// From here on no signal ends the process by itself.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.hang_up.recv() => Signal::HangUp,
        }
    }

    /// Ends the process at the next signal, whatever it is doing.
    pub(super) async fn exit_at_next(mut self) {
        let signal = self.next().await;
        process::exit(signal.exit_code());
    }
}
