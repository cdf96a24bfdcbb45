//! The three things std cannot do: signal a process that is no child of ours, tell who we are, run something at exit.

use std::io;

/// How a postmaster is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shutdown {
    /// Ends the sessions, writes a checkpoint.
    Fast,
    /// Ends at once; the next start recovers from the log.
    Immediate,
}

pub(crate) fn shut_down(pid: i32, how: Shutdown) -> io::Result<()> {
    let signal = match how {
        Shutdown::Fast => libc::SIGINT,
        Shutdown::Immediate => libc::SIGQUIT,
    };
    kill(pid, signal)
}

/// Whether a process has this id: one of ours or not, a zombie too.
pub(crate) fn exists(pid: i32) -> bool {
    kill(pid, 0).map_or_else(|error| error.raw_os_error() == Some(libc::EPERM), |()| true)
}

fn kill(pid: i32, signal: i32) -> io::Result<()> {
    if pid <= 1 {
        // 0 and below are process groups, 1 is init: a spoilt pid file must not reach them.
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: takes two numbers and touches no memory of ours.
    #[expect(unsafe_code, reason = "std signals child processes only, and only with SIGKILL")]
    let answer = unsafe { libc::kill(pid, signal) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(crate) fn effective_uid() -> u32 {
    // SAFETY: takes nothing, touches no memory and cannot fail.
    #[expect(unsafe_code, reason = "std does not tell the effective user")]
    unsafe {
        libc::geteuid()
    }
}

/// Runs `handler` when the process ends by itself: when `main` returns or `exit` is called, not when a signal kills it.
pub(crate) fn at_exit(handler: extern "C" fn()) {
    // SAFETY: `handler` is a plain function and lives as long as the program; its type keeps a panic from leaving it.
    #[expect(unsafe_code, reason = "statics are not dropped, and std has no other hook at exit")]
    // Without the handler (no memory left) the cluster would run on and be adopted by the next process.
    let _ = unsafe { libc::atexit(handler) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_exists_until_it_is_reaped() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(exists(pid));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!exists(pid));
    }

    #[test]
    fn process_groups_and_init_are_out_of_reach() {
        for pid in [i32::MIN, -1, 0, 1] {
            assert!(shut_down(pid, Shutdown::Immediate).is_err());
            assert!(!exists(pid));
        }
    }
}
