//! Hears the plans that PostgreSQL tells a client of, on their way.

use std::sync::{Arc, Mutex};

use subtle_persistence::{Database, PoolOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::support::{Home, door};

/// Tells each plan as a notice: also those of statements that functions run.
const SETTINGS: [&str; 4] = [
    "session_preload_libraries = 'auto_explain'",
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_nested_statements = on",
    "auto_explain.log_level = notice",
];

/// Plans in the order in which they were told.
#[derive(Clone, Default)]
pub(super) struct Ear(Arc<Mutex<Vec<String>>>);

impl Ear {
    /// A pool of one connection, whose plans are heard. `None` if the database isn't behind a unix socket.
    pub(super) async fn at(home: &Home) -> Option<(Self, Database)> {
        for setting in SETTINGS {
            home.run(&format!("ALTER DATABASE \"{}\" SET {setting}", home.name())).await;
        }
        let (listener, url, socket) = door(home).await?;
        let ear = Self::default();
        let hears = ear.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                client.set_nodelay(true).unwrap();
                let server = UnixStream::connect(&socket).await.unwrap();
                let ((mut from_client, to_client), (from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                tokio::spawn(hears.clone().carry(from_server, to_client));
            }
        });
        let options = PoolOptions::from_url(&format!("{url}?connection_limit=1")).unwrap();
        Some((ear, Database::new(options).unwrap()))
    }

    /// What was heard since the last time.
    pub(super) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    async fn carry(self, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) {
        let mut kind_and_length = [0; 5];
        while from.read_exact(&mut kind_and_length).await.is_ok() {
            let [kind, length @ ..] = kind_and_length;
            // The length counts itself.
            let mut message = vec![0; u32::from_be_bytes(length) as usize - 4];
            from.read_exact(&mut message).await.unwrap();
            if kind == b'N' {
                self.0.lock().unwrap().extend(text(&message));
            }
            if to.write_all(&[&kind_and_length, &message[..]].concat()).await.is_err() {
                return;
            }
        }
    }
}

/// The text of a notice, whose fields are a letter and a string each.
fn text(notice: &[u8]) -> Option<String> {
    let message = notice.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(b"M"))?;
    Some(String::from_utf8_lossy(message).into_owned())
}
