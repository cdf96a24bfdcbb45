use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest wait for a server to say where it listens.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server in a process of its own, killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    address: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts `subtle` and waits until it says where it listens.
    pub(crate) fn start(environment: &BTreeMap<String, String>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_subtle-under-test"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (told, heard) = channel();
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("listening on http://") {
                    let address: String =
                        address.chars().take_while(|c| !c.is_whitespace() && *c != '"').collect();
                    let _nobody_waits_any_more = told.send(address);
                }
                kept.lock().unwrap().push(line);
            }
        });
        let address = listens(&heard, &mut child, &lines);
        Self { child, address, lines }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Sends a signal by its name: `TERM`, `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        assert!(kill(name, &[self.id().cast_signed()]));
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(&mut self) {
        let _already_dead = self.child.kill();
        let _status = self.child.wait();
    }

    /// Waits for its end, `None` if that takes longer than `patience`.
    pub(crate) async fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to processes; whether they could be sent it. By the shell, for not every machine has the program.
pub(crate) fn kill(signal: &str, pids: &[i32]) -> bool {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("kill -{signal} {}", pids.join(" ")))
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}

fn listens(heard: &Receiver<String>, child: &mut Child, lines: &Mutex<Vec<String>>) -> String {
    match heard.recv_timeout(PATIENCE) {
        Ok(address) => address,
        Err(error @ (RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)) => {
            let _already_dead = child.kill();
            panic!("the server did not start ({error}): {:#?}", lines.lock().unwrap());
        }
    }
}
