//! The renewal as a task beside the requests.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::renewal::PgEncryption;

/// How long what could not be done waits for another try.
const SOON: Duration = Duration::from_secs(5);

/// The task that brings everything under the newest key, now and every so often. When this is dropped the task ends with its batch.
#[derive(Debug)]
#[must_use = "nothing is encrypted anew any more once this is dropped"]
pub struct Reencryption {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Reencryption {
    /// Must be called inside a Tokio runtime.
    pub fn start(encryption: PgEncryption, every: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(run(encryption, every, stopped)) }
    }

    /// Ends it: a batch that is under way is undone.
    pub async fn close(self) {
        let _has_ended = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(error = &error as &dyn std::error::Error, "encrypting anew failed");
        }
    }
}

async fn run(encryption: PgEncryption, every: Duration, mut stopped: oneshot::Receiver<()>) {
    let work = async {
        loop {
            let pause = match encryption.renew().await {
                Ok(0) => every,
                Ok(_) => SOON,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "values could not be brought under the newest key; trying again");
                    SOON
                }
            };
            sleep(pause).await;
        }
    };
    tokio::select! {
        () = work => {}
        _ = &mut stopped => {}
    }
}
