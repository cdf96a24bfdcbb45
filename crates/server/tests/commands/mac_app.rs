//! The example client.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::subtle::{Folder, PATIENCE, Server, lines, migrated, request};

/// How long something may be on its way before another is sent.
const MOMENT: Duration = Duration::from_millis(100);

/// The example. Cargo builds it with the tests, unless they are told by name: then it is built here.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().with_file_name("examples").join("mac_app");
    if !program.exists() {
        let build = ["build", "--quiet", "--package", "subtle-server", "--example", "mac_app"];
        assert!(Command::new(env!("CARGO")).args(build).status().unwrap().success());
    }
    program
}

struct App {
    child: Child,
    lines: Receiver<String>,
}

impl App {
    fn start(program: &Path, servers: &[&str], token: &str) -> Self {
        let mut command = Command::new(program);
        command.args(servers.iter().map(|address| format!("http://{address}")));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
        let lines = lines(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Sends a request that succeeds; gives the body of the answer.
fn send(method: &str, url: &str, access: &str, body: &Value) -> Value {
    let (status, body) = request(method, url, access, body);
    assert!(status < 300, "{status} {body}");
    body
}

#[test]
fn the_example_signs_in_by_a_bridge_token_and_follows_through_restarts_until_its_session_is_ended() {
    // Before the token is made, which lives a minute.
    let program = program();
    let (folder, database) = (Folder::new(), migrated());
    let start = || {
        let mut command = folder.on(database.url(), &[]);
        command.env("SUBTLE_ACCESS_TOKEN_TTL", "2s").env("SUBTLE_SECRET", "x".repeat(32));
        let mut server = Server::start(command);
        let address = server.ready();
        (server, address)
    };
    let ((one, first), (_two, second)) = (start(), start());
    let sign_in = json!({"email": "ada@example.com", "password": "tr0ub4dor&3"});
    let at = |address: &str, path: &str| format!("http://{address}/v1/{path}");
    let session = send("POST", &at(&first, "auth/register"), "", &sign_in);
    let bridge = json!({"sessionData": {"document": "d-17"},
                        "codeChallenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"});
    let web = session["accessToken"].as_str().unwrap();
    let token = send("POST", &at(&first, "bridge-tokens"), web, &bridge);
    let input = format!("{} dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk\n", token["token"].as_str().unwrap());
    let mut app = App::start(&program, &[&first, &second], &input);
    assert_eq!(app.line(), r#"signed in as "ada@example.com", handed over: {"document":"d-17"}"#);
    let signed_in = || {
        let session = send("POST", &at(&second, "auth/login"), "", &sign_in);
        session["accessToken"].as_str().unwrap().to_owned()
    };
    let tell = |data: &str| {
        let event = json!({"eventType": "note.saved", "eventSource": "web", "data": data});
        send("POST", &at(&second, "sync/events"), &signed_in(), &event)
    };
    // What was told before the app follows it does not hear.
    let mut heard = app.lines.try_recv();
    while heard.is_err() {
        tell("are you there?");
        heard = app.lines.recv_timeout(MOMENT).map_err(|_nothing_yet| TryRecvError::Empty);
    }
    assert!(one.stop().success());
    tell("by the other server");
    let last = std::iter::from_fn(|| Some(app.line())).find(|line| !line.contains("are you there?"));
    assert!(last.unwrap().ends_with(r#""note.saved" of "web": "by the other server""#));
    let access = signed_in();
    send("DELETE", &at(&second, "me/sessions"), &access, &json!({}));
    assert!(!app.child.wait().unwrap().success(), "it ends with its session");
}
