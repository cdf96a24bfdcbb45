//! The server: binds, serves, stops in good order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::HttpServer;
use subtle_application::Ports;

use crate::app::{self, Shared};
use crate::settings::Settings;

/// Whether requests should be sent here.
#[derive(Clone)]
pub struct Readiness {
    stopping: Arc<AtomicBool>,
    started: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Readiness {
    /// Ready once `started` says so.
    pub fn new(started: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { stopping: Arc::default(), started: Arc::new(started) }
    }

    /// Not ready from now on: the server is about to stop.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether requests should be sent here now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::SeqCst) && (self.started)()
    }
}

/// A server that is bound to its address.
pub struct Server {
    address: SocketAddr,
    running: actix_web::dev::Server,
}

impl Server {
    /// Binds the address and starts to answer. Must be called within a tokio runtime.
    pub fn bind(ports: Ports, settings: Settings, readiness: Readiness) -> io::Result<Self> {
        let listen = settings.listen;
        let headers = settings.header_deadline;
        let grace = settings.shutdown_grace;
        let shared = Shared::new(ports, settings, readiness);
        let server = HttpServer::new(move || app::app(shared.clone()))
            .client_request_timeout(headers)
            .client_disconnect_timeout(Duration::from_secs(2))
            .keep_alive(Duration::from_secs(75))
            .shutdown_timeout(grace.as_secs())
            .disable_signals()
            .bind(listen)?;
        let address = server.addrs().first().copied().unwrap_or(listen);
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
