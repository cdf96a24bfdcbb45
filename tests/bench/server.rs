//! The server under test: a release build in a process of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::interrupt;
use crate::plain;
use crate::trouble::{Outcome, Trouble};

/// Longest wait until it is ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two questions whether it is.
const PAUSE: Duration = Duration::from_millis(1);

/// Numbers the servers' logs.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// How servers are started.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `subtle`.
    pub(crate) program: PathBuf,
    /// The database as the server's role reaches it.
    pub(crate) url: String,
    /// A folder of its own.
    pub(crate) data: PathBuf,
    /// Of bcrypt.
    pub(crate) cost: u32,
}

/// A server, killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    address: String,
    /// From the start of the process to the first answer that it is ready.
    pub(crate) start: Duration,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(settings: &Settings) -> Outcome<Self> {
        let begun = Instant::now();
        let trouble = |tried: &str| Trouble::when(format!("{tried} {}", settings.program.display()));
        // Into a file, as a service manager would take it: to read it here would cost the machine as much as a request.
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let log = settings.data.with_file_name(format!("server{number}.log"));
        let stderr = File::create(&log).map_err(trouble("write the log of"))?;
        let mut command = command(settings);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let child = command.spawn().map_err(trouble("run"))?;
        interrupt::begun(child.id().cast_signed());
        let mut server = Self { child, address: String::new(), start: Duration::ZERO };
        server.address = server.listens(&log, begun)?;
        while !plain::get(&server.address, "/health/ready", "").is_ok_and(|answer| answer.status == 200) {
            if begun.elapsed() > PATIENCE {
                return Err(Trouble::new(format!("the server is not ready after {} s", PATIENCE.as_secs())));
            }
            std::thread::sleep(PAUSE);
        }
        server.start = begun.elapsed();
        Ok(server)
    }

    /// Waits until its log says where.
    fn listens(&mut self, log: &Path, begun: Instant) -> Outcome<String> {
        loop {
            let said = std::fs::read_to_string(log).map_err(Trouble::when("read the server's log"))?;
            let behind = said.split_once("listening on http://").map(|(_, behind)| behind);
            if let Some((address, _)) = behind.and_then(|behind| behind.split_once('"')) {
                return Ok(address.to_owned());
            }
            let ended = self.child.try_wait().map_err(Trouble::when("look after the server"))?.is_some();
            if ended || begun.elapsed() > PATIENCE {
                let last = said.lines().last().unwrap_or_default();
                return Err(Trouble::new(format!("the server does not start: {last}")));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Where it listens: `127.0.0.1:…`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_dead = self.child.kill();
        let _status = self.child.wait();
        interrupt::ended(self.pid());
    }
}

/// Runs one of its other commands to the end.
pub(crate) fn run(program: &Path, url: &str, data: &Path, arguments: &[&str]) -> Outcome {
    let mut command = bare(program, url, data);
    let typed = format!("subtle {}", arguments.join(" "));
    let output = command.args(arguments).output();
    let output = output.map_err(Trouble::when(format_args!("run {}", program.display())))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Trouble::new(format!("`{typed}`: {}: {}", output.status, said.lines().last().unwrap_or_default())))
}

fn command(settings: &Settings) -> Command {
    let mut command = bare(&settings.program, &settings.url, &settings.data);
    command.env("SUBTLE_BCRYPT_COST", settings.cost.to_string());
    command
}

/// With nothing of our own environment in it.
fn bare(program: &Path, url: &str, data: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("DATABASE_URL", url).env("SUBTLE_DATA_DIR", data);
    command.env("SUBTLE_SECRET", "a secret of the bench with 32 bytes or more");
    command.env("SUBTLE_LISTEN", "127.0.0.1:0").env("SUBTLE_RATE_LIMIT", "off");
    // Who signs in at the begin of a run is asked for things until its end.
    command.env("SUBTLE_ACCESS_TOKEN_TTL", "4h");
    command.env("SUBTLE_LOG_FORMAT", "json");
    command
}
