//! Changes of the schema under load.

use std::time::{Duration, Instant};

use super::Struck;
use crate::stage::Stage;
use crate::support::app::{ROLE, connect};

/// Each changes the type of what prepared statements return (0A000), there and back.
const TURNS: [(&str, &str, [&str; 2]); 5] = [
    ("users", "full_name", ["varchar(300)", "text"]),
    ("users", "avatar_url", ["varchar(3000)", "text"]),
    ("sessions", "user_agent", ["varchar(600)", "text"]),
    ("billing_history", "description", ["varchar(900)", "text"]),
    ("sync_logs", "error_message", ["varchar(9000)", "text"]),
];
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn back_and_forth(stage: &Stage, length: Duration) -> Struck {
    let client = connect(&stage.direct_url()).await;
    client.batch_execute("SET lock_timeout = '5s'").await.unwrap();
    let (begun, mut complaints, mut count) = (Instant::now(), Vec::new(), 0);
    for turn in (0..2).cycle() {
        if begun.elapsed() > length && turn == 0 {
            break;
        }
        for (table, column, types) in TURNS {
            let alter = format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {}", types[turn]);
            complaints
                .extend(client.batch_execute(&alter).await.err().map(|error| format!("{alter}: {error}")));
            count += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
    complaints.extend(stage.run(&["migrate"]).await.err());
    Struck { complaints, ..Struck::now(format!("{count} changes of type")) }
}

pub(super) async fn revert(stage: &Stage) -> Struck {
    let reverted = stage.run(&["migrate", "--revert"]).await;
    let granted = stage.run(&["migrate", "--grant-to", ROLE]).await;
    let complaints = [&reverted, &granted].into_iter().filter_map(|outcome| outcome.clone().err()).collect();
    let remark = reverted.unwrap_or_default().lines().last().unwrap_or_default().to_owned();
    Struck { complaints, ..Struck::now(remark) }
}
