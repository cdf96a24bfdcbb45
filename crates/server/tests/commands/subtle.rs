//! The program under test, in a folder of its own.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use subtle_local_postgres::testing::{self, TestDatabase};
use subtle_persistence::migrations;

/// Long enough for a busy machine; reached only when something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A folder to work in, which is gone when this is.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("subtle-commands-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The program, to be run here with the cheapest passwords on a free port, and nothing of this process's environment.
    pub(crate) fn subtle(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_subtle"));
        command.args(arguments).current_dir(&self.0).env_clear();
        for kept in ["PATH", "PG_BINDIR", "TMPDIR"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        command
            .env("SUBTLE_LISTEN", "127.0.0.1:0")
            .env("SUBTLE_BCRYPT_COST", "4")
            .env("SUBTLE_SHUTDOWN_DELAY", "0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The same, on a database.
    pub(crate) fn on(&self, url: &str, arguments: &[&str]) -> Command {
        let mut command = self.subtle(arguments);
        command.env("DATABASE_URL", url);
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// A database with all migrations.
pub(crate) fn migrated() -> TestDatabase {
    testing::database(&migrations::fingerprint(), |url| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(migrations::migrate(url))?;
        Ok(())
    })
}

/// Runs SQL on a database.
pub(crate) fn sql(database: &TestDatabase, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
        let done = async move { client.batch_execute(sql).await };
        let (_closed, done) = tokio::join!(connection, done);
        done.unwrap();
    });
}

/// The one text that a query finds.
pub(crate) fn value(database: &TestDatabase, query: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
        let found = async move { client.query_one(query, &[]).await };
        let (_closed, found) = tokio::join!(connection, found);
        found.unwrap().get(0)
    })
}

/// Sends a request with a body; gives the status and the body of the answer.
pub(crate) fn request(method: &str, url: &str, access: &str, body: &Value) -> (u16, Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let request = reqwest::Client::new().request(method.parse().unwrap(), url);
        let answer = request.bearer_auth(access).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    })
}

/// Runs to the end, with this on standard input.
pub(crate) fn run_with(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // One that refuses its arguments does not wait for input.
    let _may_be_gone = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Runs to the end and succeeds; gives what was printed.
pub(crate) fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs to the end and fails with this code, telling why in one line.
pub(crate) fn refusal(mut command: Command, code: i32) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    one_line(&output)
}

/// The one line on stderr, when nothing was printed.
pub(crate) fn one_line(output: &Output) -> String {
    let (told, printed) = (text(&output.stderr), text(&output.stdout));
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("subtle: ") && printed.is_empty(), "{told}{printed}");
    told.trim_end().to_owned()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    lines: Receiver<String>,
    /// All it has told so far.
    told: Vec<String>,
}

impl Server {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = lines(child.stderr.take().unwrap());
        Self { child, lines, told: Vec::new() }
    }

    /// Reads on until a line holds this.
    pub(crate) fn await_line(&mut self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no line with {part:?} in {:#?}", self.told));
            self.told.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Waits until it is ready; gives its address.
    pub(crate) fn ready(&mut self) -> String {
        let line = self.await_line("listening on http://");
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    pub(crate) fn told(&self) -> &[String] {
        &self.told
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.end()
    }

    /// Waits until it has ended.
    pub(crate) fn end(&mut self) -> ExitStatus {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.told.push(line);
        }
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The lines that somebody writes, as they come.
pub(crate) fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The whole answer to a GET.
pub(crate) fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub(crate) fn status(address: &str, path: &str) -> u16 {
    get(address, path).split(' ').nth(1).unwrap().parse().unwrap()
}
