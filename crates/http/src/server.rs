//! The server: binds, serves, stops in good order.

use std::future::ready;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_service::{ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use subtle_application::Ports;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::app::{self, Shared};
use crate::connection::Connection;
use crate::metrics::Gauges;
use crate::settings::Settings;

/// Longest silence between two requests on a connection: longer than proxies keep theirs, so that it is they who close.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long the end of a connection may take.
const LINGER: Duration = Duration::from_secs(2);
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Whether requests should be sent here.
#[derive(Clone)]
pub struct Readiness {
    stopping: watch::Sender<bool>,
    started: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Readiness {
    /// Ready once `started` says so.
    pub fn new(started: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { stopping: watch::Sender::new(false), started: Arc::new(started) }
    }

    /// Not ready from now on: the server is about to stop. Streams, which have no end of their own, end at once.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Whether the server is about to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits until the server is about to stop.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender is here: it is not gone.
        let _told = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Whether requests should be sent here now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.is_stopping() && (self.started)()
    }
}

/// A server that is bound to its address.
pub struct Server {
    address: SocketAddr,
    running: actix_web::dev::Server,
}

impl Server {
    /// Binds the address and starts to answer. Must be called within a tokio runtime.
    pub fn bind(ports: Ports, settings: Settings, readiness: Readiness, gauges: Gauges) -> io::Result<Self> {
        let listener = listen(settings.listen)?;
        let address = listener.local_addr()?;
        let patience = settings.header_deadline;
        let server = actix_web::dev::Server::build()
            .shutdown_timeout(settings.shutdown_grace.as_secs())
            .disable_signals();
        let stopping = server.graceful_shutdown_signal();
        let ids = Arc::clone(&ports.ids);
        let shared = Shared::new(ports, settings, readiness, gauges);
        // What `HttpServer` does, with connections of our own.
        let server = server.listen("http", listener, move || {
            let (stopping, ids) = (stopping.clone(), Arc::clone(&ids));
            let metrics = shared.metrics.clone();
            let requests = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(Duration::ZERO)
                .client_disconnect_timeout(LINGER)
                .local_addr(address)
                .on_connect_ext(|connection: &Connection, data| {
                    data.insert(connection.progress());
                })
                .h1(map_config(app::app(shared.clone()), |()| AppConfig::default()));
            fn_service(move |socket: TcpStream| {
                let peer = socket.peer_addr().ok();
                ready(Ok((Connection::new(socket, patience, Arc::clone(&ids), metrics.clone()), peer)))
            })
            .and_then(requests)
        })?;
        Ok(Self { address, running: server.run() })
    }

    /// Where it listens: the port that was found where port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is done, then lets requests in flight finish.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let handle = self.running.handle();
        let mut running = std::pin::pin!(self.running);
        tokio::select! {
            ended = &mut running => return ended,
            () = stop => {}
        }
        let (ended, ()) = tokio::join!(running, handle.stop(true));
        ended
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
