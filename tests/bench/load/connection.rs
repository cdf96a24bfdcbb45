//! A connection as a state machine.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::Caller;
use crate::answers::{Parsed, parse};

/// How much is read at once: more than any answer that is measured by the thousand has.
const ROOM: usize = 64 * 1024;

/// One connection and its user.
pub(super) struct Connection<C> {
    address: SocketAddr,
    token: Token,
    stream: TcpStream,
    caller: C,
    state: State,
    /// Whether its user is still to be asked for requests.
    asks: bool,
    request: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
    filled: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Until the next request is due.
    Resting(Instant),
    /// Since the request was due.
    Asking(Instant),
    Done,
}

/// What a look at a connection brought.
pub(super) enum Step {
    Waiting,
    /// An answer that was hoped for, and how long it took.
    Answered(Duration),
    Failed(String),
}

impl<C: Caller> Connection<C> {
    pub(super) fn open(
        address: SocketAddr,
        token: Token,
        registry: &Registry,
        caller: C,
    ) -> io::Result<Self> {
        let stream = connect(address, token, registry)?;
        Ok(Self {
            address,
            token,
            stream,
            caller,
            state: State::Done,
            asks: true,
            request: Vec::new(),
            sent: 0,
            input: vec![0; ROOM],
            filled: 0,
        })
    }

    /// Sets when it first asks.
    pub(super) fn due(mut self, at: Instant) -> Self {
        self.state = State::Resting(at);
        self
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        matches!(self.state, State::Resting(due) if due <= now)
    }

    pub(super) fn waits_until(&self) -> Option<Instant> {
        if let State::Resting(due) = self.state { Some(due) } else { None }
    }

    pub(super) fn rests_for_ever(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// What is under way is finished.
    pub(super) fn ask_no_more(&mut self) {
        self.asks = false;
        if matches!(self.state, State::Resting(_)) {
            self.state = State::Done;
        }
    }

    pub(super) fn into_caller(self) -> C {
        self.caller
    }

    /// Sends the request that is due. Its time counts from when it was.
    pub(super) fn ask(&mut self, registry: &Registry, now: Instant) -> Step {
        let since = if let State::Resting(due) = self.state { due } else { now };
        self.request.clear();
        if !self.asks || !self.caller.ask(&mut self.request) {
            self.state = State::Done;
            return Step::Waiting;
        }
        (self.sent, self.filled, self.state) = (0, 0, State::Asking(since));
        match self.write() {
            Ok(()) => Step::Waiting,
            Err(error) => self.broken(registry, &error.to_string()),
        }
    }

    /// Goes on with what the socket has become ready for.
    pub(super) fn advance(&mut self, registry: &Registry, pace: Option<Duration>) -> Step {
        let State::Asking(since) = self.state else { return Step::Waiting };
        if let Err(error) = self.write() {
            return self.broken(registry, &error.to_string());
        }
        if self.sent < self.request.len() {
            return Step::Waiting;
        }
        let answer = match self.read() {
            Ok(Parsed::Whole(answer)) => answer,
            Ok(Parsed::Partial) => return Step::Waiting,
            Ok(Parsed::Unreadable) => return self.broken(registry, "no HTTP"),
            Err(error) => return self.broken(registry, &error.to_string()),
        };
        let now = Instant::now();
        let body = &self.input[answer.body];
        let hoped = self.caller.hear(answer.status, body);
        let said = || format!("{} {}", answer.status, String::from_utf8_lossy(body));
        let step = if hoped { Step::Answered(now - since) } else { Step::Failed(said()) };
        if let Some(pace) = pace {
            self.state = State::Resting(since + pace);
            return step;
        }
        // At once: whoever waits for a look at all connections waits for all of them.
        self.state = State::Resting(now);
        if let Step::Failed(why) = self.ask(registry, now) {
            return Step::Failed(why);
        }
        step
    }

    fn write(&mut self) -> io::Result<()> {
        while self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Readiness is told once, so it reads on until there is a whole answer or nothing more.
    fn read(&mut self) -> io::Result<Parsed> {
        loop {
            if self.filled == self.input.len() {
                self.input.resize(self.filled * 2, 0);
            }
            match self.stream.read(&mut self.input[self.filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Parsed::Partial),
                Err(error) => return Err(error),
            }
            match parse(&self.input[..self.filled]) {
                Parsed::Partial => {}
                whole => return Ok(whole),
            }
        }
    }

    /// Goes on with a new connection, and the next request.
    fn broken(&mut self, registry: &Registry, why: &str) -> Step {
        match connect(self.address, self.token, registry) {
            Ok(stream) => {
                self.stream = stream;
                self.state = State::Resting(Instant::now());
            }
            Err(_error) => self.state = State::Done,
        }
        Step::Failed(format!("the connection broke: {why}"))
    }
}

fn connect(address: SocketAddr, token: Token, registry: &Registry) -> io::Result<TcpStream> {
    // Without waiting, it would be connected only when the first request is due.
    let stream = std::net::TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}
