//! The connection under the requests: it ends when a request that was begun does not.
//!
//! actix gives a connection's first headers a deadline, which may be half a second off, and closes a connection on which nothing is
//! asked. It waits for ever for the headers of a later request, and for what is left of a chunked body that nobody reads.
//! Bodies that somebody reads have a deadline of their own, where they are read.
//!
//! Nor does actix bound what a client sends ahead: it takes in and takes apart all the requests that have arrived, and keeps all
//! answers until the client reads them. Here nothing is read while a request is worked on, but for the body that its handler reads,
//! and little at a time; who does not read their answers is not read from either, and given up after a while.
//!
//! What never becomes a request actix answers by itself, with a status and nothing else; here that becomes a problem like all others.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use subtle_domain::ports::IdGenerator;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::edge;
use crate::metrics::Metrics;
use crate::problem::ApiError;

/// How much longer somebody may take to read a part of an answer than to write a request: the kernel tells in large steps how far
/// they are, so a slow link looks like none at all for a while.
const READING: u32 = 4;

/// How many bytes are read before they are looked at: a few dozen of the smallest requests, most others whole.
const SLICE: usize = 4_096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Headers are awaited, or on their way.
    Asking,
    /// A request is worked on; what else was asked waits.
    Answering,
    /// A request is worked on, and its handler waits for its body.
    Receiving,
    /// A request was answered; what is left of its body, if anything, is read by nobody.
    Draining,
    /// Between two requests.
    Quiet,
}

impl Phase {
    fn has_deadline(self) -> bool {
        match self {
            Self::Asking | Self::Draining => true,
            Self::Answering | Self::Receiving | Self::Quiet => false,
        }
    }
}

/// How far a connection is, told by the requests on it. Clones are about the same connection.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Rc<Told>);

#[derive(Debug)]
struct Told {
    phase: Cell<(Phase, Instant)>,
    gone: Cell<bool>,
}

impl Progress {
    fn new() -> Self {
        Self(Rc::new(Told { phase: Cell::new((Phase::Asking, Instant::now())), gone: Cell::new(false) }))
    }

    /// A request's headers have arrived.
    pub(crate) fn begin_answer(&self) {
        self.enter(Phase::Answering);
    }

    /// The body of the request is wanted.
    pub(crate) fn begin_body(&self) {
        self.enter(Phase::Receiving);
    }

    /// All of it is there, or no more of it is wanted.
    pub(crate) fn end_body(&self) {
        self.enter(Phase::Answering);
    }

    /// A request is answered. Nobody knows where a chunked body ends that may not have been read.
    pub(crate) fn end_answer(&self, chunked: bool) {
        self.enter(if chunked { Phase::Draining } else { Phase::Quiet });
    }

    /// Whether the client has closed its side. It might still read an answer to its end; what has no end it is done with.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.gone.get()
    }

    fn enter(&self, phase: Phase) {
        self.0.phase.set((phase, Instant::now()));
    }

    fn phase(&self) -> Phase {
        self.0.phase.get().0
    }
}

/// A connection that is closed when its client takes longer than `patience` to finish what it has begun.
pub(crate) struct Connection {
    socket: TcpStream,
    patience: Duration,
    ids: Arc<dyn IdGenerator>,
    metrics: Data<Metrics>,
    progress: Progress,
    /// With the beginning of what it belongs to.
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Since when a part of an answer waits until the client reads.
    blocked: Option<Instant>,
    /// What was read since it was last looked at.
    read: usize,
    /// Whether there is more to read, later.
    held_back: bool,
    expired: bool,
}

impl Connection {
    pub(crate) fn new(
        socket: TcpStream,
        patience: Duration,
        ids: Arc<dyn IdGenerator>,
        metrics: Data<Metrics>,
    ) -> Self {
        Self {
            socket,
            patience,
            ids,
            metrics,
            progress: Progress::new(),
            timer: None,
            blocked: None,
            read: 0,
            held_back: false,
            expired: false,
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Whether the client's time is over; wakes the task when it will be.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (phase, begun) = self.progress.0.phase.get();
        let (since, patience) = match self.blocked {
            Some(since) => (since, self.patience * READING),
            None if phase.has_deadline() => (begun, self.patience),
            None => {
                self.timer = None;
                return Poll::Pending;
            }
        };
        let new = || (since, Box::pin(sleep_until(since + patience)));
        let timer = self.timer.take_if(|(of, _)| *of == since).unwrap_or_else(new);
        self.timer.insert(timer).1.as_mut().poll(cx)
    }

    /// Whether there is something to read, or else the end.
    fn poll_more(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.socket.poll_peek(cx, &mut ReadBuf::new(&mut [0])).map_ok(|bytes| bytes > 0)
    }

    /// The connection has been looked at, and may be read from again once it may.
    fn read_on(&mut self, cx: &Context<'_>) {
        self.read = 0;
        let may = self.blocked.is_none() && self.progress.phase() != Phase::Answering;
        if may && std::mem::take(&mut self.held_back) {
            cx.waker().wake_by_ref();
        }
    }

    /// Says why, to one who has nothing else to read.
    fn refuse(&mut self, why: &ApiError) {
        self.metrics.problems.count(why.name());
        let id = self.ids.token_id();
        // It fits into the socket's empty buffer, or the client is gone.
        let _told = self.socket.try_write(&edge::answer_to_no_request(why, id.as_str()));
    }

    /// Whether nobody works on a request, and no answer is on its way.
    fn is_asking(&self) -> bool {
        self.progress.phase() == Phase::Asking && self.blocked.is_none()
    }
}

/// What actix answers, without a body, to bytes that never became a request.
fn refusal(answer: &[u8]) -> Option<ApiError> {
    let status = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let status = StatusCode::from_bytes(status).ok()?;
    match status {
        StatusCode::BAD_REQUEST => {
            Some(ApiError::Malformed("the request line or a header can't be read".to_owned()))
        }
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Some(ApiError::HeadersTooLarge),
        _ => None,
    }
}

impl AsyncRead for Connection {
    /// The end of what is read, once the time is over: actix then closes the connection.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.expired {
            self.progress.0.gone.set(true);
            return Poll::Ready(Ok(()));
        }
        if self.blocked.is_some() || self.read >= SLICE {
            self.held_back = true;
            return Poll::Pending;
        }
        if self.progress.phase() == Phase::Answering && ready!(self.poll_more(cx)?) {
            self.held_back = true;
            return Poll::Pending;
        }
        let most = buf.remaining().min(SLICE);
        let mut slice = ReadBuf::new(buf.initialize_unfilled_to(most));
        let outcome = Pin::new(&mut self.socket).poll_read(cx, &mut slice);
        let read = slice.filled().len();
        buf.advance(read);
        self.read += read;
        if read == 0 && most > 0 && outcome.is_ready() {
            self.progress.0.gone.set(true);
        }
        if read > 0 && self.progress.phase() == Phase::Quiet {
            self.progress.enter(Phase::Asking);
        }
        outcome
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let (true, Some(why)) = (self.is_asking(), refusal(buf)) {
            self.refuse(&why);
            return Poll::Ready(Ok(buf.len()));
        }
        match Pin::new(&mut self.socket).poll_write(cx, buf) {
            Poll::Ready(written) => {
                self.blocked = None;
                Poll::Ready(written)
            }
            Poll::Pending => {
                self.blocked.get_or_insert_with(Instant::now);
                self.poll_deadline(cx).map(|()| {
                    self.metrics.slow_readers.count();
                    Err(io::ErrorKind::TimedOut.into())
                })
            }
        }
    }

    /// The last that is done each time a connection is looked after, by when the phase is clear.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.expired && self.poll_deadline(cx).is_ready() {
            self.expired = true;
            if self.is_asking() {
                self.refuse(&ApiError::RequestTimeout);
            }
            cx.waker().wake_by_ref();
        }
        self.read_on(cx);
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
