//! What happens to a server.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use super::Struck;
use crate::load::Load;
use crate::stage::Stage;

/// How long a server may take to end that was told to.
const STOP: Duration = Duration::from_secs(30);
/// How often a load balancer asks.
const PROBE: Duration = Duration::from_millis(100);

pub(super) fn kill(stage: &mut Stage, load: &Load) -> Struck {
    let number = stage.running.remove(0);
    // Whoever begins something now begins it elsewhere: the port may soon be somebody else's.
    *load.shared.servers.lock().unwrap() = stage.servers();
    block_in_place(|| stage.app.server_mut(number).kill());
    stage.begin_server();
    *load.shared.servers.lock().unwrap() = stage.servers();
    Struck::now("")
}

pub(super) async fn stop(stage: &mut Stage, load: &Load) -> Struck {
    let number = stage.running.remove(0);
    let (begun, mut complaints) = (Instant::now(), Vec::new());
    stage.app.server(number).signal("TERM");
    let ready = stage.app.url_of(number, "/health/ready");
    while stage.app.client.get(&ready).send().await.is_ok_and(|answer| answer.status() == 200) {
        tokio::time::sleep(PROBE).await;
    }
    *load.shared.servers.lock().unwrap() = stage.servers();
    match stage.app.server_mut(number).wait(STOP).await {
        Some(status) if status.success() => {}
        Some(status) => complaints.push(format!("the server ended with {status}")),
        None => complaints.push("the server did not end within 30 s".to_owned()),
    }
    let remark = format!("ended after {:.1} s", begun.elapsed().as_secs_f64());
    stage.begin_server();
    *load.shared.servers.lock().unwrap() = stage.servers();
    Struck { complaints, ..Struck::now(remark) }
}
