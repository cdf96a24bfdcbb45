//! The connection under the requests: it ends when a request that was begun does not.
//!
//! actix gives a connection's first headers a deadline, which may be half a second off, and closes a connection on which nothing is
//! asked. It waits for ever for the headers of a later request, and for what is left of a chunked body that nobody reads.
//! Bodies that somebody reads have a deadline of their own, where they are read.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::MessageBody;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::problem::ApiError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Headers are awaited, or on their way.
    Asking,
    /// A request is worked on.
    Answering,
    /// A request was answered; what is left of its body, if anything, is read by nobody.
    Draining,
    /// Between two requests.
    Quiet,
}

impl Phase {
    fn has_deadline(self) -> bool {
        match self {
            Self::Asking | Self::Draining => true,
            Self::Answering | Self::Quiet => false,
        }
    }
}

/// How far a connection is, told by the requests on it. Clones are about the same connection.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Rc<Cell<(Phase, Instant)>>);

impl Progress {
    fn new() -> Self {
        Self(Rc::new(Cell::new((Phase::Asking, Instant::now()))))
    }

    /// A request's headers have arrived.
    pub(crate) fn begin_answer(&self) {
        self.enter(Phase::Answering);
    }

    /// A request is answered. Nobody knows where a chunked body ends that may not have been read.
    pub(crate) fn end_answer(&self, chunked: bool) {
        self.enter(if chunked { Phase::Draining } else { Phase::Quiet });
    }

    fn enter(&self, phase: Phase) {
        self.0.set((phase, Instant::now()));
    }

    fn phase(&self) -> Phase {
        self.0.get().0
    }
}

/// A connection that is closed when its client takes longer than `patience` to finish what it has begun.
pub(crate) struct Connection {
    socket: TcpStream,
    patience: Duration,
    progress: Progress,
    /// With the beginning of the phase that it belongs to.
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Whether a part of an answer waits until the client reads.
    blocked: bool,
    expired: bool,
}

impl Connection {
    pub(crate) fn new(socket: TcpStream, patience: Duration) -> Self {
        Self { socket, patience, progress: Progress::new(), timer: None, blocked: false, expired: false }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Whether the time of the phase is over; wakes the task when it will be.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (phase, since) = self.progress.0.get();
        if !phase.has_deadline() {
            self.timer = None;
            return Poll::Pending;
        }
        let begin = || (since, Box::pin(sleep_until(since + self.patience)));
        let timer = self.timer.take_if(|(of, _)| *of == since).unwrap_or_else(begin);
        self.timer.insert(timer).1.as_mut().poll(cx)
    }

    /// Says why, to one who has nothing else to read.
    fn refuse(&mut self) {
        if self.progress.phase() == Phase::Asking && !self.blocked {
            let body = ApiError::RequestTimeout.respond("").into_body().try_into_bytes().unwrap_or_default();
            let head = format!(
                "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/problem+json\r\n\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            // It fits into the socket's empty buffer, or the client is gone.
            let _told = self.socket.try_write(&[head.as_bytes(), &body].concat());
        }
    }

    fn noting_blocked<T>(&mut self, written: Poll<T>) -> Poll<T> {
        self.blocked = written.is_pending();
        written
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
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.socket).poll_read(cx, buf);
        if buf.filled().len() > before && self.progress.phase() == Phase::Quiet {
            self.progress.enter(Phase::Asking);
        }
        outcome
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.noting_blocked(written)
    }

    /// The last that is done each time a connection is looked after, by when the phase is clear.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.expired && self.poll_deadline(cx).is_ready() {
            self.expired = true;
            self.refuse();
            cx.waker().wake_by_ref();
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
