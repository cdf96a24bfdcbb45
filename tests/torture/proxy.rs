//! What stands between the servers and PostgreSQL, and can forget that it does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;

/// How long a connection that was forgotten is held: neither side is told that the other has closed it.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// A TCP port that leads to PostgreSQL's socket.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    hole: Arc<Hole>,
    task: JoinHandle<()>,
}

/// Swallows packets, and forgets all connections that there are meanwhile, as a firewall does that was started anew: their packets
/// are swallowed ever after.
#[derive(Default)]
struct Hole {
    open: AtomicBool,
    count: AtomicU64,
}

impl Proxy {
    pub(crate) async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hole = Arc::new(Hole::default());
        let shared = Arc::clone(&hole);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, socket.clone(), Arc::clone(&shared)));
            }
        });
        Self { address, hole, task }
    }

    /// From now on nothing passes, and no connection breaks.
    pub(crate) fn swallow(&self) {
        self.hole.count.fetch_add(1, Ordering::SeqCst);
        self.hole.open.store(true, Ordering::SeqCst);
    }

    /// From now on new connections pass.
    pub(crate) fn pass(&self) {
        self.hole.open.store(false, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hole {
    /// Whether a connection that was made after so many holes is lost.
    fn has(&self, made_after: u64) -> bool {
        self.open.load(Ordering::SeqCst) || self.count.load(Ordering::SeqCst) != made_after
    }
}

async fn carry(near: TcpStream, socket: PathBuf, hole: Arc<Hole>) {
    let made_after = hole.count.load(Ordering::SeqCst);
    if hole.has(made_after) {
        // It would not even have been made: to who waits for an answer that is the same.
        return forget(near).await;
    }
    let Ok(far) = UnixStream::connect(socket).await else { return };
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pass(&mut near_in, &mut far_out, &hole, made_after) => {}
        () = pass(&mut far_in, &mut near_out, &hole, made_after) => {}
    }
    if hole.has(made_after) {
        forget((near_in, near_out, far_in, far_out)).await;
    }
}

async fn forget<T>(connection: T) {
    tokio::time::sleep(FORGOTTEN).await;
    drop(connection);
}

/// Until one side closes, or the hole takes the first packet.
async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    hole: &Hole,
    made_after: u64,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if hole.has(made_after) || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
