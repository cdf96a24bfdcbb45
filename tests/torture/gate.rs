//! When clients work and when they rest, so that what is there can be held against the journal.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Longest wait for the clients to do as they are told.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Everybody works.
    Work,
    /// Nobody sends anything, not even once more.
    Rest,
    /// What was begun is asked for until it is answered; nothing new.
    Finish,
    End,
}

/// What all clients pass before they send anything.
pub(crate) struct Gate {
    wish: watch::Sender<Wish>,
    clients: usize,
    /// Clients that wait with something that was not answered.
    in_doubt: AtomicUsize,
    /// Clients that wait with nothing.
    idle: AtomicUsize,
}

impl Gate {
    pub(crate) fn new(clients: usize) -> Self {
        Self {
            wish: watch::Sender::new(Wish::Work),
            clients,
            in_doubt: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
        }
    }

    /// Before something new: whether to go on at all.
    pub(crate) async fn next(&self) -> bool {
        self.wait(&self.idle, &[Wish::Rest, Wish::Finish]).await;
        *self.wish.borrow() != Wish::End
    }

    /// Before another try.
    pub(crate) async fn again(&self) {
        self.wait(&self.in_doubt, &[Wish::Rest]).await;
    }

    async fn wait(&self, count: &AtomicUsize, during: &[Wish]) {
        let mut wish = self.wish.subscribe();
        let now = *wish.borrow();
        if during.contains(&now) {
            count.fetch_add(1, Ordering::SeqCst);
            let _sender_lives = wish.wait_for(|wish| !during.contains(wish)).await;
            count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn work(&self) {
        self.wish.send_replace(Wish::Work);
    }

    pub(crate) fn end(&self) {
        self.wish.send_replace(Wish::End);
    }

    /// Whether everybody rests, be it in doubt.
    pub(crate) async fn rest(&self) -> bool {
        self.wish.send_replace(Wish::Rest);
        until(|| self.idle.load(Ordering::SeqCst) + self.in_doubt.load(Ordering::SeqCst) == self.clients)
            .await
    }

    /// Whether everybody has been answered.
    pub(crate) async fn finish(&self) -> bool {
        self.wish.send_replace(Wish::Finish);
        until(|| self.idle.load(Ordering::SeqCst) == self.clients).await
    }
}

async fn until(asked: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !asked() {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}
