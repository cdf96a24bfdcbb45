//! One request on a connection of its own, for what is not measured.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::answers::{Parsed, parse};
use crate::requests;
use crate::trouble::{Outcome, Trouble};

const PATIENCE: Duration = Duration::from_mins(2);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

pub(crate) fn get(address: &str, path: &str, token: &str) -> Outcome<Answer> {
    send(address, &requests::get(path, token))
}

pub(crate) fn post(address: &str, path: &str, token: &str, body: &Value) -> Outcome<Answer> {
    send(address, &requests::post(path, token, &body.to_string()))
}

/// Its body, if that is the status; otherwise why not.
pub(crate) fn expect(answer: Outcome<Answer>, status: u16, what: &str) -> Outcome<Value> {
    let answer = answer?;
    if answer.status == status {
        return Ok(answer.body);
    }
    Err(Trouble::new(format!("{what}: the server answers {} {}", answer.status, answer.body)))
}

fn send(address: &str, request: &[u8]) -> Outcome<Answer> {
    let trouble = || Trouble::when(format!("talk to the server at {address}"));
    let mut stream = TcpStream::connect(address).map_err(trouble())?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(trouble())?;
    stream.write_all(request).map_err(trouble())?;
    let mut input = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer).map_err(trouble())?;
        if read == 0 {
            return Err(Trouble::new(format!("the server at {address} closes in the middle of an answer")));
        }
        input.extend_from_slice(&buffer[..read]);
        match parse(&input) {
            Parsed::Whole(answer) => {
                let body = serde_json::from_slice(&input[answer.body]).unwrap_or_default();
                return Ok(Answer { status: answer.status, body });
            }
            Parsed::Partial => {}
            Parsed::Unreadable => {
                return Err(Trouble::new(format!("the server at {address} does not speak HTTP")));
            }
        }
    }
}
