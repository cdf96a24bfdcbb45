//! The server process: whether it runs, how it starts, how it stops. Whoever starts or stops it holds the gate.

use std::fs::{self, File};
use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::binaries::Binaries;
use crate::cluster::Options;
use crate::error::{Error, io_error};
use crate::folders::{Folders, socket};
use crate::process::{self, Shutdown};

/// Recovery after a crash reads up to a gigabyte of log.
const START: Duration = Duration::from_mins(2);
/// A fast shutdown writes a checkpoint; past this, the server is told to leave it.
const FAST_STOP: Duration = Duration::from_secs(30);
const IMMEDIATE_STOP: Duration = Duration::from_secs(10);
/// How long process and socket may disagree: a few milliseconds, if they are of one server.
const GRACE: Duration = Duration::from_secs(1);
/// How long the sessions of a killed server may hold up the next.
const ORPHANS: Duration = Duration::from_secs(10);
/// What the server says of them.
const STILL_USED: &str = "is still in use";
const POLL: Duration = Duration::from_millis(2);

/// A server that accepts connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Postmaster {
    pub(crate) pid: i32,
    /// When it started; with the pid, this tells it from every other.
    pub(crate) started: String,
    /// The folder of its socket.
    pub(crate) sockets: PathBuf,
}

/// What `postmaster.pid` says: the server fills it in line by line.
struct PidFile {
    postmaster: Postmaster,
    ready: bool,
}

impl PidFile {
    fn path(data: &Path) -> PathBuf {
        data.join("postmaster.pid")
    }

    /// `None` when there is none, or one that breaks off before the line of the socket's folder.
    fn read(data: &Path) -> Result<Option<Self>, Error> {
        let path = Self::path(data);
        match fs::read(&path) {
            Ok(text) => Ok(Self::parse(&String::from_utf8_lossy(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    /// Lines: pid, data folder, time of start, port, folder of the socket, address, shared memory, status.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        let pid = lines.first()?.trim().parse().ok()?;
        let started = (*lines.get(2)?).to_owned();
        let sockets = PathBuf::from(lines.get(4).filter(|line| !line.is_empty())?);
        let ready = lines.get(7).is_some_and(|status| status.trim() == "ready");
        Some(Self { postmaster: Postmaster { pid, started, sockets }, ready })
    }
}

/// The server that runs on the data folder, once it is ready; `None` when there is none, or only a stale pid file.
pub(crate) fn find(folders: &Folders) -> Result<Option<Postmaster>, Error> {
    let begin = Instant::now();
    while begin.elapsed() < START {
        let Some(PidFile { postmaster, ready }) = PidFile::read(&folders.data)? else {
            return Ok(None);
        };
        // Neither proves anything alone. After a crash or a restart of the machine the process may be anyone's; and a session that
        // was just forked off holds the socket for a moment after its server was killed. A server in another container listens
        // all the time, and its process is not to be seen.
        let (listens, exists) = (listens(&postmaster.sockets)?, process::exists(postmaster.pid));
        let settled = begin.elapsed() > GRACE;
        if listens && ready && (exists || settled) {
            return Ok(Some(postmaster));
        }
        if !listens && (!exists || settled) {
            return Ok(None);
        }
        thread::sleep(POLL);
    }
    Err(not_ready(folders))
}

fn listens(sockets: &Path) -> Result<bool, Error> {
    let socket = socket(sockets);
    match UnixStream::connect(&socket) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Ok(false)
        }
        Err(error) => Err(io_error("connect to", &socket)(error)),
    }
}

/// Starts a server where [`find`] found none, and waits until it is ready.
pub(crate) fn launch(
    folders: &Folders,
    account: Account,
    binaries: &Binaries,
    options: &Options,
) -> Result<Postmaster, Error> {
    let sockets = folders.make_sockets(account)?;
    remove_stale_locks(folders, &sockets)?;
    let begin = Instant::now();
    loop {
        let (pid, exit) = spawn(folders, &sockets, account, binaries, options)?;
        match until_ready(folders, pid, &exit) {
            // The sessions of a server that was killed take a moment to notice.
            Err(Error::NotStarted { tail, .. }) if tail.contains(STILL_USED) && begin.elapsed() < ORPHANS => {
                thread::sleep(POLL);
            }
            outcome => return outcome,
        }
    }
}

/// The server clears away its own stale files, after a look for sessions that outlived it, unless their process id is another's by
/// now. Only then are they removed for it.
fn remove_stale_locks(folders: &Folders, sockets: &Path) -> Result<(), Error> {
    for lock in [PidFile::path(&folders.data), socket(sockets).with_added_extension("lock")] {
        let text = fs::read(&lock).unwrap_or_default();
        let pid = String::from_utf8_lossy(&text).lines().next().and_then(|line| line.trim().parse().ok());
        if pid.is_some_and(process::exists) {
            fs::remove_file(&lock).map_err(io_error("remove", &lock))?;
        }
    }
    Ok(())
}

/// By its own process id: the file may still be that of the server before.
fn until_ready(folders: &Folders, pid: u32, exit: &Receiver<ExitStatus>) -> Result<Postmaster, Error> {
    let begin = Instant::now();
    while begin.elapsed() < START {
        if let Ok(status) = exit.try_recv() {
            return Err(not_started(folders, status.to_string()));
        }
        match PidFile::read(&folders.data)? {
            Some(file) if file.ready && u32::try_from(file.postmaster.pid) == Ok(pid) => {
                return Ok(file.postmaster);
            }
            _ => thread::sleep(POLL),
        }
    }
    Err(not_ready(folders))
}

/// The server's process id, and a receiver that tells when it has ended. A thread waits for that, lest the server stay as a zombie when another process
/// stops it.
fn spawn(
    folders: &Folders,
    sockets: &Path,
    account: Account,
    binaries: &Binaries,
    options: &Options,
) -> Result<(u32, Receiver<ExitStatus>), Error> {
    let log = File::create(&folders.log).map_err(io_error("write", &folders.log))?;
    let same_log = log.try_clone().map_err(io_error("write", &folders.log))?;
    let program = binaries.program("postgres");
    let mut command = account.command(&program);
    command.arg("-D").arg(&folders.data).stdout(log).stderr(same_log);
    for setting in settings(sockets, options) {
        command.arg("-c").arg(setting);
    }
    // A process group of its own: Ctrl-C at the terminal reaches us, and we stop the server when we have let go of it.
    let mut child = command.process_group(0).spawn().map_err(io_error("run", &program))?;
    let pid = child.id();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || child.wait().map(|status| sender.send(status)));
    Ok((pid, receiver))
}

fn settings(sockets: &Path, options: &Options) -> Vec<String> {
    let mut settings = vec![
        "listen_addresses=".to_owned(),
        format!("unix_socket_directories=\"{}\"", sockets.display()),
        "unix_socket_permissions=0700".to_owned(),
        format!("port={}", crate::url::PORT),
        format!("max_connections={}", options.max_connections),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
    ];
    settings.extend(options.durability.settings().iter().map(|&setting| setting.to_owned()));
    settings
}

fn not_ready(folders: &Folders) -> Error {
    not_started(folders, format!("not ready after {} s", START.as_secs()))
}

fn not_started(folders: &Folders, reason: String) -> Error {
    let text = fs::read(&folders.log).unwrap_or_default();
    Error::NotStarted { reason, log: folders.log.clone(), tail: tail(&String::from_utf8_lossy(&text)) }
}

fn tail(text: &str) -> String {
    const LINES: usize = 20;
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}

/// Stops the server and waits until it has let go of the data folder. By the pid file, not the process: that may stay as a zombie.
pub(crate) fn shut_down(data: &Path, postmaster: &Postmaster) -> Result<(), Error> {
    for (how, patience) in [(Shutdown::Fast, FAST_STOP), (Shutdown::Immediate, IMMEDIATE_STOP)] {
        if let Err(error) = process::shut_down(postmaster.pid, how)
            && process::exists(postmaster.pid)
        {
            return Err(io_error("stop the server of", data)(error));
        }
        let begin = Instant::now();
        while begin.elapsed() < patience {
            let left = PidFile::read(data)?.is_none_or(|file| file.postmaster != *postmaster);
            if left || !process::exists(postmaster.pid) {
                return Ok(());
            }
            thread::sleep(POLL);
        }
    }
    Err(Error::NotStopped(postmaster.pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTING: &str = "4711\n/data\n1700000000\n5432\n/run/x\n\n  5432001         7\nstarting\n";

    #[test]
    fn the_pid_file_tells_process_socket_and_state() {
        let starting = PidFile::parse(STARTING).unwrap();
        assert_eq!(starting.postmaster.pid, 4711);
        assert_eq!(starting.postmaster.sockets, Path::new("/run/x"));
        assert!(!starting.ready);
        assert!(PidFile::parse(&STARTING.replace("starting", "ready   ")).unwrap().ready);
    }

    #[test]
    fn a_pid_file_that_breaks_off_names_no_server() {
        for text in ["", "4711\n", "4711\n/data\n1700000000\n5432\n\n", "what\n/data\n1\n5432\n/run/x\n"] {
            assert!(PidFile::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn the_end_of_the_log_is_its_last_twenty_lines() {
        let log: Vec<String> = (1..=50).map(|line| line.to_string()).collect();
        assert_eq!(tail(&log.join("\n")).lines().next(), Some("31"));
        assert_eq!(tail("one\ntwo\n"), "one\ntwo");
    }
}
