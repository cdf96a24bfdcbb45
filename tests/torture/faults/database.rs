//! What happens to PostgreSQL, and on the way there.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;
use tokio::time::sleep;

use super::Struck;
use crate::stage::Stage;
use crate::support::app::{ROLE, connect};

/// Between two backends that are killed.
const PAUSE: Duration = Duration::from_millis(150);

pub(super) async fn restart(stage: &mut Stage) -> Struck {
    let begun = Instant::now();
    stage.cluster.crash_and_restart().await;
    Struck::now(format!("gone for {:.1} s", begun.elapsed().as_secs_f64()))
}

pub(super) async fn kill_backends(stage: &Stage, length: Duration) -> Struck {
    let client = connect(&stage.direct_url()).await;
    let kill = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM
            (SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' ORDER BY random() LIMIT 1) AS chosen"
    );
    let (begun, mut killed) = (Instant::now(), 0);
    while begun.elapsed() < length {
        killed += client.query_one(&kill, &[]).await.unwrap().get::<_, i64>(0);
        sleep(PAUSE).await;
    }
    Struck::now(format!("{killed} killed"))
}

pub(super) async fn freeze(stage: &mut Stage, length: Duration) -> Struck {
    stage.cluster.freeze().await;
    sleep(length).await;
    stage.cluster.thaw();
    Struck::now("")
}

pub(super) async fn swallow(stage: &Stage, length: Duration) -> Struck {
    stage.proxy.swallow();
    sleep(length).await;
    stage.proxy.pass();
    Struck::now("")
}

pub(super) async fn fill_disk(stage: &Stage, length: Duration) -> Result<Struck, String> {
    let disk = stage.disk.as_ref().map_err(|reason| format!("no small disk here: {reason}"))?;
    block_in_place(|| disk.fill());
    sleep(length).await;
    disk.clear();
    Ok(Struck::now(""))
}
